"""The relay's two ways through one stream: chunks that go on as they came, and all else, taken apart."""

from __future__ import annotations

import itertools
import socket
from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import passthrough
from relay.body import SocketBody
from relay.errors import UpstreamBroken
from relay.framing import Chunked
from relay.line import DEFAULT_TIMEOUTS, Line
from relay.pipe import Pipe
from relay.sse import WholeLines
from tests.misbehaviours import TOKENS, done, event
from tests.test_pipe import LONG_S, Task, until_it_waits
from tests.waiting import until
from web.client import Chunks

EVENTS = [event({"content": token}) for token in TOKENS * 5]
WHOLE = b"".join([*EVENTS, event({}, "stop"), done()])


class Asked:
    """A call whose reply comes from a socket; `offered` and `passed` count the chunks on their short way."""

    def __init__(self, sock: socket.socket) -> None:
        self.span = None
        self.offered = self.passed = 0
        self._sock = sock
        self._body = SocketBody(sock, Chunked(), b"", Line(DEFAULT_TIMEOUTS), bool)

    def read(self, take: Callable[[bytes], bool], take_chunk: Callable[[bytes], bool]) -> bool:
        """Read the body."""

        def noted(chunk: bytes) -> bool:
            self.offered += 1
            passed = take_chunk(chunk)
            self.passed += passed
            return passed

        return self._body.read(take, noted)

    def cut(self) -> UpstreamBroken:
        """Make the error of a stream that has no end."""
        return UpstreamBroken("cut")

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def framed(block: bytes, size: str = "{:x}") -> bytes:
    """Write one chunk."""
    return size.format(len(block)).encode() + b"\r\n" + block + b"\r\n"


def unread(sock: socket.socket) -> int:
    """Tell how many bytes wait to be received."""
    waiting = array("i", [0])
    ioctl(sock, FIONREAD, waiting)
    return waiting[0]


def relayed(pieces: list[bytes], in_step: bool = True) -> tuple[bytes, Asked, list[Any]]:
    """Relay what a server sends in these pieces; give what the client got, the call, and what was told at the end.

    In step, each piece comes when the one before it is read and the reader waits.
    """
    told: list[Any] = []
    server, ours = socket.socketpair()
    wire, client = socket.socketpair()
    with server, ours, wire, client:
        asked: Any = Asked(ours)
        pipe = Pipe(max_bytes=1 << 20, reader_timeout_s=LONG_S, heartbeat_s=LONG_S)
        pipe.outlet = Chunks(wire)
        reader = Task(lambda: [wire.sendall(framed(block)) for block in pipe])
        got = Task(lambda: b"".join(iter(lambda: client.recv(1 << 16), b"")))
        relay = Task(lambda: passthrough.relay(asked, pipe, 1 << 20, on_end=lambda *counts: told.append(counts)))
        for piece in pieces:
            if in_step:
                until(lambda: unread(ours) == 0, "what came is read", LONG_S)
                until_it_waits(pipe)
            server.sendall(piece)
        relay.outcome()
        reader.outcome()
        wire.close()
        return bytes(got.outcome()), asked, told  # type: ignore[call-overload]


def content(said: bytes) -> bytes:
    """Take what a client got out of its chunks."""
    return Chunked().feed(said)


def test_a_chunk_of_whole_lines_goes_on_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_apart: list[bytes] = []
    feed = WholeLines.feed
    monkeypatch.setattr(WholeLines, "feed", lambda lines, chunk: taken_apart.append(chunk) or feed(lines, chunk))
    said, asked, told = relayed([*map(framed, EVENTS), framed(event({}, "stop")), framed(done()), b"0\r\n\r\n"])
    assert content(said) == WHOLE
    assert taken_apart == EVENTS[: len(taken_apart)]  # the first ones alone
    assert asked.passed == len(EVENTS) + 2 - len(taken_apart) > 20
    assert told[0][2:] == (pytest.approx(sum(map(len, TOKENS)) * 5, rel=0.3), None)


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(st.integers(1, len(WHOLE) - 1), max_size=40),
    st.lists(st.integers(1, 1 << 16), max_size=20),
    st.sampled_from(["{:x}", "{:X}", "{:04x}", "{:x};a=b"]),
    st.booleans(),
)
def test_what_the_client_gets_does_not_depend_on_where_chunks_and_reads_end(
    ends: list[int], cuts: list[int], size: str, in_step: bool
) -> None:
    places = sorted({0, *ends, *itertools.accumulate(map(len, EVENTS)), len(WHOLE)})
    chunks = [framed(WHOLE[start:stop], size) for start, stop in itertools.pairwise(places)]
    sent = b"".join(chunks) + b"0\r\n\r\n"
    reads = sorted({0, *itertools.accumulate(map(len, chunks)), *(cut for cut in cuts if cut < len(sent)), len(sent)})
    said, _, told = relayed([sent[start:stop] for start, stop in itertools.pairwise(reads)], in_step)
    assert content(said) == WHOLE
    assert told[0][3] is None


@pytest.mark.parametrize("last", [b"data: half", b"data: a CR\r"])
def test_a_line_that_goes_on_in_the_next_chunk_is_waited_for(last: bytes) -> None:
    rest = [b"\n\n", event({}, "stop"), done()]
    said, asked, _ = relayed([*map(framed, [*EVENTS, last, *rest]), b"0\r\n\r\n"])
    assert content(said) == b"".join([*EVENTS, last, *rest])
    assert framed(last) not in said and framed(rest[0]) not in said
    assert asked.offered > asked.passed


def test_a_stream_that_is_cut_behind_such_chunks_says_so() -> None:
    said, _, told = relayed([*map(framed, EVENTS), b"0\r\n\r\n"])
    assert content(said).startswith(b"".join(EVENTS) + b'data: {"error":')
    assert told[0][3] is not None
