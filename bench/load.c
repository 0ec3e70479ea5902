/* A client that reads many event streams at once and believes none of them: `load -p PORT -P PATH …`.
 *
 *   -b BODY      POST this; without it GET          -c STREAMS    open at once
 *   -H HEADER    one more request header            -r REQUESTS   in all, each in the place of one that has ended
 *   -n TOKENS    that each must bring               -R SECONDS    over which the first STREAMS are opened
 *   -e TEXT      how the end marker's line begins   -t SECONDS    after which everything is over
 *   -i           events are numbered by their ids   -s            all read one and the same stream
 *
 * The tokens are those of upstream.c, `t=<ns>.<number>.<stream> `, anywhere in `data:` lines. A stream is whole if its
 * status is 200, its tokens are 0, 1 … TOKENS-1, each once and all of one stream (which no other reader has got, or with
 * -s that everybody reads), the end marker follows in an event of its own, ids count 1, 2, 3 …, and the body ends as HTTP
 * says.
 *
 * Prints JSON lines: {"mark":"live"} when each of the first STREAMS has brought a token, {"mark":"ending"} when the first
 * of all ends (between the two nothing but tokens happens), and the result. The exit status is 0 only if all are whole.
 * One thread; times are of CLOCK_MONOTONIC, which the upstream's stamps are of too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024
#define READ_BYTES 262144
#define MOST_STREAMS 10000000 /* that an upstream ever counts */
#define UNIT_NS 100 /* times are kept in units of this, which fit into 32 bits up to seven minutes */

enum part { HEAD, CHUNK_SIZE, BODY, CHUNK_END, TRAILER, WHOLE };
enum fault { NONE, REFUSED, ORDER, FOREIGN, ID, CUT, NO_END, LATE, FAULTS };
static const char *fault_names[FAULTS] = {"none", "refused", "order", "foreign", "id", "cut", "no_end", "late"};

typedef struct {
    int fd, is_open, is_connected, status, chunked, has_length;
    enum part part;
    enum fault fault;
    size_t sent, left; /* of the request; of this chunk, or of the body */
    char meta[256];    /* the beginning of a header's or a chunk size's line */
    size_t meta_size;
    char *line; /* a line of the body whose end has not come yet */
    size_t line_size, line_room;
    unsigned tokens, ids, id_in_event;
    uint64_t source; /* the upstream's number of the stream */
    int in_end_marker, ended;
    uint64_t began;
} stream;

static struct {
    int port, at_once, requests, is_shared, has_ids;
    unsigned tokens;
    double ramp_s, patience_s;
    const char *path, *body, *header, *end;
} asked = {.at_once = 1, .tokens = 100, .patience_s = 60, .path = "/", .end = "data: [DONE]", .header = ""};

static int poller;
static char *request;
static size_t request_size;
static struct sockaddr_in server;
static uint32_t *delays, *firsts; /* of each token; of each first token since its connection was opened */
static uint64_t tokens, events, reads, bytes, first_token_at, last_token_at;
static int started, finished, whole, live, open_now, open_most, faults[FAULTS];
static char first_fault[200];
static unsigned char *taken; /* by the upstream's number: this stream has a reader */
static uint64_t taken_room, shared_source;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t units(uint64_t ns) { return ns / UNIT_NS > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / UNIT_NS); }

static void blame(stream *s, enum fault fault, const char *why) {
    if (s->fault == NONE) s->fault = fault;
    if (!first_fault[0])
        snprintf(first_fault, sizeof first_fault, "%s; status %d, after %u tokens", why, s->status, s->tokens);
}

static void say_mark(const char *name) {
    printf("{\"mark\":\"%s\",\"tokens\":%lu}\n", name, tokens);
    fflush(stdout);
}

/* --- what is in the body ------------------------------------------------------------------------------------------ */

