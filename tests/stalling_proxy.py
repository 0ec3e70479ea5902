"""A TCP proxy whose streams can die as those of a laptop that sleeps: nothing comes any more, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from tests.listener import Listener


class StallingProxy(Listener):
    """Carry everything to a port, until `stall` makes the streams that are there go silent."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._connections: list[_Connection] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for each in self._connections:
            each.end()

    def stall(self) -> int:
        """Let the streams be silent from now on, and give their number.

        Connections that nobody uses are closed, as browsers do when they wake up.
        """
        streams = [each for each in self._connections if each.streams]
        for each in self._connections:
            each.silent = True
            if not each.streams:
                each.shut()
        return len(streams)

    def meet(self, client: socket.socket) -> None:
        """Carry a connection from now on."""
        self._connections.append(_Connection(client, socket.create_connection(("127.0.0.1", self._port))))


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.streams = self.silent = False
        self._ends = (client, server)
        ways = ((client, server), (server, client))
        self._threads = [threading.Thread(target=self._carry, args=way, daemon=True) for way in ways]
        for each in self._threads:
            each.start()

    def shut(self) -> None:
        for each in self._ends:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.shut()
        for thread in self._threads:
            thread.join()
        for each in self._ends:
            each.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := source.recv(65536):
                self.streams |= b"\r\nContent-Type: text/event-stream" in some
                if not self.silent:
                    sink.sendall(some)
            if not self.silent:
                sink.shutdown(socket.SHUT_WR)
