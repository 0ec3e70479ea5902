"""A model server's stream, read as the deltas of one completion."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from relay import chat
from relay.chat import Delta
from relay.errors import TalkaboutError, UpstreamBroken, UpstreamError
from relay.pipe import Pipe
from relay.sse import Decoder, Event
from relay.upstream import Call

log = logging.getLogger(__name__)

LAST_S = 2.0  # what a server gets to end its stream after it has said that it is done


def deltas(call: Call, max_event_bytes: int) -> Iterator[list[Delta]]:
    """Yield the deltas of each read, until the upstream has said that the answer is complete.

    What stands before an error in one read is yielded before the error is raised. Raises UpstreamBroken when the stream
    ends without `[DONE]` and without a finish reason: a cut of a close-delimited body is a clean end of file, so that
    nothing else tells the two apart.
    """
    decoder = Decoder(max_event_bytes)
    finished = False
    for chunk in call:
        some: list[Delta] = []
        try:
            done = _parse(decoder.feed(chunk), some)
        except TalkaboutError:
            yield some
            raise
        if some:
            finished = finished or any(delta.finish_reason for delta in some)
            yield some
        if done:
            return
    if not finished:
        raise UpstreamBroken("the stream ended without [DONE] and without a finish reason")


def _parse(events: list[Event], into: list[Delta]) -> bool:
    """Append the deltas of some events; True at `[DONE]`."""
    for event in events:
        delta = chat.parse(event.data)
        if delta is None:
            return True
        into.append(delta)
    return False


def cause(error: TalkaboutError, pipe: Pipe) -> TalkaboutError:
    """Say why an answer broke off: what ended its pipe from outside, else `error`, whose details go to the log."""
    if pipe.reason is None:
        log.warning("%s: %s", type(error).__name__, error)
    return pipe.reason or error


def read_to_end(call: Call) -> None:
    """Read what follows `[DONE]`, so that the connection goes back to the pool; then close the call.

    There are servers that never end a stream: nobody waits for it any more, but the connection would.
    """
    call.end_within(LAST_S)
    try:
        for _ in call:
            pass
    except UpstreamError:
        pass  # the answer is whole already
    finally:
        call.close()
