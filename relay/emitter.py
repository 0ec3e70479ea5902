"""SseEmitter: write events from a thread of one's own into a response that is already on its way.

The article's Spring class in Python. The view makes one, starts a producer with it and gives `emitter.pipe` to the
response; the producer calls `send` until it is done, or until `send` raises because nobody can read any longer.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

from relay.errors import StreamTimeout, TalkaboutError
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import PING, RETRY_MS, encode

log = logging.getLogger(__name__)

_Listener = Callable[[Exception | None], None]


class SseEmitter:
    """Send events to one reader; `timeout_s` from now it ends by itself, the other bounds are the pipe's."""

    def __init__(
        self,
        *,
        timeout_s: float | None = None,
        max_bytes: int = Settings.reader_buffer_bytes,
        reader_timeout_s: float = Settings.reader_timeout_s,
        heartbeat_s: float = Settings.heartbeat_s,
    ) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._cause: Exception | None = None  # why it ended; None for an orderly end
        self._retry: int | None = RETRY_MS  # until the first event has it in its block
        self._listeners: list[_Listener] = []
        self._completions: list[_Listener] = []
        self.pipe = Pipe(
            max_bytes=max_bytes,
            reader_timeout_s=reader_timeout_s,
            heartbeat_s=heartbeat_s,
            heartbeat=PING,
            timeout_s=timeout_s,
        )
        self.pipe.on_abandon(self._fail)

    def send(self, data: str, event: str | None = None, id: str | None = None) -> None:
        """Send one event, waiting while the reader is slow.

        Raises why the stream has ended (ReaderGone, ReaderTooSlow, StreamTimeout, Draining, StreamEnded) and
        BadEventField for an event or an id that cannot be carried.
        """
        self.pipe.put(self._encode(data, event, id))

    def complete(self) -> None:
        """End the stream in order; the reader gets all that was sent."""
        self._end(b"", None)

    def complete_with_error(self, error: Exception) -> None:
        """End the stream with the terminal event `done` that says it failed, and what of `error` a user may read."""
        if not isinstance(error, TalkaboutError):
            log.error("a producer of events failed", exc_info=error)
        self._fail(error)

    def on_completion(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the stream has ended, however it ended, after the other callbacks."""
        self._listen(self._completions, lambda _cause: callback())

    def on_timeout(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the stream has lasted longer than `timeout_s`."""
        self._listen(self._listeners, lambda cause: callback() if isinstance(cause, StreamTimeout) else None)

    def on_error(self, callback: Callable[[Exception], None]) -> None:
        """Call `callback` with the error when anything else than completion or the timeout ended the stream."""

        def listener(cause: Exception | None) -> None:
            if cause is not None and not isinstance(cause, StreamTimeout):
                callback(cause)

        self._listen(self._listeners, listener)

    def _encode(self, data: str, event: str | None = None, id: str | None = None) -> bytes:
        block = encode(data, event, id, self._retry)
        self._retry = None
        return block

    def _fail(self, error: Exception) -> None:
        self._end(self._encode(terminal_data("failed", error), "done"), error)

    def _end(self, last: bytes, cause: Exception | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended, self._cause = True, cause
            listeners = self._listeners + self._completions
        self.pipe.close(last)
        for listener in listeners:
            _call(listener, cause)

    def _listen(self, listeners: list[_Listener], listener: _Listener) -> None:
        with self._lock:
            if not self._ended:
                listeners.append(listener)
                return
        _call(listener, self._cause)


def terminal_data(state: str, error: Exception) -> str:
    """Write the data of a terminal event: the state, and of `error` what a user may read and if a retry can help."""
    known = error if isinstance(error, TalkaboutError) else TalkaboutError()
    return json.dumps({"state": state, "error": {"message": known.public, "retriable": known.retriable}})


def _call(listener: _Listener, cause: Exception | None) -> None:
    try:
        listener(cause)
    except Exception:  # the edge of the stream: one callback must break neither the stream nor the other callbacks
        log.exception("a callback of an SseEmitter failed")
