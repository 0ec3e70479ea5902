"""The connection of a request's client, looked at and written to below gunicorn and gevent.

gevent's `sendall` asks the socket for its error before each write, and gunicorn's chunk is another layer above it: half
of what a token costs. So blocks that come while the response's generator waits go to the socket from here, framed as
gunicorn frames them. Where the body is not plain chunks (TLS, HTTP/1.0, another server) everything goes through the
server.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from relay.loop import below

log = logging.getLogger(__name__)

NO_SOCKET = -1  # what a closed one has for a descriptor


class Chunks:
    """Write blocks to a client's socket, each as a chunk: an outlet of a pipe (relay/outlet.py)."""

    def __init__(self, wrapped: Any) -> None:
        self._wait_and_send = wrapped.sendall
        self._send = below(wrapped).send
        self._rest = b""

    def take(self, block: bytes) -> bool:
        """Send a block, as far as it goes at once; False if some is left for `flush`."""
        return self.send(b"%x\r\n%b\r\n" % (len(block), block))

    def send(self, chunk: bytes) -> bool:
        """Send a chunk, in the same way."""
        try:
            sent = self._send(chunk, socket.MSG_DONTWAIT)
        except OSError:  # full, or the client has gone; `flush` will see
            sent = 0
        self._rest = chunk[sent:]
        return not self._rest

    def flush(self) -> None:
        """Wait until what is left is sent; raises OSError, as any write does, if the client has gone."""
        if self._rest:
            rest, self._rest = self._rest, b""
            try:
                self._wait_and_send(rest)
            except TimeoutError as error:  # gunicorn would log a traceback for each client that vanished
                raise BrokenPipeError(errno.EPIPE, "the client takes nothing") from error


class Client:
    """The client's socket, where the server gives one; a half-closed connection counts as closed.

    For `timeout_s` it may take nothing, whether it does not read or has vanished without a FIN; then a write fails.
    """

    def __init__(self, environ: Mapping[str, Any], timeout_s: float) -> None:
        wrapped = environ.get("gunicorn.socket")
        # gevent's own recv waits whatever the flags say, so that the socket below it is asked.
        self._socket: socket.socket | None = below(wrapped)
        if self._socket is not None and self._socket.family in (socket.AF_INET, socket.AF_INET6):
            self._bound_silence(self._socket, timeout_s)
        takes_chunks = self._socket is not None and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        self.outlet = Chunks(wrapped) if takes_chunks and not isinstance(wrapped, ssl.SSLSocket) else None

    @property
    def descriptor(self) -> int:
        """The socket's, for the kernel to be asked about; NO_SOCKET where there is none, or no more."""
        return NO_SOCKET if self._socket is None else self._socket.fileno()

    def gone(self) -> bool:
        """Tell, without reading or waiting, if the client has closed its connection."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def cut(self) -> None:
        """Tear the connection: whoever is blocked in writing to it gets an error at once."""
        self._shut(socket.SHUT_RDWR)

    def take_no_more(self) -> None:
        """Let no further request come in on a kept connection."""
        self._shut(socket.SHUT_RD)

    def _shut(self, how: int) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(how)
            except OSError:
                log.debug("connection was closed already")

    @staticmethod
    def _bound_silence(plain: socket.socket, timeout_s: float) -> None:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * timeout_s))
