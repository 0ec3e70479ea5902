"""Attacks by what is sent: broken and deep JSON, long heads, line breaks and paths where they do not belong."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator

import requests

from relay.sse import Decoder, Event
from tests.attacks.outcome import Attack, Outcome
from tests.attacks.target import Target, head, status_of

DEEP = 200_000
HUGE = 10_000_000_000
BREAKS = ["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\0", "\u2028", "\x85", "\x0b"]
EVIL = "evil"
TRAVERSALS = [
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..%252f",
    "..%c0%af",
    "....//",
    "..\\",
    "..%5c",
    "..;/",
    "%00/../",
]
PREY = ["app.py", "data/secret_key", "secret_key", "talkabout.sqlite3", "etc/passwd", ".env", ".git/config"]
SECRETS = [b"root:", b"create_app", b"SQLite format", b"[core]", b"TALKABOUT_"]
JSON_ROUTES = [
    "/api/answers",
    "/api/conversations",
    "/api/conversations/import",
    "/stream",
    "/talkeAbout",
    "/talkeAbouttestSseEmitter",
    "/talkeAbouttestEvent",
    "/sse/send/mallory",
]
USABLE = b'{"prompt": "x", '  # by routes that know no other field of it
BROKEN_JSON = [
    b"",
    b"{",
    b"}",
    b"[]",
    b"null",
    b"1e999",
    b"NaN",
    b'"',
    b'"\\ud800"',
    b"{'prompt': 'x'}",
    b'{"prompt": "x"',
    b'{"prompt": 1}',
    b'{"prompt": null, "name": null, "data": NaN}',
    b'{"prompt": ["x"], "name": {}}',
    b'{"prompt": "\xff\xfe"}',
    b'{"prompt": "x", "conversation": "../../x"}',
    b'{"prompt": "x", "answer": "not-a-uuid"}',
    b'{"prompt": "x", "model": "no such model"}',
    b'\xef\xbb\xbf{"prompt": 1}',
    b"9" * 100_000,
    b'{"a":1,' * 10_000,
]


def broken_json(target: Target, size: int) -> Outcome:
    """Flood every route that takes JSON with what is none, or has the wrong shape."""
    outcome = Outcome()
    with target.session() as session:
        for number in range(size):
            path, body = JSON_ROUTES[number % len(JSON_ROUTES)], BROKEN_JSON[number % len(BROKEN_JSON)]
            reply = _post(session, target.url + path, body)
            unused = path in ("/api/conversations", "/sse/send/mallory") and body.startswith(b'{"prompt": ')
            outcome.status(reply.status_code, f"{path} {body[:60]!r}", served=unused or body.startswith(USABLE))
    return outcome


def deep_json(target: Target, size: int) -> Outcome:
    """Nest values so deeply that a parser that calls itself would run out of stack."""
    outcome = Outcome()
    kinds = [b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b'{"data":' + b"[" * DEEP]
    with target.session() as session:
        for number in range(size):
            path, body = JSON_ROUTES[number % len(JSON_ROUTES)], kinds[number % len(kinds)]
            outcome.status(_post(session, target.url + path, body).status_code, f"{path} {body[:20]!r}")
    return outcome


def long_heads(target: Target, size: int) -> Outcome:
    """Send heads that are too long in one way or another."""
    outcome = Outcome()
    long = "x" * 100_000
    heads = [
        head("GET", f"/{long}"),
        head("GET", f"/?prompt={long}"),
        head("GET", "/", f"X-A: {long}"),
        head("GET", "/", f"{long}: a"),
        head("GET", "/", *[f"X-{number}: a" for number in range(10_000)]),
        head("GET", "/api/conversations", f"Cookie: talkabout={long}"),
        head(long, "/"),
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b" folded\r\n" * 10_000 + b"\r\n",
    ]
    for data, reply in target.send_all([heads[number % len(heads)] for number in range(size)]):
        outcome.status(status_of(reply), repr(data[:40]))
    return outcome


def line_breaks_in_headers(target: Target, size: int) -> Outcome:
    """Put line breaks into everything that could come back in a header."""
    outcome = Outcome()
    for number in range(size):
        pushed = f"a%0d%0aX-{EVIL}:%20yes%0d%0a%0d%0a<b>"
        path = [
            f"/c/{pushed}",
            f"/{pushed}",
            f"/api/answers/{pushed}/events",
            f"/sse/connect/{pushed}",
            f"/s/{pushed}",
            f"/?lang={pushed}",
            f"/playground?prompt={pushed}",
            f"/login?next={pushed}",
            f"/api/conversations/{pushed}/export?format=markdown",
            f"/api/conversations?before={pushed}&limit={pushed}",
        ][number % 10]
        names = ["X-Request-Id", "Last-Event-ID", "Accept-Language", "Origin", "Host", "Traceparent"]
        lines = [f"{name}: a\rX-{EVIL}: yes" for name in names[: number % 3]]
        reply = target.send(head("GET", path, "Accept: text/html", "Connection: close", *lines), 3)
        before_body = reply.partition(b"\r\n\r\n")[0].lower()
        outcome.status(status_of(reply), path, served=True)
        outcome.must(f"\nx-{EVIL}".encode() not in before_body.replace(b"\r", b"\n"), f"a header of {path}")
    return outcome


def events_in_fields(target: Target, size: int) -> Outcome:
    """Put whole events into everything that stands in one; whoever reads must see it as the text that it is."""
    outcome = Outcome()
    with target.session() as session:
        for number in range(size):
            text = BREAKS[number % len(BREAKS)].join(["a", f"event: {EVIL}", "id: 999", "retry: 1", "data: x", "", "b"])
            heard = list(_answer(target, session, text))
            outcome.tried += 1
            outcome.served += 1
            names = {event.event for event in heard}
            outcome.must(EVIL not in names and "999" not in {event.id for event in heard}, f"{text!r} made an event")
            said = "".join(json.loads(event.data).get("content", "") for event in heard if event.event == "message")
            outcome.must(not heard or said == text.replace("\0", ""), f"{text!r} became {said!r}")
            sent = session.post(f"{target.url}/sse/send/mallory", json={"data": text, "event": text}, timeout=10)
            outcome.status(sent.status_code, f"the event name {text!r}", served=not set(text) & set("\r\n\0"))
    return outcome


def paths(target: Target, size: int) -> Outcome:
    """Try to reach files that are not the browser's."""
    outcome = Outcome()
    pick = random.Random(1)
    for _ in range(size):
        up = "".join(pick.choice(TRAVERSALS) for _ in range(pick.randint(1, 8)))
        path = (
            pick.choice(["/static/", "/static/js/", "/", "/s/", "/c/", "//", "/static//", "/api/files/"])
            + up
            + pick.choice(PREY)
        )
        reply = target.send(head("GET", path, "Connection: close"), 5)
        outcome.status(status_of(reply), path, served=status_of(reply) in (301, 302, 303, 307, 308))
        outcome.must(not any(secret in reply for secret in SECRETS), f"{path} shows a file")
    return outcome


