"""The connection of a request's client, looked at below gunicorn and gevent."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

_TCP_USER_TIMEOUT_MS = 30_000  # a client that vanished without a FIN is given up after this


class Client:
    """The client's socket, where the server gives one; a half-closed connection counts as closed."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        wrapped = environ.get("gunicorn.socket")
        # gevent's own recv waits whatever the flags say, so that the socket below it is asked.
        self._socket: socket.socket | None = getattr(wrapped, "_sock", wrapped)
        if self._socket is not None and self._socket.family in (socket.AF_INET, socket.AF_INET6):
            self._bound_silence(self._socket)

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
    def _bound_silence(plain: socket.socket) -> None:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
