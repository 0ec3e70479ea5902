"""What waits for the journal, batches in the order in which they came, and how far each stream has got.

Without a thread or a lock: the writer's stands around all of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection

from answers.audience import Refused
from answers.entries import Batch, Entry, News
from answers.measures import Histogram

COMMIT_BYTES = 1 << 20  # what waits after an outage goes in pieces, since SQLite blocks the worker while it commits
NEWS_KEPT = 10_000
NEWS_AT_ONCE = 500  # as COMMIT_BYTES


class Backlog:
    """Keep what waits; `bytes` counts what was taken too, until it is `done`. len() says how much can be taken now."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self.news: list[News] = []
        self.streams: dict[str, Progress] = {}
        self.lag = Histogram()  # of each commit: how long its oldest part has waited, until all of it was handed on
        self._max_bytes = max_bytes
        self._batches: deque[tuple[Batch, int]] = deque()
        self._taken = 0  # bytes
        self._since = self._taken_since = 0.0  # when the oldest came

    def __len__(self) -> int:
        return len(self._batches) + len(self.news)

    def add(self, batch: Batch) -> bool:
        """Take a batch, if there is room; what is larger than all the room goes alone.

        What a refused stream still writes is dropped.
        """
        state = self.streams.get(batch.stream) or self.streams.setdefault(batch.stream, Progress())
        if not state.fenced:
            entries = batch.entries
            size = len(entries[0].block) if len(entries) == 1 else sum([len(entry.block) for entry in entries])
            if self.bytes and self.bytes + size > self._max_bytes:
                return False
            if not self._since:
                self._since = time.monotonic()
            self._batches.append((batch, size))
            self.bytes += size
            state.appended = entries[-1].seq
        return True

    def tell(self, news: News) -> bool:
        """Take news, if there is room."""
        if len(self.news) >= NEWS_KEPT:
            return False
        self._since = self._since or time.monotonic()
        self.news.append(news)
        return True

    def take(self) -> tuple[list[Batch], list[News]]:
        """Hand over what comes next, one batch per stream, and news that stay until they are `done`."""
        self._taken_since, self._since = self._since, 0.0
        if len(self._batches) == 1:
            batch, self._taken = self._batches.popleft()
            return [batch], self.news[:NEWS_AT_ONCE]
        joined: dict[tuple[str, str], list[Entry]] = {}
        self._taken = 0
        while self._batches and self._taken < COMMIT_BYTES:
            batch, size = self._batches.popleft()
            joined.setdefault((batch.stream, batch.owner), []).extend(batch.entries)
            self._taken += size
        if self._batches:
            self._since = self._taken_since
        batches = [Batch(stream, owner, entries) for (stream, owner), entries in joined.items()]
        return batches, self.news[:NEWS_AT_ONCE]

    def done(self, batches: list[Batch], news: list[News], refused: Collection[str]) -> list[Refused]:
        """Keep what has become of what was taken; return which streams were refused now, and whom to tell."""
        self.bytes -= self._taken
        self._taken = 0
        if self._taken_since:
            self.lag.observe(time.monotonic() - self._taken_since)
        if news:
            del self.news[: len(news)]
        for batch in batches:
            state = self.streams.get(batch.stream)
            if state is not None and batch.stream not in refused:
                newest = batch.entries[-1]
                state.written = newest.seq
                if state.waiting:
                    state.let_go()
                if newest.final:
                    del self.streams[batch.stream]
        return [told for stream in refused for told in self._drop(stream)]

    def _drop(self, stream: str) -> list[Refused]:
        for each in [each for each in self._batches if each[0].stream == stream]:
            self._batches.remove(each)
            self.bytes -= each[1]
        state = self.streams.get(stream)
        if state is None or state.fenced:
            return []
        state.fenced = True
        state.let_go(whatever=True)
        return [(stream, state.on_fenced)]


class Progress:
    """Keep how far a stream was handed over and is written, whom to tell if it is refused, and who waits for it."""

    __slots__ = ("appended", "fenced", "on_fenced", "waiting", "written")

    def __init__(self, on_fenced: Callable[[], None] | None = None) -> None:
        self.appended = 0
        self.written = 0
        self.fenced = False
        self.on_fenced = on_fenced
        self.waiting: list[tuple[int, threading.Event]] = []

    def let_go(self, whatever: bool = False) -> None:
        """Wake who waits for what is written by now, or everybody."""
        for waiter in [waiter for waiter in self.waiting if whatever or waiter[0] <= self.written]:
            self.waiting.remove(waiter)
            waiter[1].set()
