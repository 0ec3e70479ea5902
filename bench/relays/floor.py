"""The least that a durable token can cost in Python: take it in, parse it, number it, commit it to SQLite, send it.

All of it in one callback of gevent's loop. Nothing is checked, bounded, hashed, fenced or shared, and no request is
parsed as HTTP wants it: a relay like this may not be used, but none that does what it does can be cheaper. With the
argument `bare` a token is received and sent, and nothing else: the least that one can cost that is only passed on.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import gc
import os
import socket
import sqlite3
import sys
import time
from typing import Any

import gevent
import orjson
from gevent.hub import Waiter
from gevent.server import StreamServer

gc.set_threshold(10_000)
UPSTREAM = ("127.0.0.1", int(os.environ["UPSTREAM"].rpartition(":")[2]))
DATABASE = sqlite3.connect("floor.sqlite3", isolation_level=None)
DATABASE.execute("PRAGMA journal_mode = WAL")
DATABASE.execute("PRAGMA synchronous = NORMAL")
DATABASE.execute("CREATE TABLE entries(pos INTEGER PRIMARY KEY, stream TEXT, seq INTEGER, block BLOB, at REAL)")
CURSOR = DATABASE.cursor()
INSERT = "INSERT INTO entries(stream, seq, block, at) VALUES (?, ?, ?, ?)"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


class Stream:
    """One answer."""

    end = b"0\r\n\r\n"

    def __init__(self, name: str, client: Any) -> None:
        self.name, self.client, self.seq = name, client, 0

    def take(self, data: bytes) -> bool:
        """Pass whole chunks on, each line of data as an event; true behind the last."""
        place = 0
        while (end := data.find(b"\r\n", place)) >= 0 and (size := int(data[place:end], 16)):
            for line in data[end + 2 : end + 2 + size].split(b"\n\n"):
                if line[:6] == b"data: ":
                    self.pass_on(line[6:])
            place = end + 4 + size
        return place < len(data)

    def pass_on(self, line: bytes) -> None:
        """Number a line, keep it, and send it."""
        self.seq += 1
        if line == b"[DONE]":
            said = b'{"state":"complete"}'
        else:
            said = orjson.dumps({"content": orjson.loads(line)["choices"][0]["delta"].get("content") or ""})
        block = b"data: %b\nid: %b:%d\n\n" % (said, self.name.encode(), self.seq)
        CURSOR.execute(INSERT, (self.name, self.seq, block, time.time()))
        self.client.send(b"%x\r\n%b\r\n" % (len(block), block), socket.MSG_DONTWAIT)


class Bare(Stream):
    """One that is only passed on."""

    end = b""

    def take(self, data: bytes) -> bool:
        """Pass on what came; true at the end of the body."""
        self.client.send(data, socket.MSG_DONTWAIT)
        return data.endswith(b"0\r\n\r\n")


KIND = Bare if "bare" in sys.argv else Stream


def answer(sock: Any, address: tuple[str, int]) -> None:
    """Ask the model server just what was asked, and pass on what it says."""
    asked = sock.recv(65_536)
    with socket.create_connection(UPSTREAM) as upstream:
        upstream.sendall(asked)
        said = b""
        while b"\r\n\r\n" not in said:
            said += upstream.recv(65_536)
        sock.sendall(HEAD)
        stream, rest = KIND(f"answer:{address[1]}", sock._sock), said.partition(b"\r\n\r\n")[2]
        if not (rest and stream.take(rest)):
            follow(upstream, stream)
    sock.sendall(stream.end)


def follow(upstream: Any, stream: Stream) -> None:
    """Pass on what comes, in the event loop."""
    hub = gevent.get_hub()
    waiter: Waiter[bool] = Waiter(hub)
    receive = upstream._sock.recv

    def look() -> None:
        try:
            data = receive(65_536)
            if not data or stream.take(data):
                waiter.switch(True)
        except BaseException:  # noqa: BLE001  it belongs to whoever waits
            waiter.throw(*sys.exc_info())

    with hub.loop.io(upstream.fileno(), 1) as watcher:
        watcher.start(look)
        waiter.get()


StreamServer(("127.0.0.1", int(os.environ["PORT"])), answer, backlog=4096).serve_forever()
