"""urllib3's connections, made to keep to the clock and to be cut from any thread.

requests and urllib3 know a timeout for each read only, do not say which socket a request waits on, and cannot be
interrupted while a name is looked up. These classes give the current thread's `Line` the socket that its request is on,
and ask it before each read how long that may take.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from relay.framing import Chunked, Counted, Framing, UntilClosed
from relay.line import Line
from relay.loop import spawn

if TYPE_CHECKING:
    from relay.pool import Pool

_current = threading.local()


@contextmanager
def using(line: Line) -> Iterator[None]:
    """Make this the line of every connection that the current thread opens or takes from a pool."""
    _current.line = line
    try:
        yield
    finally:
        del _current.line


def _aside(connect: Callable[[], socket.socket], line: Line) -> socket.socket:
    """Connect in another thread, since a name is looked up for as long as it takes; wait only as the line allows."""
    future: Future[socket.socket] = Future()
    spawn(partial(_fulfil, future, connect))
    line.hold(future.cancel)
    try:
        return future.result(line.left())
    except (CancelledError, TimeoutError, ConnectionAbortedError) as exc:
        # Cancelled in time, the other thread closes what it gets; else it may just have got it.
        if not future.cancel() and not future.exception():
            future.result().close()
        raise ConnectionAbortedError("stopped, or out of time") from exc


def _fulfil(future: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        sock = connect()
    except (HTTPError, OSError, ValueError) as exc:
        with suppress(InvalidStateError):
            future.set_exception(exc)
        return
    try:
        future.set_result(sock)
    except InvalidStateError:
        sock.close()


def _family(host: str) -> int:
    """Tell which kind of address this is; 0: it is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return family
    return 0


def _shutdown(sock: socket.socket) -> Callable[[], object]:
    # Past the TLS layer: its own shutdown takes the decryption away from a thread that is reading.
    return partial(socket.socket.shutdown, getattr(sock, "socket", sock), socket.SHUT_RDWR)


class _TimedFile(io.RawIOBase):
    """A socket's file that asks the line before each read how long it may take; with `taken` it reads nothing."""

    def __init__(self, raw: Any, sock: socket.socket, line: Line) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._line = line
        self.taken = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.taken:
            return None
        self._sock.settimeout(self._line.left())
        size: int | None = self._raw.readinto(buffer)
        self._line.heard = self._line.heard or bool(size)
        return size

    def close(self) -> None:
        super().close()
        self._raw.close()


class Response(http.client.HTTPResponse):
    """A response whose reading keeps to the line, and whose body can be taken over."""

    connection: Connection

    def __init__(self, line: Line, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.sock = sock
        self._file = _TimedFile(self.fp.detach(), sock, line)
        self.fp = io.BufferedReader(self._file)

    def take_over(self) -> tuple[socket.socket, Framing, bytes]:
        """Leave the body to the caller: its socket, its framing, what came already."""
        self._file.taken = True
        rest = b"" if self.isclosed() else self.fp.read1()
        framing = Chunked() if self.chunked else UntilClosed() if self.length is None else Counted(self.length)
        framing.clean = not self.will_close
        return self.sock, framing, rest or b""


def response_of(raw: Any) -> Response | None:
    """Find what is below urllib3's response; None if it does not come from a socket of ours."""
    response = getattr(raw, "_original_response", None)
    return response if isinstance(response, Response) and isinstance(response.sock, socket.socket) else None


class Connection(HTTPConnection):
    """A connection that keeps to the line of the request that is on it."""

    line: Line
    pool: Pool

    def response_class(self, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Make a response that keeps to the line too."""
        response = Response(self.line, *args, **kwargs)
        response.connection = self
        return response

    def open_for(self, line: Line) -> socket.socket:
        """Give the socket for a request, connected if it is not, on this line from now on."""
        if self.sock:
            self.line = line
            self._ready(self.sock, reused=True)
        else:
            self.timeout = line.timeouts.connect
            with using(line):
                self.connect()
        return self.sock

    def release(self) -> None:
        """Go back to the pool."""
        self.pool._put_conn(self)

    def _new_conn(self) -> socket.socket:
        family = _family(self.host)
        sock = self._straight(family) if family else _aside(super()._new_conn, self.line)
        sock.settimeout(max(self.line.ends - monotonic(), 0.001))
        return sock

    def _straight(self, family: int) -> socket.socket:
        """Connect to an address, which nobody has to look up: no thread, and only this socket to be cut."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            self.line.hold(_shutdown(sock))
            sock.settimeout(self.line.left())
            sock.connect((self.host, self.port))
        except OSError as exc:
            sock.close()
            # As urllib3 says it: a connection that was reset (as by a cut) would pass for one that was made.
            raise NewConnectionError(self, f"Failed to establish a new connection: {exc}") from exc
        return sock

    @property
    def is_connected(self) -> bool:
        """Tell if a kept connection can be used; urllib3's way makes a poll object, dear under gevent."""
        if not isinstance(self.sock, socket.socket) or isinstance(self.sock, ssl.SSLSocket):
            return super().is_connected
        self.sock.settimeout(0)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False  # closed, or something came that nobody has asked for

    def connect(self) -> None:
        """Connect, in the time that the line allows."""
        self.line = _current.line
        super().connect()
        self._ready(self.sock, reused=False)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request of urllib3's on the line of the current thread."""
        self.line = _current.line
        if self.sock and not self.line.connected:
            self._ready(self.sock, reused=True)
        super().request(*args, **kwargs)

    def _ready(self, sock: socket.socket, reused: bool) -> None:
        self.line.connect_done(reused)
        self.line.hold(_shutdown(sock))
        sock.settimeout(self.line.left())


class TlsConnection(Connection, HTTPSConnection):
    """The same with TLS, which takes the descriptor away from its socket while it shakes hands: a twin is cut then."""

    _twin: socket.socket | None = None

    def connect(self) -> None:
        """Connect and shake hands, in the time that the line allows."""
        try:
            super().connect()
        finally:
            if self._twin:
                self._twin.close()

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._twin = sock.dup()
        self.line.hold(_shutdown(self._twin))
        return sock