/* Whether this reader may have the stream: nobody else's, or with -s the one of everybody. */
static int may_have(uint64_t source) {
    if (asked.is_shared) {
        if (!shared_source) shared_source = source;
        return source == shared_source;
    }
    if (source >= taken_room) {
        if (source > MOST_STREAMS) return 0;
        taken = realloc(taken, 2 * source + 1024);
        memset(taken + taken_room, 0, 2 * source + 1024 - taken_room);
        taken_room = 2 * source + 1024;
    }
    int is_free = !taken[source];
    taken[source] = 1;
    return is_free;
}

static void token(stream *s, uint64_t left_at, uint64_t number, uint64_t source, uint64_t now) {
    if (tokens < (uint64_t)asked.requests * asked.tokens) delays[tokens] = units(now > left_at ? now - left_at : 0);
    if (!tokens++) first_token_at = now;
    last_token_at = now;
    if (s->ended) blame(s, ORDER, "a token behind the end marker");
    if (number > s->tokens) blame(s, ORDER, "a token is missing");
    if (number < s->tokens) blame(s, ORDER, "a token came again, or too late");
    if (s->tokens++) {
        if (source != s->source) blame(s, FOREIGN, "a token of another stream");
        return;
    }
    s->source = source;
    if (!may_have(source)) blame(s, FOREIGN, "a stream that is not this reader's");
    firsts[live++] = units(now - s->began);
    if (live == asked.at_once) say_mark("live");
}

static unsigned digit_of(char c) {
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 99;
}

/* Read a number and the character behind it; return where to go on, or NULL if there is no such thing. */
static const char *number_before(const char *p, const char *end, unsigned base, char behind, uint64_t *number) {
    const char *from = p;
    for (*number = 0; p < end && digit_of(*p) < base; p++) *number = *number * base + digit_of(*p);
    return p > from && p < end && *p == behind ? p + 1 : NULL;
}

static void find_tokens(stream *s, const char *p, const char *end, uint64_t now) {
    while ((p = memmem(p, (size_t)(end - p), "t=", 2))) {
        uint64_t left_at, number, source;
        const char *next = number_before(p += 2, end, 10, '.', &left_at);
        if (next) next = number_before(next, end, 10, '.', &number);
        if (next) next = number_before(next, end, 16, ' ', &source);
        if (!next) continue;
        token(s, left_at, number, source, now);
        p = next;
    }
}

static void end_event(stream *s) {
    if (s->in_end_marker) s->ended = 1;
    if (asked.has_ids && s->id_in_event && s->id_in_event != ++s->ids) blame(s, ID, "ids do not count 1, 2, 3");
    s->in_end_marker = 0;
    s->id_in_event = 0;
}

/* Read the number that an id ends with: `id: <answer>:<number>`. */
static unsigned id_number(const char *p, const char *end) {
    unsigned number = 0;
    p = memrchr(p, ':', (size_t)(end - p));
    while (++p < end) number = number * 10 + digit_of(*p);
    return number;
}

static void line(stream *s, const char *p, size_t size, uint64_t now) {
    if (size && p[size - 1] == '\r') size--;
    if (!size) end_event(s);
    else if (size >= strlen(asked.end) && !memcmp(p, asked.end, strlen(asked.end))) s->in_end_marker = 1;
    else if (size > 5 && !memcmp(p, "data:", 5)) find_tokens(s, p, p + size, now), events++;
    else if (size > 3 && asked.has_ids && !memcmp(p, "id:", 3)) s->id_in_event = id_number(p, p + size);
}