def huge_bodies(target: Target, size: int) -> Outcome:
    """Announce or send more than is taken, plain, in chunks, in many fields and many parts."""
    outcome = Outcome()
    form = "Content-Type: application/x-www-form-urlencoded"
    fields = "&".join(f"{letter}{number}=1" for letter in string.ascii_letters for number in range(3000)).encode()
    parts = (
        b"".join(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' for _ in range(15_000)) + b"--b--\r\n"
    )
    sent = [
        head("POST", "/api/answers", "Content-Type: application/json", f"Content-Length: {HUGE}"),
        head("POST", "/api/answers", "Content-Type: application/json", "Transfer-Encoding: chunked")
        + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 40,
        head("POST", "/", form, f"Content-Length: {len(fields)}", "Connection: close") + fields,
        head(
            "POST",
            "/",
            "Content-Type: multipart/form-data; boundary=b",
            f"Content-Length: {len(parts)}",
            "Connection: close",
        )
        + parts,
        head(
            "POST",
            "/api/answers",
            "Content-Type: application/json",
            "Content-Encoding: gzip",
            "Content-Length: 4",
            "Connection: close",
        )
        + b"\x1f\x8b\0\0",
    ]
    for data, reply in target.send_all([sent[number % len(sent)] for number in range(size)]):
        outcome.status(status_of(reply), repr(data[:150]))
    return outcome


def _post(session: requests.Session, url: str, body: bytes) -> requests.Response:
    return session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=30)


def _answer(target: Target, session: requests.Session, prompt: str) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream"}
    with session.post(f"{target.url}/api/answers", json={"prompt": prompt}, headers=headers, timeout=30) as response:
        if response.status_code == 200:
            yield from Decoder().feed(response.content)


ATTACKS = (
    Attack("broken JSON", broken_json, 4000, "each field is checked; 400 and 422 with the field's name"),
    Attack("JSON 200,000 deep", deep_json, 200, "orjson's own limit of depth"),
    Attack("heads that are too long", long_heads, 160, "gunicorn's limits of line, header and count"),
    Attack(
        "line breaks for headers",
        line_breaks_in_headers,
        300,
        "gunicorn's parser; werkzeug writes no header with a line break",
    ),
    Attack(
        "events in every field (SSE injection)",
        events_in_fields,
        200,
        "one encoder: line breaks in data become data lines, names with one are refused",
    ),
    Attack("paths to other files", paths, 2000, "werkzeug's safe_join; there is nothing but routes"),
    Attack("bodies without measure", huge_bodies, 100, "`TALKABOUT_MAX_BODY_BYTES`, werkzeug's limit of form parts"),
)
