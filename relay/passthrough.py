"""The relay of the article and of /v1: what the model server says, passed on as it arrives."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from relay import spans, tally
from relay.completion import cause
from relay.errors import TalkaboutError, UpstreamBroken, UpstreamError
from relay.framing import size_of
from relay.pipe import Pipe
from relay.reply_errors import ReplyTooLong
from relay.sse import WholeLines, encode
from relay.tally import OnEnd
from relay.upstream import Call

# What the end of a completion looks like. Looked for only once the stream is over, in its last blocks, each of which
# begins with a line: text that a model writes stands inside JSON, where its quotes are escaped, so that it can never
# look like this. Two expressions that begin with what is looked for: one of both would be tried at each byte.
_LAST_LINE = re.compile(rb'data:(?<![^\r\n]data:) ?(?:\[DONE\]|\{ ?"error")')
_REASON = re.compile(rb'"finish_reason" ?: ?"[^"]')
_BYTES_OF_EACH = 4096
_FIRST_BLOCKS = _LAST_BLOCKS = 8

Shape = Callable[[TalkaboutError], dict[str, Any]]


def brief(error: TalkaboutError) -> dict[str, Any]:
    """Say in an event what broke a stream off, as CONTRACT section 2 has it."""
    return {"message": error.public, "type": "upstream_error"}


def full(error: TalkaboutError) -> dict[str, Any]:
    """Say the same in the shape that OpenAI's clients read."""
    kind = "upstream_error" if isinstance(error, UpstreamError) else "server_error"
    return {"message": error.public, "type": kind, "param": None, "code": error.code}


class _Passage:
    """What goes from a call to its reader: whole lines, taken out of their chunks or, if they can be, left in them.

    Neither way waits for anything. The first blocks and the last ones are kept: those tell what a block holds, these
    how it has ended. The last 32 of each stream would be more than the caches hold.
    """

    def __init__(self, pipe: Pipe, max_event_bytes: int) -> None:
        self.block = b""  # the last one that `take` was given
        self.size = 0  # of all
        self._pipe = pipe
        self._lines = WholeLines(max_event_bytes)
        self._most = min(max_event_bytes, _BYTES_OF_EACH)
        self._first: list[bytes] = []
        self._last: deque[bytes] = deque(maxlen=_LAST_BLOCKS)
        self._is_simple = False  # the first are kept, and no line has begun

    def take(self, piece: bytes) -> bool:
        """Hand over the lines that are whole now; True if the reader is too slow for them."""
        self.block = block = self._lines.feed(piece)
        if block:
            self.size += len(block)
            short = block if len(block) <= _BYTES_OF_EACH else b":" + block[-_BYTES_OF_EACH:]  # not a line's beginning
            (self._first if len(self._first) < _FIRST_BLOCKS else self._last).append(short)
        self._is_simple = len(self._first) == _FIRST_BLOCKS and not self._lines.rest
        return bool(block) and not self._pipe.put_now(block)

    def take_chunk(self, chunk: bytes) -> bool:
        """Hand over one chunk of whole lines as it came, if the reader waits for it; False if nothing was done."""
        if not self._is_simple or chunk[-3:] != b"\n\r\n":
            return False
        size = size_of(chunk)
        if not 0 < size <= self._most or not self._pipe.send_now(chunk):
            return False
        self.size += size
        self._last.append(chunk[-size - 2 : -2])
        return True

    @property
    def rest(self) -> bytes:
        """Return what has come of a line that is not whole."""
        return self._lines.rest

    def seen(self) -> list[bytes]:
        """Return what is kept of the blocks, in their order."""
        return [*self._first, *self._last]


def relay(call: Call, pipe: Pipe, max_event_bytes: int, shape: Shape = brief, on_end: OnEnd | None = None) -> None:
    """Pass every whole line of an opened call on, unaltered; close the pipe and the call.

    Only whole lines go out, so that a heartbeat may stand between any two of them. A stream that breaks off gets a last
    event `data: {"error": …}`, of that shape.
    """
    passage = _Passage(pipe, max_event_bytes)
    last, failure = b"", None
    try:
        while call.read(passage.take, passage.take_chunk):
            pipe.put(passage.block)  # the reader is slow: it is waited for here, and not in the event loop
        if not has_ended((passage.rest, *reversed(passage.seen()))):  # the newest first: there it stands
            raise call.cut()
        last = passage.rest
    except TalkaboutError as error:
        failure = cause(error, pipe)
        last = _error_event(shape(failure), b"".join(passage.seen())[-4:])
    finally:
        pipe.close(last)
        prompt, completion, chars = tally.of_stream([*passage.seen(), passage.rest], passage.size)
        spans.count(call.span, prompt, completion)
        call.close()
        if on_end:
            on_end(prompt, completion, chars, failure)


def read_whole(call: Call, max_bytes: int) -> bytes:
    """Read a completion that is no stream, from its request to its end, and close the call.

    Raises UpstreamError, and ReplyTooLong for more than `max_bytes`.
    """
    body = bytearray()
    try:
        call.open()
        for piece in call:
            body += piece
            if len(body) > max_bytes:
                raise ReplyTooLong(f"more than {max_bytes} bytes")
        if call.span:  # only then, since what is charged is read off it once the client has it
            spans.count(call.span, *tally.of_reply(bytes(body))[:2])
    finally:
        call.close()
    if not body.rstrip().endswith(b"}"):  # where the connection's end is the body's, nothing else tells
        raise UpstreamBroken("the reply ended within its JSON")
    return bytes(body)


def has_ended(blocks: Iterable[bytes]) -> bool:
    """Tell if the last blocks of a stream say that the completion has ended, and was not cut."""
    return any(_REASON.search(block) or _LAST_LINE.search(block) for block in blocks)


def error_block(body: dict[str, Any], id: str | None = None) -> bytes:
    """Write the last event of a stream that broke off."""
    return encode(orjson.dumps({"error": body}).decode(), None, id)


def _error_event(body: dict[str, Any], before: bytes) -> bytes:
    """Say what went wrong; an event that was left unfinished is ended first, else the two would become one."""
    unfinished = before and not before.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
    return b"\n" + error_block(body) if unfinished else error_block(body)
