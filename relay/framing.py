"""Where the body of an HTTP/1.1 response ends: RFC 9112, sections 6 and 7, without IO."""

from __future__ import annotations

from typing import Protocol

MAX_LINE_BYTES = 8192  # of a chunk's size with its extensions, and of all trailers together

_HEX = b"0123456789abcdefABCDEF"  # int() would take signs, blanks, underscores and 0x too


class FramingError(ValueError):
    """The body is not framed as HTTP/1.1 wants it, or ends in the middle."""


class Framing(Protocol):
    """Take a body out of its framing; `ended` when it is whole, `clean` if the connection can carry another then.

    While it is `between` two chunks the next one begins with the next byte.
    """

    ended: bool
    clean: bool
    between: bool

    def feed(self, data: bytes) -> bytes:
        """Return what these bytes hold of the body, as soon as it is there. Raises FramingError."""

    def cut(self) -> bytes:
        """Note that the connection was closed; nothing more comes. Raises FramingError if something is missing."""


class Chunked:
    """Take the chunks apart; trailers are read over."""

    def __init__(self) -> None:
        self.ended = False
        self.clean = self.between = True
        self._rest = b""  # of a line that is not whole
        self._left = 0  # of the chunk that is being read
        self._after_chunk = False  # its CRLF comes next
        self._in_trailers = False  # and behind them
        self._room = MAX_LINE_BYTES  # for the line, or for what is left of the trailers

    def feed(self, data: bytes) -> bytes:
        """Return the chunks' contents, joined: all that can be had of them."""
        if self.between and (size := size_of(data)):
            return data[-2 - size : -2]  # nearly always
        parts: list[bytes] = []
        place = _whole_chunks(data, parts) if self.between else 0
        if place < len(data):
            self._take_apart(data, place, parts)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def cut(self) -> bytes:
        """Raise, since only the last chunk says that nothing is missing."""
        raise FramingError("the connection was closed within a chunked body")

    def _take_apart(self, data: bytes, place: int, parts: list[bytes]) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        while place < len(data) and not self._rest:
            place = self._in_chunk(data, place, parts) if self._left else self._line(data, place)
        self.between = not (self._left or self._rest or self._after_chunk or self._in_trailers)

    def _in_chunk(self, data: bytes, place: int, parts: list[bytes]) -> int:
        part = data[place : place + self._left]
        parts.append(part)
        self._left -= len(part)
        self._after_chunk = not self._left
        return place + len(part)

    def _line(self, data: bytes, place: int) -> int:
        if self.ended:
            self.clean = False  # nobody has asked for anything yet
            return len(data)
        end = data.find(b"\n", place) + 1
        if (end or len(data)) - place > self._room:
            raise FramingError("a chunk's size or the trailers are too long")
        if not end:
            self._rest = data[place:]
            return place
        line = data[place:end].rstrip(b"\r\n")
        if self._after_chunk:
            if line:
                raise FramingError("a chunk is longer than it says")
            self._after_chunk = False
        elif self._in_trailers:
            self.ended = not line
            self._room -= end - place
        else:
            self._left = _size(line.partition(b";")[0].strip())
            self._in_trailers = not self._left
        return end


class Counted:
    """Take as many bytes as the headers said."""

    between = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length
        self.clean = True

    def feed(self, data: bytes) -> bytes:
        """Return the bytes, as far as they belong to the body."""
        body = data[: self._left]
        self._left -= len(body)
        self.ended = not self._left
        self.clean = self.clean and len(body) == len(data)
        return body

    def cut(self) -> bytes:
        """Raise, since some are missing."""
        raise FramingError(f"the connection was closed with {self._left} bytes missing")


class UntilClosed:
    """Take all that comes; whether it is whole, the connection does not say."""

    between = False

    def __init__(self) -> None:
        self.ended = self.clean = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes."""
        return data

    def cut(self) -> bytes:
        """End the body."""
        self.ended = True
        return b""


def size_of(chunk: bytes) -> int:
    """Tell how much a chunk holds, if these bytes are one, whole and as servers write it, and nothing more; else 0."""
    size = len(chunk) - chunk.find(b"\r\n") - 4
    is_one = size > 0 and chunk.startswith(b"%x\r\n" % size) and chunk[-2:] == b"\r\n"
    return size if is_one else 0


def _whole_chunks(data: bytes, parts: list[bytes]) -> int:
    """Take the whole chunks at the beginning apart, which is nearly always all; return where something else begins."""
    place = 0
    while (end := data.find(b"\r\n", place)) > place:
        digits = data[place:end]
        if digits.strip(_HEX):
            break
        stop = end + 2 + int(digits, 16)
        if stop == end + 2 or data[stop : stop + 2] != b"\r\n":
            break
        parts.append(data[end + 2 : stop])
        place = stop + 2
    return place


def _size(digits: bytes) -> int:
    if not digits or digits.strip(_HEX):
        raise FramingError(f"expected a chunk's size, got {digits[:40]!r}")
    return int(digits, 16)
