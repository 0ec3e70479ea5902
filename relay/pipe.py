"""A bounded way of bytes from one producer to one reader.

The producer runs in a thread (or greenlet) of its own; the reader is the generator of a response. What waits between
them is bounded, so a slow reader first slows the producer down and is then dropped. Either side can end it:

    open ──close(last)──> the reader gets all that waits, then `last`, then the end
     │
     └──abandon(reason)─> put raises `reason`; the reader ends at once, or, with `linger_s`, when the producer closes
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from time import monotonic

from relay.errors import ReaderGone, ReaderTooSlow, StreamEnded, StreamTimeout, TalkaboutError

log = logging.getLogger(__name__)

FOREVER_S = 1e9
LAST_WORD_S = 2.0  # what the producer gets to write its terminal event when the stream's time is over


class Pipe:
    """Carry blocks of bytes from one producer to one reader, `max_bytes` of them at a time.

    `reader_timeout_s` is how long `put` waits for a reader that takes nothing, `heartbeat` goes to the reader after
    `heartbeat_s` without a block, `timeout_s` (from now) is how long the whole may last.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        reader_timeout_s: float,
        heartbeat_s: float,
        heartbeat: bytes = b"",
        timeout_s: float | None = None,
    ) -> None:
        self.reason: TalkaboutError | None = None
        self._max_bytes = max_bytes
        self._reader_timeout_s = reader_timeout_s
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s if heartbeat else FOREVER_S
        self._ends_at = monotonic() + (FOREVER_S if timeout_s is None else timeout_s)
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        # A notify costs more than all the rest of a put: these say whether anybody waits for one.
        self._reader_waits = False
        self._producer_waits = False
        self._blocks: list[bytes] = []
        self._size = 0
        self._ended = False
        self._callbacks: list[Callable[[TalkaboutError], None]] = []

    def put(self, block: bytes) -> None:
        """Hand a block over, waiting while it does not fit; one that is larger than the bound goes alone.

        Raises the reason once the pipe is abandoned, StreamEnded once it is closed. Abandons it with ReaderTooSlow or
        StreamTimeout, and raises that, when one of these times is over.
        """
        with self._lock:
            late = self._wait_for_room(len(block))
            if late is None and not self._is_over():
                self._add(block)
                return
        if late is not None:
            self._give_up(late)
        raise self.reason.with_traceback(None) if self.reason else StreamEnded()

    def offer(self, block: bytes) -> bool:
        """Hand a block over without ever waiting and say if it was taken.

        A block that does not fit abandons the pipe with ReaderTooSlow.
        """
        with self._lock:
            if self._is_over():
                return False
            if self._fits(len(block)):
                self._add(block)
                return True
        self._give_up(ReaderTooSlow(f"{self._size} bytes wait already"))
        return False

    def close(self, last: bytes = b"") -> None:
        """End the stream from the producer's side; `last` goes to the reader beyond the bound too."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._add(last)
                self._emptied.notify_all()

    def abandon(self, reason: TalkaboutError, linger_s: float = 0.0) -> None:
        """End the stream from the reader's side or from outside; the first reason counts, and none after `close`.

        What waits is thrown away, unless the reader may linger: then it goes on until the producer closes, for
        `linger_s` at most, so that a terminal event gets out.
        """
        with self._lock:
            if self._ended:
                return
            callbacks, self._callbacks = self._callbacks, []
            until = monotonic() + linger_s
            self._ends_at = until if self.reason is None else min(until, self._ends_at)
            self.reason = self.reason or reason
            if linger_s <= 0:
                self._ended = True
                self._blocks, self._size = [], 0
            self._filled.notify_all()
            self._emptied.notify_all()
        for callback in callbacks:
            callback(reason)

    def on_abandon(self, callback: Callable[[TalkaboutError], None]) -> None:
        """Call `callback` with the reason once the pipe is abandoned, now if it is already; it must not raise."""
        with self._lock:
            if self.reason is None:
                self._callbacks.append(callback)
                return
        callback(self.reason)

    def __iter__(self) -> Iterator[bytes]:
        """Give what waits, joined, as soon as there is any; leaving before the end abandons with ReaderGone."""
        handed_at = monotonic()
        try:
            while (block := self._next(handed_at + self._heartbeat_s)) is not None:
                handed_at = monotonic()
                yield block
        finally:
            self.abandon(ReaderGone("the response was closed"))

    def _next(self, beat_at: float) -> bytes | None:
        while True:
            with self._lock:
                self._wait_for_blocks(min(beat_at, self._ends_at))
                if blocks := self._take():
                    break
                if self._ended:
                    return None
            now = monotonic()
            if now >= self._ends_at:
                if self.reason is not None:
                    return None
                self._give_up(StreamTimeout())
            elif now >= beat_at:
                return self._heartbeat
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _wait_for_blocks(self, until: float) -> None:
        if not (self._blocks or self._ended) and (left := until - monotonic()) > 0:
            self._reader_waits = True
            self._filled.wait(left)
            self._reader_waits = False

    def _wait_for_room(self, size: int) -> TalkaboutError | None:
        give_up_at = 0.0
        while not self._is_over():
            now = monotonic()
            if now >= self._ends_at:
                return StreamTimeout()
            if self._fits(size):
                return None
            give_up_at = give_up_at or now + self._reader_timeout_s
            if now >= give_up_at:
                return ReaderTooSlow(f"nothing was taken for {self._reader_timeout_s:g} s")
            self._producer_waits = True
            self._emptied.wait(min(give_up_at, self._ends_at) - now)
        return None

    def _give_up(self, late: TalkaboutError) -> None:
        self.abandon(late, LAST_WORD_S if isinstance(late, StreamTimeout) else 0.0)

    def _is_over(self) -> bool:
        return self._ended or self.reason is not None

    def _fits(self, size: int) -> bool:
        return not self._size or self._size + size <= self._max_bytes

    def _add(self, block: bytes) -> None:
        if block:
            self._blocks.append(block)
            self._size += len(block)
        if self._reader_waits:
            self._reader_waits = False
            self._filled.notify()

    def _take(self) -> list[bytes]:
        blocks, self._blocks, self._size = self._blocks, [], 0
        if self._producer_waits and blocks:
            self._producer_waits = False
            self._emptied.notify_all()
        return blocks


def fill(pipe: Pipe, produce: Callable[[], None]) -> None:
    """Run what fills a pipe in a thread of control of its own; whatever happens there, the pipe is closed at last."""

    def run() -> None:
        try:
            produce()
        except Exception:  # the edge of a stream: a fault of ours must end the stream, not hang it
            log.exception("producer failed")
        finally:
            pipe.close()

    threading.Thread(target=run, daemon=True).start()
