"""A model server's stream, read as the deltas of one completion."""

from __future__ import annotations

import logging

from relay import chat
from relay.chat import Delta
from relay.errors import TalkaboutError, UpstreamError
from relay.pipe import Pipe
from relay.sse import Decoder
from relay.upstream import Call

log = logging.getLogger(__name__)

LAST_S = 2.0  # what a server gets to end its stream after it has said that it is done


class Completion:
    """Read one completion: `feed` what comes; `done` once the upstream has said `[DONE]`."""

    def __init__(self, max_event_bytes: int) -> None:
        self.done = False
        self._decoder = Decoder(max_event_bytes)
        self._finished = False

    def feed(self, piece: bytes, into: list[Delta]) -> None:
        """Append the deltas that end in this piece; those before an error too, which is raised then."""
        for event in self._decoder.feed(piece):
            delta = chat.parse(event.data)
            if delta is None:
                self.done = True
                return
            into.append(delta)
            if delta.finish_reason:
                self._finished = True

    @property
    def is_whole(self) -> bool:
        """Whether the stream may end here: it has said `[DONE]` or a finish reason.

        A cut of a close-delimited body is a clean end of file, so that nothing else tells the two apart.
        """
        return self.done or self._finished


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
