"""Server-Sent Events: bytes to events and back, by the WHATWG HTML standard, section "Server-sent events".

Nothing here does IO. Everything works on bytes until a line is whole, so that neither a cut UTF-8 sequence nor U+2028
can go wrong, and lets C find the line ends: `bytes.splitlines` knows LF, CR and CRLF and, unlike that of str, no other.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from relay.errors import BadEventField, EventTooLong

RETRY_MS = 2000  # what a client waits before it reconnects; stands in the first event of each of our streams
PING = b": ping\n"  # a lone comment line; a blank line after it would be an empty event to more than one client

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_EVENT = re.compile(r"[\x00\r\n]")
_ID = re.compile(r"[!-~]{1,128}")
_RETRY_DIGITS = 18  # more would be 30 million years; int() itself gives up at some thousand digits


class Event(NamedTuple):
    """Hold one dispatched event; `id` is the last event ID in force when it was dispatched."""

    data: str
    event: str = "message"
    id: str = ""


class _LineBuffer:
    """Keep the unfinished line of a stream, and remember when the bound was passed."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._rest = bytearray()  # grows in place: a long line in tiny pieces costs linear time and no list of pieces
        self._failed = False

    def _fail(self) -> NoReturn:
        self._failed = True
        self._rest.clear()
        raise EventTooLong(f"expected lines and events of at most {self._max} bytes")


class Decoder(_LineBuffer):
    """Decode an event stream that comes in pieces of any size.

    `last_event_id` and `retry` (milliseconds, None until the stream says one) are what a reconnection would use. An
    event that the stream does not finish with a blank line is never dispatched, and its id never taken over.
    """

    def __init__(self, max_event_bytes: int = 1 << 20, last_event_id: str = "") -> None:
        super().__init__(max_event_bytes)
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._id = last_event_id
        self._event = ""
        self._data = bytearray()  # as in the standard: each data line with an LF behind it
        self._at_start = True
        self._after_cr = False
        self._is_between = True  # events: nothing of the next one has come, and nothing went wrong

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that end in this chunk.

        Raises EventTooLong once a line or an event's data is over the bound, and at each call from then on; events that
        ended earlier in the same chunk are lost with it.
        """
        if self._is_between and chunk[:6] == b"data: " and chunk[-2:] == b"\n\n" and b"\r" not in chunk:
            all_data = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(all_data) and len(chunk) <= self._max:  # nearly always: whole events
                self._at_start, id = False, self.last_event_id
                return [Event(each.decode("utf-8", "replace"), "message", id) for each in all_data]
        events: list[Event] = []
        data = self._data
        self._is_between = False
        for line in self.lines(chunk):
            if line[:6] == b"data: ":
                data += line[6:]
                data += b"\n"
            elif line:
                self._field(line)
            else:
                self.last_event_id = self._id
                if data:
                    events.append(self._dispatch())
                self._event = ""
        if len(data) > self._max:
            self._fail()
        waits = self._rest or data or self._event or self._after_cr or self._id != self.last_event_id
        self._is_between = not waits
        return events

    def lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in this chunk, without their ends; the rest waits for the next one.

        A CR ends its line at once, so that no event waits for the byte behind it; an LF there is the same line end.
        """
        if self._failed:
            self._fail()
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines()
        tail = b"" if self._after_cr or chunk.endswith(b"\n") or not lines else lines.pop()
        if lines:
            self._finish(lines, len(chunk))
        self._rest += tail
        if len(self._rest) > self._max:
            self._fail()
        return lines

    def _finish(self, lines: list[bytes], chunk_bytes: int) -> None:
        may_be_long = chunk_bytes + len(self._rest) > self._max
        if self._rest:
            lines[0] = bytes(self._rest + lines[0])
            self._rest.clear()
        if may_be_long and max(map(len, lines)) > self._max:
            self._fail()
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value + b"\n"
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry = int(value)

    def _dispatch(self) -> Event:
        data = self._data
        if len(data) > self._max:
            self._fail()
        text = data[:-1].decode("utf-8", "replace")
        data.clear()
        return Event(text, self._event or "message", self.last_event_id)

    def _fail(self) -> NoReturn:
        self._data.clear()
        super()._fail()


class WholeLines(_LineBuffer):
    """Pass a stream's bytes on unaltered, but only up to the end of a line, so that a line can be put in between.

    A CR ends its line here only once the next byte is known to be no LF. `max_bytes` bounds a line without its end.
    """

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        super().__init__(max_bytes)

    @property
    def rest(self) -> bytes:
        """Return what has come of a line that is not whole yet."""
        return bytes(self._rest)

    def feed(self, chunk: bytes) -> bytes:
        """Return the lines that are whole now, with their ends; raises EventTooLong as `Decoder.feed` does."""
        if self._failed:
            self._fail()
        if not self._rest and len(chunk) <= self._max and chunk[-1:] == b"\n":
            return chunk  # nearly always
        cut = chunk.rfind(b"\n") + 1
        cut = max(cut, chunk.rfind(b"\r", cut, -1) + 1)
        if not cut and not (chunk and self._rest.endswith(b"\r")):
            self._rest += chunk
            self._check(b"")
            return b""
        whole = bytes(self._rest + chunk[:cut])
        self._rest[:] = chunk[cut:]
        self._check(whole)
        return whole

    def _check(self, whole: bytes) -> None:
        pending = len(self._rest) - self._rest.endswith(b"\r")
        if pending > self._max or (len(whole) > self._max and max(map(len, whole.splitlines())) > self._max):
            self._fail()


def encode(data: str, event: str | None = None, id: str | None = None, retry: int | None = None) -> bytes:
    """Write one event as a block of bytes: retry (milliseconds), event, data, id, blank line.

    The id comes last because clients exist that take it over as soon as they read its line. Raises BadEventField for
    what would not arrive as given. Each CR, LF or CRLF in `data` arrives as LF, a lone surrogate as `?`.
    """
    # A NUL in data stays, as in the standard. Firefox drops it; data whose letters count is JSON, which escapes it.
    text = f"data: {data}\n" if "\n" not in data and "\r" not in data else _data_lines(data)
    if event is not None:
        if not event or _NO_EVENT.search(event):
            raise BadEventField(f"event: expected one line without NUL, got {event[:80]!r}")
        text = f"event: {event}\n{text}"
    if retry is not None:
        if retry < 0:
            raise BadEventField(f"retry: expected milliseconds, got {retry}")
        text = f"retry: {retry:d}\n{text}"
    if id is not None:
        if not _ID.fullmatch(id):
            raise BadEventField(f"id: expected 1 to 128 characters from ! to ~, got {id[:160]!r}")
        text = f"{text}id: {id}\n"
    return f"{text}\n".encode("utf-8", "replace")


def encode_line(data: bytes, id: bytes) -> bytes:
    """Write one event as `encode` does, whose data is one line of UTF-8, and whose id is in order: nobody looks."""
    return b"data: %b\nid: %b\n\n" % (data, id)


def _data_lines(data: str) -> str:
    return "".join([f"data: {line}\n" for line in _LINE_END.split(data)])