static void body(stream *s, const char *p, size_t size, uint64_t now) {
    for (const char *end = p + size, *newline; p < end; p = newline + 1) {
        newline = memchr(p, '\n', (size_t)(end - p));
        size_t part = (size_t)((newline ? newline : end) - p);
        if (newline && !s->line_size) {
            line(s, p, part, now);
            continue;
        }
        if (s->line_size + part > s->line_room) s->line = realloc(s->line, s->line_room = 2 * (s->line_size + part));
        memcpy(s->line + s->line_size, p, part);
        s->line_size += part;
        if (!newline) return;
        line(s, s->line, s->line_size, now);
        s->line_size = 0;
    }
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

static void head_line(stream *s) {
    if (!s->status) s->status = s->meta_size > 9 ? atoi(s->meta + 9) : -1;
    else if (!strncasecmp(s->meta, "Transfer-Encoding: chunked", 26)) s->chunked = 1;
    else if (!strncasecmp(s->meta, "Content-Length:", 15)) s->has_length = 1, s->left = strtoul(s->meta + 15, NULL, 10);
    else if (!s->meta[0]) {
        if (!s->chunked && !s->has_length) s->left = SIZE_MAX; /* until the connection ends */
        s->part = s->chunked ? CHUNK_SIZE : s->left ? BODY : WHOLE;
    }
}

static void meta_line(stream *s) {
    while (s->meta_size && s->meta[s->meta_size - 1] == '\r') s->meta_size--;
    s->meta[s->meta_size] = 0;
    if (s->part == HEAD) head_line(s);
    else if (s->part == CHUNK_END) s->part = CHUNK_SIZE;
    else if (s->part == CHUNK_SIZE) s->part = (s->left = strtoul(s->meta, NULL, 16)) ? BODY : TRAILER;
    else if (!s->meta[0]) s->part = WHOLE;
    s->meta_size = 0;
}

static void feed(stream *s, const char *p, size_t size, uint64_t now) {
    const char *end = p + size;
    while (p < end && s->part != WHOLE) {
        if (s->part == BODY) {
            size_t part = (size_t)(end - p) < s->left ? (size_t)(end - p) : s->left;
            body(s, p, part, now);
            p += part;
            if (s->left != SIZE_MAX && !(s->left -= part)) s->part = s->chunked ? CHUNK_END : WHOLE;
        } else if (*p++ == '\n') meta_line(s);
        else if (s->meta_size < sizeof s->meta - 1) s->meta[s->meta_size++] = p[-1];
    }
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void finish(stream *s) {
    int clean = s->part == WHOLE || (s->part == BODY && s->left == SIZE_MAX);
    if (s->fault == NONE) {
        if (s->status != 200) blame(s, REFUSED, "not served");
        else if (!clean) blame(s, CUT, "the body is cut short");
        else if (s->tokens != asked.tokens) blame(s, ORDER, "the stream ends too early or too late");
        else if (!s->ended) blame(s, NO_END, "no end marker");
        else if (asked.has_ids && !s->ids) blame(s, ID, "no ids");
    }
    faults[s->fault]++;
    whole += s->fault == NONE;
    if (!finished++) say_mark("ending");
    if (s->fd >= 0) close(s->fd);
    s->is_open = 0;
    open_now--;
}

static void start(stream *s) {
    char *line = s->line;
    size_t room = s->line_room;
    *s = (stream){.line = line, .line_room = room, .is_open = 1, .began = now_ns()};
    started++;
    if (++open_now > open_most) open_most = open_now;
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (s->fd < 0 || (connect(s->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)) {
        blame(s, REFUSED, strerror(errno));
        finish(s);
        return;
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &event);
}

static void writable(stream *s) {
    ssize_t sent = send(s->fd, request + s->sent, request_size - s->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        blame(s, REFUSED, strerror(errno));
        finish(s);
        return;
    }
    s->sent += (size_t)sent;
    if (s->sent < request_size) return;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &event);
}

static void readable(stream *s) {
    static char buffer[READ_BYTES];
    ssize_t got = recv(s->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got > 0) {
        reads++;
        bytes += (uint64_t)got;
        feed(s, buffer, (size_t)got, now_ns());
    } else if (got < 0) blame(s, CUT, strerror(errno));
    if (got <= 0 || s->part == WHOLE) finish(s);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static void start_next(stream *s) {
    while (!s->is_open && started < asked.requests) start(s); /* again if it was refused at once */
}

static void run(stream *streams, uint64_t began) {
    struct epoll_event found[BATCH];
    for (int opened = 0; finished < asked.requests;) {
        double elapsed_s = (double)(now_ns() - began) / 1e9;
        if (elapsed_s > asked.patience_s) return;
        int due = elapsed_s < asked.ramp_s ? (int)(asked.at_once * elapsed_s / asked.ramp_s) + 1 : asked.at_once;
        while (opened < due) start_next(&streams[opened++]);
        int count = epoll_wait(poller, found, BATCH, opened < asked.at_once ? 1 : 100);
        for (int i = 0; i < count; i++) {
            stream *s = found[i].data.ptr;
            if (s->sent < request_size) writable(s);
            else readable(s);
            start_next(s);
        }
    }
}

static int compare(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void print_times(const char *name, uint32_t *times, size_t count) {
    qsort(times, count, sizeof *times, compare);
    printf(",\"%s\":{", name);
    const struct { const char *name; double share; } shares[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"max", 1}};
    for (int i = 0; i < 4; i++)
        printf("%s\"%s\":%.1f", i ? "," : "", shares[i].name,
            count ? times[(size_t)((double)(count - 1) * shares[i].share + .5)] * (UNIT_NS / 1e3) : -1.0);
    printf("}");
}

static void print_result(uint64_t began) {
    double wall_s = (double)(now_ns() - began) / 1e9, token_s = (double)(last_token_at - first_token_at) / 1e9;
    uint64_t most = (uint64_t)asked.requests * asked.tokens;
    printf("{\"streams\":%d,\"whole\":%d,\"tokens\":%lu,\"data_lines\":%lu,\"reads\":%lu,\"bytes\":%lu,"
        "\"open_most\":%d,\"wall_s\":%.4f,\"token_s\":%.4f,\"fault\":\"%s\",\"faults\":{", asked.requests, whole, tokens,
        events, reads, bytes, open_most, wall_s, token_s, first_fault);
    for (int i = NONE + 1, some = 0; i < FAULTS; i++)
        if (faults[i]) printf("%s\"%s\":%d", some++ ? "," : "", fault_names[i], faults[i]);
    printf("}");
    print_times("delay_us", delays, tokens < most ? tokens : most);
    print_times("first_us", firsts, (size_t)live);
    printf("}\n");
}

static int read_options(int count, char **words) {
    for (int option; (option = getopt(count, words, "p:P:b:H:c:r:n:R:e:t:si")) != -1;)
        switch (option) {
        case 'p': asked.port = atoi(optarg); break;
        case 'P': asked.path = optarg; break;
        case 'b': asked.body = optarg; break;
        case 'H': asked.header = optarg; break;
        case 'c': asked.at_once = atoi(optarg); break;
        case 'r': asked.requests = atoi(optarg); break;
        case 'n': asked.tokens = (unsigned)atoi(optarg); break;
        case 'R': asked.ramp_s = atof(optarg); break;
        case 'e': asked.end = optarg; break;
        case 't': asked.patience_s = atof(optarg); break;
        case 's': asked.is_shared = 1; break;
        case 'i': asked.has_ids = 1; break;
        default: return 0;
        }
    if (asked.requests < asked.at_once) asked.requests = asked.at_once;
    return asked.port > 0 && asked.at_once > 0;
}

static void write_request(void) {
    char length[100] = "";
    if (asked.body)
        snprintf(length, sizeof length, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(asked.body));
    request_size = (size_t)asprintf(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
        "Connection: close\r\n%s%s%s\r\n%s", asked.body ? "POST" : "GET", asked.path, asked.port, length, asked.header,
        asked.header[0] ? "\r\n" : "", asked.body ? asked.body : "");
}

int main(int count, char **words) {
    if (!read_options(count, words)) {
        fprintf(stderr, "usage: load -p PORT [-P PATH] [-b BODY] …; the options stand at the top of load.c\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1ul);
    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)asked.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    write_request();
    stream *streams = calloc((size_t)asked.at_once, sizeof *streams);
    delays = malloc((size_t)asked.requests * asked.tokens * sizeof *delays);
    firsts = malloc((size_t)asked.requests * sizeof *firsts);
    poller = epoll_create1(0);
    uint64_t began = now_ns();
    run(streams, began);
    for (int i = 0; i < asked.at_once; i++)
        if (streams[i].is_open) blame(&streams[i], LATE, "not over in time"), finish(&streams[i]);
    faults[LATE] += asked.requests - finished; /* those that were never opened */
    print_result(began);
    return whole != asked.requests;
}
