"""A port of its own that takes connections in a thread, for proxies that misbehave."""

from __future__ import annotations

import socket

from tests.beside import Beside


class Listener(Beside):
    """Take connections while it is entered, and let `meet` have each."""

    def __init__(self) -> None:
        super().__init__()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def meet(self, client: socket.socket) -> None:
        """Do what is to be done with a connection; the next one waits meanwhile."""
        raise NotImplementedError

    def end(self) -> None:
        """Take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which a close would not
        self._listener.close()

    def go_on(self) -> None:
        """Take one after the other."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.meet(client)
