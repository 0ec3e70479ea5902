"""Attacks by connections: too slow, too many, never reading, or not HTTP at all."""

from __future__ import annotations

import contextlib
import select
import socket
import time
import uuid
from collections import Counter

import requests

from tests.attacks.outcome import Attack, Outcome
from tests.attacks.target import READER_S, Target, head, posted, status_of, until

SLOW_S = 15.0
SMALL = 4096
TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(160)
GARBAGE = [
    b"\0" * 4096,
    b"\xff\xfe\xfd" * 1000,
    TLS_HELLO,
    b"GET /\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 5000,
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"CONNECT other:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
]
HIDDEN = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = [
    f"POST /api/answers HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{body}".encode()
    for lines, body in [
        (f"Content-Length: {len(HIDDEN) + 5}\r\nTransfer-Encoding: chunked", f"0\r\n\r\n{HIDDEN}"),
        ("Content-Length: 0\r\nContent-Length: 44", HIDDEN),
        ("Content-Length: -1", HIDDEN),
        ("Content-Length: +4", "abcd"),
        ("Content-Length: 4, 4", "abcd"),
        ("Transfer-Encoding: chunked, identity", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding: xchunked", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding : chunked", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding: chunked", f"0x0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding: chunked", f"1;a=\n\r\nx\r\n0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding:\x0bchunked", f"0\r\n\r\n{HIDDEN}"),
    ]
]


def slow_headers(target: Target, size: int) -> Outcome:
    """Send a header's line now and then, and never the last."""
    return _slow(target, size, b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n")


def slow_bodies(target: Target, size: int) -> Outcome:
    """Send a byte of a body now and then."""
    begun = head("POST", "/api/answers", "Content-Type: application/json", "Content-Length: 100000")
    return _slow(target, size, begun, b" ")


def idle_readers(target: Target, size: int) -> Outcome:
    """Follow a channel on many connections, and do nothing."""
    outcome = Outcome()
    with contextlib.ExitStack() as open_:
        clients = []
        for _ in range(size):
            clients.append(open_.enter_context(target.connect()))
            clients[-1].sendall(head("GET", "/sse/connect/mallory", "Accept: text/event-stream"))
        for client in clients:
            client.settimeout(30)
            outcome.status(status_of(client.recv(65536)), "an idle reader", served=True)
        with target.session() as session:
            session.post(f"{target.url}/sse/send/mallory", json={"data": "still there"}, timeout=10)
        until(lambda: _readable(clients) >= outcome.served, "every idle reader to hear of it")
    return outcome


def never_reading(target: Target, size: int) -> Outcome:
    """Ask for 4 MB each, and read nothing: the readers are let go, the answers go on to their end."""
    outcome = Outcome(size)
    answers = [str(uuid.uuid4()) for _ in range(size)]
    with contextlib.ExitStack() as open_, target.session() as session:
        clients = [open_.enter_context(socket.socket()) for _ in answers]
        for client, answer in zip(clients, answers, strict=True):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            client.connect(("127.0.0.1", target.server.port))
            fields = {"prompt": "flood", "answer": answer}
            client.sendall(posted("/api/answers", fields, "Accept: text/event-stream"))
        until(lambda: target.server.holds(clients) == size, "the readers to be there")
        shown = f"{target.url}/api/answers"
        until(
            lambda: all(_state(session, f"{shown}/{each}") != "running" for each in answers),
            "answers to end",
            patience_s=240,
        )
        states = Counter(_state(session, f"{shown}/{each}") for each in answers)
        outcome.must(set(states) == {"complete"}, f"answers are not whole: {states}")
        with contextlib.suppress(AssertionError):
            until(lambda: not target.server.holds(clients), "the readers to be let go", patience_s=READER_S + 30)
        outcome.refused = size - target.server.holds(clients)
        outcome.must(outcome.refused == size, "readers that read nothing are still connected")
    return outcome


def not_http(target: Target, size: int) -> Outcome:
    """Send what is no request, or one that no server here takes."""
    outcome = Outcome()
    for sent, reply in target.send_all([GARBAGE[number % len(GARBAGE)] for number in range(size)]):
        outcome.status(status_of(reply), repr(sent[:30]))
    return outcome


def smuggled(target: Target, size: int) -> Outcome:
    """Say two things about where a request ends, so that a proxy could see another one than the server does."""
    outcome = Outcome()
    for data, reply in target.send_all([SMUGGLED[number % len(SMUGGLED)] for number in range(size)]):
        outcome.status(status_of(reply), repr(data[:90]))
        outcome.must(b"HTTP/1.1 2" not in reply, f"the hidden request in {data[:90]!r} was served")
    return outcome


def _slow(target: Target, size: int, begun: bytes, more: bytes) -> Outcome:
    outcome = Outcome(size)
    with contextlib.ExitStack() as open_:
        clients = [open_.enter_context(target.connect()) for _ in range(size)]
        for client in clients:
            client.sendall(begun)
        deadline = time.monotonic() + SLOW_S
        while clients and time.monotonic() < deadline:
            time.sleep(0.3)
            clients = [client for client in clients if _goes_on(client, more)]
    outcome.refused = size - len(clients)
    outcome.must(not clients, f"{len(clients)} are still connected after {SLOW_S:g} s")
    return outcome


def _goes_on(client: socket.socket, more: bytes) -> bool:
    try:
        client.sendall(more)
    except OSError:
        return False
    return not select.select([client], [], [], 0)[0]


def _readable(clients: list[socket.socket]) -> int:
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    return len(poll.poll(0))


def _state(session: requests.Session, url: str) -> str:
    return str(session.get(url, timeout=10).json().get("state", "running"))


ATTACKS = (
    Attack(
        "headers a line at a time (slowloris)", slow_headers, 500, "gunicorn's limit on reading a head (`keepalive`)"
    ),
    Attack("bodies a byte at a time", slow_bodies, 200, "`TALKABOUT_BODY_TIMEOUT_S`"),
    Attack("idle readers", idle_readers, 10_000, "22 kB a reader; past `TALKABOUT_MAX_STREAMS` a 503"),
    Attack("readers that never read, of 4 MB each", never_reading, 50, "`TALKABOUT_READER_TIMEOUT_S`, readers pull"),
    Attack("no HTTP at all", not_http, 200, "gunicorn's parser"),
    Attack("requests with two ends (smuggling)", smuggled, 110, "gunicorn's parser"),
)
