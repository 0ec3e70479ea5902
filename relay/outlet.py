"""Where the blocks of a pipe (relay/pipe.py) go in the end."""

from __future__ import annotations

from typing import Protocol


class Outlet(Protocol):
    """Write to one client; one side of the pipe uses it at a time."""

    def take(self, block: bytes) -> bool:
        """Send a block as far as that needs no waiting; False if some of it is left for `flush`."""

    def send(self, chunk: bytes) -> bool:
        """Do the same with a block that is framed as a chunk of HTTP/1.1 already."""

    def flush(self) -> None:
        """Send what is left, and wait for it."""
