"""What goes to Redis and comes from it, in bytes: RESP2. No connection is known here.

redis-py's own reader takes several calls of functions for each line of a reply; a commit's replies are a line each.
"""

from __future__ import annotations

from typing import Any

Part = str | int | float | bytes

_ERROR, _INTEGER, _STRING, _ARRAY, _SIMPLE = b"-:$*+"


class Refused(Exception):
    """Hold what Redis says against a command; it stands among the replies. `code` is its first word."""

    @property
    def code(self) -> str:
        """Return what kind of error it is, such as NOSCRIPT."""
        return str(self).partition(" ")[0]


class Garbled(Exception):
    """Say that what came is no reply of Redis."""


def strings(*parts: Part) -> bytes:
    """Encode some of the parts of a command."""
    texts = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


def packed(*parts: Part) -> bytes:
    """Encode a command."""
    return b"*%d\r\n%b" % (len(parts), strings(*parts))


class Replies:
    """Take whole replies out of what comes: `feed` adds to `whole`."""

    def __init__(self) -> None:
        self.whole: list[Any] = []
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take a piece. Raises Garbled."""
        data, at = self._rest + piece, 0
        try:
            while at < len(data):
                reply, at = _reply(data, at)
                self.whole.append(reply)
        except EOFError:
            pass
        except ValueError:
            raise Garbled("Redis does not answer as Redis does") from None
        self._rest = data[at:]


def _reply(data: bytes, at: int) -> tuple[Any, int]:
    """Return the reply that begins here and where the next one does; EOFError: it is not whole, ValueError: none."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise EOFError
    kind, line, after = data[at], data[at + 1 : end], end + 2
    if kind == _INTEGER:
        return int(line), after
    if kind == _STRING:
        return _string(data, after, int(line))
    if kind == _ARRAY:
        return _array(data, after, int(line))
    if kind == _SIMPLE:
        return line, after
    if kind == _ERROR:
        return Refused(line.decode(errors="replace")), after
    raise ValueError


def _string(data: bytes, at: int, size: int) -> tuple[bytes | None, int]:
    if size < 0:
        return None, at
    if len(data) < at + size + 2:
        raise EOFError
    return data[at : at + size], at + size + 2


def _array(data: bytes, at: int, size: int) -> tuple[list[Any] | None, int]:
    if size < 0:
        return None, at
    replies = []
    for _ in range(size):
        reply, at = _reply(data, at)
        replies.append(reply)
    return replies, at
