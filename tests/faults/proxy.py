"""A TCP proxy before a server that cuts its connections in the middle of an event."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
from collections.abc import Sequence

from tests.listener import Listener

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing tears the connection down, without a word
LONGEST_PIECE = 250  # bytes that a connection gets to carry, about three events


class CuttingProxy(Listener):
    """Lead one reader, who has one connection at a time, to these ports in turn; cut the first `cuts` of them."""

    def __init__(self, ports: Sequence[int], cuts: int) -> None:
        super().__init__()
        self.left = cuts
        self._to = itertools.cycle(ports)

    def meet(self, client: socket.socket) -> None:
        """Carry a connection to its end, or to where it is cut."""
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", next(self._to)), 5) as server,
        ):
            self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        server.settimeout(30)
        server.sendall(_head(client))
        answer = _head(server)
        client.sendall(answer)
        is_stream = b"text/event-stream" in answer
        left = random.randint(20, LONGEST_PIECE) if self.left and is_stream else None
        while some := server.recv(65536):
            if left is not None and len(some) >= left:
                self._cut(client, some[:left])
                return
            left = left - len(some) if left is not None else None
            client.sendall(some)

    def _cut(self, client: socket.socket, last: bytes) -> None:
        client.sendall(last.rstrip(b"\r\n"))  # without its end the last event is none
        self.left -= 1
        if random.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _head(connection: socket.socket) -> bytes:
    """Read to the end of the headers; nothing that is read here has a body within the same piece that matters."""
    head = b""
    while b"\r\n\r\n" not in head:
        some = connection.recv(65536)
        if not some:
            raise ConnectionError("closed before the end of the headers")
        head += some
    return head
