"""Producers: what runs beside a response and fills its pipe with an answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from answers.answer import Answer
from relay.completion import cause, deltas, read_to_end
from relay.errors import Draining, ReaderError, TalkaboutError, UpstreamStopped
from relay.pipe import Pipe
from relay.upstream import Call

log = logging.getLogger(__name__)


def start(produce: Callable[[], None], pipe: Pipe) -> None:
    """Run a producer in a thread of control of its own; whatever happens there, the pipe is closed in the end."""

    def run() -> None:
        try:
            produce()
        except Exception:  # the edge of a stream: a fault of ours must end the stream, not hang it
            log.exception("producer failed")
        finally:
            pipe.close()

    threading.Thread(target=run, daemon=True).start()


def write_events(answer: Answer, call: Call, pipe: Pipe, max_event_bytes: int) -> None:
    """Ask the upstream and put the answer's events into the pipe, from the first phase to `done`."""
    state, error = "complete", None
    try:
        pipe.put(answer.phase("connecting"))
        call.open()
        pipe.put(answer.phase("waiting"))
        for some in deltas(call, max_event_bytes):
            if block := answer.append(some):
                pipe.put(block)
    except TalkaboutError as exc:
        error = cause(exc, pipe)
        state = _state_after(error, answer)
    pipe.close(answer.done(state, error))
    _finish(call, error)


def write_text(
    call: Call, pipe: Pipe, max_event_bytes: int, ending: Callable[[TalkaboutError], str], *, opened: bool
) -> None:
    """Put the text of a call into the pipe as UTF-8; `ending` says in words why a text broke off."""
    last, error = "", None
    try:
        if not opened:
            call.open()
        for some in deltas(call, max_event_bytes):
            if text := "".join(delta.content for delta in some):
                pipe.put(text.encode())
    except TalkaboutError as exc:
        error = cause(exc, pipe)
        last = ending(error)
    pipe.close(last.encode())
    _finish(call, error)


def _state_after(error: TalkaboutError, answer: Answer) -> str:
    if isinstance(error, UpstreamStopped):
        return "stopped"
    if isinstance(error, (Draining, ReaderError)) or answer.chars:
        return "interrupted"
    return "failed"


def _finish(call: Call, error: TalkaboutError | None) -> None:
    """Give the upstream's connection back; one that failed or was stopped is closed instead."""
    if error is None:
        read_to_end(call)
    else:
        call.close()
