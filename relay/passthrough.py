"""The relay of the article: the model server's own lines, passed on as they arrive."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from typing import Any

import orjson

from relay import chat
from relay.completion import cause
from relay.errors import TalkaboutError, UpstreamBroken
from relay.pipe import Pipe
from relay.sse import WholeLines, encode
from relay.upstream import Call

# What the end of a completion looks like. Looked for only once the stream is over, in its last blocks, each of which
# begins with a line: text that a model writes stands inside JSON, where its quotes are escaped, so that it can never
# look like this.
_END = re.compile(rb'(?:^|[\r\n])data: ?(?:\[DONE\]|\{ ?"error")|"finish_reason" ?: ?"[^"]')
_USAGE = re.compile(rb'"usage" ?: ?(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')
_BLOCKS_AT_THE_END, _BYTES_OF_EACH = 32, 4096


def relay(call: Call, pipe: Pipe, max_event_bytes: int) -> tuple[dict[str, Any] | None, int]:
    """Pass every whole line of an opened call on, unaltered; close the pipe and the call.

    Returns the model server's count of tokens, if it stands at the end, and how many events were passed on.

    Only whole lines go out, so that a heartbeat may stand between any two of them. A stream that breaks off gets a last
    event `data: {"error": …}`.
    """
    lines = WholeLines(max_event_bytes)
    seen: deque[bytes] = deque(maxlen=_BLOCKS_AT_THE_END)
    block = last = b""
    events = 0

    def take(chunk: bytes) -> bool:
        nonlocal block, events
        block = lines.feed(chunk)
        if not block:
            return False
        events += block.count(b"data:")
        seen.append(block if len(block) <= _BYTES_OF_EACH else b":" + block[-_BYTES_OF_EACH:])  # not a line's beginning
        return not pipe.put_now(block)

    try:
        while call.read(take):
            pipe.put(block)  # the reader is slow: it is waited for here, and not in the event loop
        if not any(map(_END.search, (lines.rest, *reversed(seen)))):  # the newest first: there it stands
            raise UpstreamBroken("the stream ended without [DONE] and without a finish reason")
        last = lines.rest
    except TalkaboutError as error:
        last = _error_event(cause(error, pipe), b"".join(seen)[-4:])
    finally:
        pipe.close(last)
        call.close()
    return _usage_in(b"".join(seen)), events


def _usage_in(end: bytes) -> dict[str, Any] | None:
    """Find the count of tokens in the last blocks: in text that a model writes its quotes would be escaped."""
    for found in reversed(_USAGE.findall(end)):
        with suppress(ValueError):
            return chat.counts(orjson.loads(found))
    return None


def _error_event(error: TalkaboutError, before: bytes) -> bytes:
    """Say what went wrong; an event that was left unfinished is ended first, else the two would become one."""
    event = encode(orjson.dumps({"error": {"message": error.public, "type": "upstream_error"}}).decode())
    unfinished = before and not before.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
    return b"\n" + event if unfinished else event
