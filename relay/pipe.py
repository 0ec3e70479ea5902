"""A bounded way of bytes from one producer to one reader.

The producer runs in a thread (or greenlet) of its own; the reader is the generator of a response. What waits between
them is bounded, so a slow reader first slows the producer down and is then dropped. Either side can end it:

    open ──close(last)──> the reader gets all that waits, then `last`, then the end
     │
     └──abandon(reason)─> put raises `reason`; the reader ends at once, or, with `linger_s`, when the producer closes

While the reader waits, and only then, a block goes straight to the outlet, if there is one: nobody has to wake up for
it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from time import monotonic

from relay.errors import ReaderGone, ReaderTooSlow, StreamEnded, StreamTimeout, TalkaboutError
from relay.loop import Lock, spawn, wait_until
from relay.outlet import Outlet
from relay.settings import Settings
from relay.sse import PING

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
        self.outlet: Outlet | None = None  # set by the reader before it reads
        self._max_bytes = max_bytes
        self._reader_timeout_s = reader_timeout_s
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s if heartbeat else FOREVER_S
        self._ends_at = monotonic() + (FOREVER_S if timeout_s is None else timeout_s)
        # No conditions: under gevent one on a plain lock lets others run while it holds the lock (it asks whose it is).
        self._lock = Lock()
        self._filled = threading.Event()
        self._emptied = threading.Event()
        self._reader_waits = False  # and touches neither the blocks nor the outlet
        self._blocks: list[bytes] = []
        self._size = 0
        self._handed_at = monotonic()
        self._ended = False
        self._over = False  # nothing is taken any more: ended, or abandoned
        self._callbacks: list[Callable[[TalkaboutError], None]] = []

    def put(self, block: bytes) -> None:
        """Hand a block over, waiting while it does not fit; one that is larger than the bound goes alone.

        Raises the reason once the pipe is abandoned, StreamEnded once it is closed. Abandons it with ReaderTooSlow or
        StreamTimeout, and raises that, when one of these times is over.
        """
        give_up_at = monotonic() + self._reader_timeout_s
        while not self.put_now(block):
            now = monotonic()
            if now >= self._ends_at:
                self._give_up(StreamTimeout())
            elif now >= give_up_at:
                self._give_up(ReaderTooSlow(f"nothing was taken for {self._reader_timeout_s:g} s"))
            else:
                self._emptied.wait(min(give_up_at, self._ends_at) - now)

    def put_now(self, block: bytes) -> bool:
        """Hand a block over without ever waiting; False if it does not fit. Raises as `put` does."""
        with self._lock:
            if not self._over:
                return self._add(block)
        raise self.reason.with_traceback(None) if self.reason else StreamEnded()

    def send_now(self, chunk: bytes) -> bool:
        """Give a block that is framed as a chunk of HTTP/1.1 to the outlet, if the reader waits for just that."""
        with self._lock:
            if not self._reader_waits or self._over or self.outlet is None:
                return False
            self._handed_at = monotonic()
            if not self.outlet.send(chunk):
                self._reader_waits = False
                self._filled.set()
            return True

    def offer(self, block: bytes) -> bool:
        """Hand a block over without ever waiting and say if it was taken.

        A block that does not fit abandons the pipe with ReaderTooSlow.
        """
        with self._lock:
            if self._over:
                return False
            if self._add(block):
                return True
        self._give_up(ReaderTooSlow(f"{self._size} bytes wait already"))
        return False

    def close(self, last: bytes = b"") -> None:
        """End the stream from the producer's side; `last` goes to the reader beyond the bound too."""
        with self._lock:
            if not self._ended:
                self._ended = self._over = True
                self._callbacks = []  # they know the reader, who knows the pipe: nothing else would let them go
                self._size = 0  # the last block always fits
                self._add(last)
                self._filled.set()
                self._emptied.set()

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
            self._over = True
            if linger_s <= 0:
                self._ended = True
                self._blocks, self._size = [], 0
            self._filled.set()
            self._emptied.set()
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
        try:
            while (block := self._next()) is not None:
                self._handed_at = monotonic()
                yield block
        finally:
            self.abandon(ReaderGone("the response was closed"))

    def _next(self) -> bytes | None:
        while True:
            blocks, ended = self._wait_for_blocks()
            if self.outlet:
                self.outlet.flush()
            if blocks:
                return blocks[0] if len(blocks) == 1 else b"".join(blocks)
            if ended:
                return None
            now = monotonic()
            if now >= self._ends_at:
                if self.reason is not None:
                    return None
                self._give_up(StreamTimeout())
            elif now >= self._handed_at + self._heartbeat_s:
                return self._heartbeat

    def _wait_for_blocks(self) -> tuple[list[bytes], bool]:
        """Take what waits, or comes before something is due; say if nothing comes behind it."""
        with self._lock:
            waits = self._reader_waits = not (self._blocks or self._ended)
            self._filled.clear()
        if waits:
            wait_until(self._filled, self._due)
        with self._lock:
            self._reader_waits = False
            blocks, self._blocks, self._size = self._blocks, [], 0
            self._emptied.set()
            return blocks, self._ended

    def _due(self) -> float:
        """Tell when the reader gets a heartbeat, or the end, if nothing comes before."""
        return min(self._handed_at + self._heartbeat_s, self._ends_at)

    def _give_up(self, late: TalkaboutError) -> None:
        self.abandon(late, LAST_WORD_S if isinstance(late, StreamTimeout) else 0.0)

    def _add(self, block: bytes) -> bool:
        """Take a block, unless it does not fit; the reader wakes up only where there is something for it to do."""
        if self._reader_waits and self.outlet and block:  # an empty chunk would end the body
            self._handed_at = monotonic()
            if self.outlet.take(block):
                return True
        elif self._size and self._size + len(block) > self._max_bytes:
            self._emptied.clear()
            return False
        elif block:
            self._blocks.append(block)
            self._size += len(block)
        self._reader_waits = False
        self._filled.set()
        return True


def to_reader(settings: Settings) -> Pipe:
    """Make the pipe to a reader of an event stream, with the bounds that the settings give."""
    return Pipe(
        max_bytes=settings.reader_buffer_bytes,
        reader_timeout_s=settings.reader_timeout_s,
        heartbeat_s=settings.heartbeat_s,
        heartbeat=PING,
    )


def fill(pipe: Pipe, produce: Callable[[], None]) -> None:
    """Run what fills a pipe in a thread of control of its own; whatever happens there, the pipe is closed at last."""

    def run() -> None:
        try:
            produce()
        except Exception:  # the edge of a stream: a fault of ours must end the stream, not hang it
            log.exception("producer failed")
        finally:
            pipe.close()

    spawn(run)
