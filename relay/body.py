"""The body of a model server's response, read as it arrives.

    SocketBody   past requests and urllib3, straight from the socket: all bytes that are there, with one system call
                 and, under gevent, without a switch of greenlets
    PlainBody    through urllib3: where there is no socket (a transport of our own), or the body is compressed

Both give the same pieces and the same errors.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic

import requests
import urllib3

from relay.errors import UpstreamBroken, UpstreamError, UpstreamStopped, UpstreamTimeout, UpstreamUnreachable
from relay.framing import Framing, FramingError
from relay.line import Line
from relay.loop import below, while_readable
from relay.pool import Pool
from relay.wire import response_of

READ_BYTES = 65_536

_FOREIGN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)  # requests' own are OSErrors
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Take = Callable[[bytes], bool]  # must not wait; True: enough for now
TakeChunk = Callable[[bytes], bool]  # must not wait; gets what came, in its framing; False: nothing was done with it


class SocketBody:
    """Read a body from its socket; `read` in one thread, which then closes the response."""

    def __init__(
        self, sock: socket.socket, framing: Framing, rest: bytes, line: Line, release: Callable[[], None]
    ) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._recv = _tls_recv(sock) if isinstance(sock, ssl.SSLSocket) else below(sock).recv
        self._framing = framing
        self._rest = rest + _decrypted(sock)
        self._line = line
        self._release = release
        self.released = False
        self._take: Take = bool
        self._take_chunk: TakeChunk | None = None
        self._enough = False

    def read(self, take: Take, take_chunk: TakeChunk | None = None) -> bool:
        """Give each piece to `take` until that returns True, then return True; False at the body's end.

        What comes where a chunk begins is offered to `take_chunk` first, as it came. At the end the connection is free
        for the next request. Raises UpstreamError, and what `take` raises.
        """
        self._take, self._take_chunk, self._enough = take, take_chunk, False
        try:
            if not self._rest_was_enough() and not self._framing.ended:
                self._line.listen()
                while not while_readable(self._sock, self._ready, _left(self._line)):
                    pass
        finally:
            self._take, self._take_chunk = bool, None  # who gave them has this body too: garbage, to be looked for
        if self._framing.ended and self._framing.clean and not self.released:
            self.released = True
            self._release()
        return self._enough

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._framing.ended

    def _rest_was_enough(self) -> bool:
        if not self._rest:
            return False
        rest, self._rest = self._rest, b""
        with Ours(self._line):
            return self._pass_on(rest)

    def _ready(self) -> bool:
        try:
            data = self._recv(READ_BYTES)
            if self._take_chunk and self._framing.between and not self._line.stopped and self._take_chunk(data):
                self._line.body_heard_at = monotonic()
                return False
            return self._pass_on(data)
        except _NOT_YET:
            return False
        except (OSError, FramingError) as exc:
            raise _translated(exc, self._line) from exc

    def _pass_on(self, data: bytes) -> bool:
        framing = self._framing
        if self._line.stopped:
            raise UpstreamStopped("stopped")
        if piece := framing.feed(data) if data else framing.cut():
            self._line.body_heard_at = monotonic()
            self._enough = self._take(piece)
        return self._enough or framing.ended


class PlainBody:
    """Read a body through urllib3; as SocketBody."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, line: Line) -> None:
        self.ended = self.released = False
        self._raw = raw
        self._line = line

    def read(self, take: Take, take_chunk: TakeChunk | None = None) -> bool:
        """Give each piece to `take` until that returns True, then return True; False at the body's end."""
        while True:
            self._line.listen()
            with Ours(self._line):
                self._line.left()
                piece: bytes = self._raw.read1(READ_BYTES, decode_content=True)
            if self._line.stopped:
                raise UpstreamStopped("stopped")
            if not piece:
                self.ended = True
                return False
            self._line.body_heard_at = monotonic()
            if take(piece):
                return True


@dataclass(frozen=True)
class Reply:
    """A response whose headers have come; whoever has it closes it, in the thread that reads it."""

    status: int
    headers: Mapping[str, str]  # asked for by names in lower case
    body: SocketBody | PlainBody
    shut: Callable[[], None]  # the connection
    pool: Pool | None = None  # what further connections can be taken from

    def close(self) -> None:
        """Close the connection, unless the body was read to its end, and it is free for others."""
        if not self.body.released:
            self.shut()


def reply_of(response: requests.Response, line: Line) -> Reply:
    """Take a response of requests; a compressed one, and what has no socket of ours, is left to urllib3."""
    raw = response.raw
    below = None if raw.headers.get("Content-Encoding") else response_of(raw)
    if below is None:
        return Reply(response.status_code, response.headers, PlainBody(raw, line), response.close)

    def release() -> None:
        below.close()  # before it is another's: a connection takes no request while it has a response
        raw.release_conn()

    body = SocketBody(*below.take_over(), line, release)
    return Reply(response.status_code, response.headers, body, response.close, below.connection.pool)


def pieces(body: SocketBody | PlainBody) -> Iterator[bytes]:
    """Give a body to a reader that may wait between its pieces; raises UpstreamError."""
    some: list[bytes] = []

    def take(piece: bytes) -> bool:
        some.append(piece)
        return True

    while body.read(take):
        yield some.pop()


class Ours:
    """Turn every exception of requests and of what is below it, that a block raises, into one of ours."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        """Begin; a generator's context manager would cost twice as many calls, four times a request."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End, with an error of ours if there was a foreign one."""
        if isinstance(error, _FOREIGN):
            raise _translated(error, self._line) from error


def _left(line: Line) -> float:
    with Ours(line):
        return line.left()


def _translated(exc: Exception, line: Line) -> UpstreamError:
    # What went wrong is told by how far the request had come, not by the class: that depends on the layer that saw it.
    if line.stopped:
        return UpstreamStopped("stopped")
    if line.over:
        return UpstreamTimeout(line.limit, line.timeouts.of(line.limit))
    reached = line.connected and (line.heard or not line.reused)
    return (UpstreamBroken if reached else UpstreamUnreachable)(f"{type(exc).__name__}: {exc}")


def _tls_recv(sock: ssl.SSLSocket) -> Callable[[int], bytes]:
    def recv(size: int) -> bytes:
        return sock.recv(size) + _decrypted(sock)

    return recv


def _decrypted(sock: socket.socket) -> bytes:
    """Take what TLS has decrypted already: the socket below does not say that it can be read."""
    data = b""
    while isinstance(sock, ssl.SSLSocket) and (waiting := sock.pending()):
        data += sock.recv(waiting)
    return data
