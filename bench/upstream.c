/* A model server that costs next to nothing: `upstream PORT`.
 *
 * POST …/chat/completions streams as OpenAI does. How many tokens, and how far apart, stands in the prompt:
 * `bench n=100 i=50000` asks for 100 tokens, 50 ms apart; i=0 sends as fast as the socket takes them. Each token says
 * when it left, which one it is and of which stream: `t=<CLOCK_MONOTONIC in ns>.<number>.<stream, hex> `.
 * Each is one event, one HTTP chunk and one send(), as model servers write them. GET …/models lists one model; anything
 * else is a 404.
 *
 * One thread. What is due next is at the top of a heap; a paced stream starts at a phase of its own, so that the tokens
 * of many streams do not come in bursts, and its n-th token is due at a fixed time, so that it never drifts.
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

#define REQUEST_BYTES 8192 /* the longest request */
#define UNSENT_BYTES 1024  /* the longest piece that is written at once: an event, or the headers */
#define AT_A_TURN 32       /* events that an unpaced stream writes before the others have their turn */
#define BATCH 1024         /* sockets that one epoll_wait reports */

#define CHUNK(text, length) length "\r\n" text "\r\n"

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char STREAM_END[] = CHUNK("data: [DONE]\n\n", "e") "0\r\n\r\n";
static const char MODELS[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"owned_by\":\"bench\"}]}";

typedef struct {
    int fd; /* -1: the client has gone, but the heap still holds the connection */
    int streaming, in_heap, close_after;
    char request[REQUEST_BYTES + 1];
    size_t got;
    char unsent[UNSENT_BYTES];
    size_t unsent_from, unsent_to;
    unsigned id, next, tokens; /* the stream: its number, its next token, and how many there are */
    uint64_t began, interval, due;
} connection;

static int poller;
static unsigned streams;
static connection **heap;
static size_t heap_size, heap_room;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- what is due when --------------------------------------------------------------------------------------------- */

static void heap_push(connection *c) {
    if (heap_size == heap_room) {
        heap_room = heap_room ? 2 * heap_room : 1024;
        heap = realloc(heap, heap_room * sizeof *heap);
    }
    size_t i = heap_size++;
    for (; i && heap[(i - 1) / 2]->due > c->due; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
    c->in_heap = 1;
}

static connection *heap_pop(void) {
    connection *top = heap[0], *last = heap[--heap_size];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap_size; i = child) {
        if (child + 1 < heap_size && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= last->due) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    top->in_heap = 0;
    return top;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void watch(connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void forget(connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    if (!c->in_heap) free(c); /* else when it is due */
}

/* Write a piece. Return 1 if all went out, 0 if the rest waits until the socket takes it, -1 if the client has gone. */
static int put(connection *c, const char *piece, size_t size) {
    ssize_t sent = c->unsent_to > c->unsent_from ? 0 : send(c->fd, piece, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    if (sent < 0) sent = 0;
    if ((size_t)sent == size) return 1;
    if (c->unsent_to + size - (size_t)sent > UNSENT_BYTES) return -1;
    memcpy(c->unsent + c->unsent_to, piece + sent, size - (size_t)sent);
    c->unsent_to += size - (size_t)sent;
    watch(c, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
    return 0;
}

static int put_token(connection *c, uint64_t now) {
    char event[512], chunk[600];
    int is_last = c->next + 1 == c->tokens;
    int size = snprintf(event, sizeof event,
        "data: {\"id\":\"chatcmpl-%08x\",\"object\":\"chat.completion.chunk\",\"created\":1763827200,"
        "\"model\":\"bench\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,"
        "\"delta\":{\"content\":\"t=%015llu.%u.%x \"},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
        c->id, (unsigned long long)now, c->next, c->id, is_last ? "\"stop\"" : "null");
    c->next++;
    int went = put(c, chunk, (size_t)snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", size, event));
    if (went < 0 || !is_last) return went;
    c->streaming = 0;
    return put(c, STREAM_END, sizeof STREAM_END - 1);
}

/* Write the tokens that are due, and note when the next one is. */
static void go_on(connection *c) {
    int went = 1;
    uint64_t now = now_ns();
    for (int i = 0; i < AT_A_TURN && went == 1 && c->streaming && c->due <= now; i++) {
        went = put_token(c, now);
        now = now_ns();
        c->due = c->interval ? c->began + c->next * c->interval : now; /* unpaced: behind all that wait already */
    }
    if (went < 0 || (went && !c->streaming && c->close_after)) forget(c);
    else if (went && c->streaming) heap_push(c); /* else it goes on when the socket has taken the rest */
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static int put_whole(connection *c, const char *status, const char *body) {
    char answer[UNSENT_BYTES];
    return put(c, answer, (size_t)snprintf(answer, sizeof answer,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body));
}

static void answer(connection *c, const char *head, const char *body) {
    unsigned tokens = 0, interval_us = 0;
    const char *line_end = strstr(head, "\r\n"), *order = strstr(body, "bench n=");
    const char *completions = strstr(head, "/chat/completions"), *models = strstr(head, "/models");
    int went;
    c->close_after = strcasestr(head, "\r\nConnection: close") != NULL;
    if (!strncmp(head, "POST ", 5) && completions && completions < line_end) {
        if (!order || sscanf(order, "bench n=%u i=%u", &tokens, &interval_us) != 2 || !tokens) {
            went = put_whole(c, "400 Bad Request", "{\"error\":{\"message\":\"the prompt orders no tokens\"}}");
        } else {
            c->id = ++streams;
            c->next = 0;
            c->tokens = tokens;
            c->interval = 1000ull * interval_us;
            c->due = now_ns(); /* the first token leaves at once, the others are shifted by a phase that is well spread */
            c->began = c->due + (c->interval ? c->id * 0x9E3779B97F4A7C15ull / 65536 % c->interval : 0);
            c->streaming = 1;
            went = put(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
            if (went == 1) {
                go_on(c);
                return;
            }
        }
    } else if (!strncmp(head, "GET ", 4) && models && models < line_end) {
        went = put_whole(c, "200 OK", MODELS);
    } else {
        went = put_whole(c, "404 Not Found", "{\"error\":{\"message\":\"not found\"}}");
    }
    if (went < 0 || (went == 1 && c->close_after)) forget(c);
}

/* Read; answer if a whole request is there. Clients here never send the next one before they have the answer. */
static void readable(connection *c) {
    ssize_t got = recv(c->fd, c->request + c->got, REQUEST_BYTES - c->got, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { /* gone, or a request that is too long */
        forget(c);
        return;
    }
    c->got += (size_t)got;
    c->request[c->got] = 0;
    char *body = strstr(c->request, "\r\n\r\n");
    if (!body) return;
    body += 4;
    char *length = strcasestr(c->request, "\r\nContent-Length:");
    size_t size = length && length < body ? strtoul(length + 17, NULL, 10) : 0;
    if (c->got < (size_t)(body - c->request) + size) return;
    body[-2] = 0; /* the head ends behind its last line */
    c->got = 0;
    answer(c, c->request, body);
}

static void writable(connection *c) {
    ssize_t sent = send(c->fd, c->unsent + c->unsent_from, c->unsent_to - c->unsent_from, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        forget(c);
        return;
    }
    c->unsent_from += (size_t)sent;
    if (c->unsent_from < c->unsent_to) return;
    c->unsent_from = c->unsent_to = 0;
    watch(c, EPOLLIN | EPOLLRDHUP);
    if (c->streaming) go_on(c);
    else if (c->close_after) forget(c);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void accept_all(int listener) {
    int client, on = 1;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection *c = calloc(1, sizeof *c); /* pages that are never touched cost nothing */
        c->fd = client;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, client, &event);
    }
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("upstream: cannot listen");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    return listener;
}

static void handle(connection *c, uint32_t events) {
    if (events & EPOLLOUT) writable(c); /* alone: whatever has come as well is reported again */
    else readable(c);
}

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1ul); /* else the kernel wakes us up to 50 us late */
    poller = epoll_create1(0);
    int listener = listen_on(atoi(words[1]));
    for (;;) {
        struct epoll_event events[BATCH];
        uint64_t now = now_ns(), due = heap_size ? heap[0]->due : 0, wait = due > now ? due - now : 0;
        struct timespec patience = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
        int found = epoll_pwait2(poller, events, BATCH, heap_size ? &patience : NULL, NULL);
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr) handle(events[i].data.ptr, events[i].events);
            else accept_all(listener);
        }
        /* Each that is due now, once: an unpaced stream is due again at once, and the sockets want their turn. */
        now = now_ns();
        for (size_t due_now = heap_size; due_now && heap_size && heap[0]->due <= now; due_now--) {
            connection *c = heap_pop();
            if (c->fd < 0) free(c);
            else go_on(c);
        }
    }
}
