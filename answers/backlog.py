"""What waits for the journal, batches in the order in which they came, and how far each stream has got.

Without a thread or a lock: the writer's stands around all of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from answers.entries import Batch, Entry, News

COMMIT_BYTES = 1 << 20  # what waits after an outage goes in pieces, since SQLite blocks the worker while it commits
NEWS_AT_ONCE = 500  # for the same reason
NEWS_KEPT = 10_000


class Backlog:
    """Keep what waits; `bytes` counts what was taken too, until it is `done`, and `news` go when they are written."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self.news: list[News] = []
        self._max_bytes = max_bytes
        self._batches: deque[tuple[Batch, int]] = deque()

    def __len__(self) -> int:
        return len(self._batches) + len(self.news)

    def add(self, batch: Batch) -> bool:
        """Take a batch, if there is room; what is larger than all the room goes alone."""
        size = _size(batch)
        if self.bytes and self.bytes + size > self._max_bytes:
            return False
        self._batches.append((batch, size))
        self.bytes += size
        return True

    def tell(self, news: News) -> bool:
        """Take news, if there is room."""
        if len(self.news) >= NEWS_KEPT:
            return False
        self.news.append(news)
        return True

    def take(self) -> list[Batch]:
        """Hand over what comes next, one batch per stream."""
        if len(self._batches) == 1:
            return [self._batches.popleft()[0]]
        joined: dict[tuple[str, str], list[Entry]] = {}
        total = 0
        while self._batches and total < COMMIT_BYTES:
            batch, size = self._batches.popleft()
            joined.setdefault((batch.stream, batch.owner), []).extend(batch.entries)
            total += size
        return [Batch(stream, owner, entries) for (stream, owner), entries in joined.items()]

    def done(self, batch: Batch) -> None:
        """Count a batch that was taken no longer."""
        self.bytes -= _size(batch)

    def drop(self, stream: str) -> None:
        """Throw away what waits of a stream."""
        for each in [each for each in self._batches if each[0].stream == stream]:
            self._batches.remove(each)
            self.bytes -= each[1]


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


def _size(batch: Batch) -> int:
    return sum([len(entry.block) for entry in batch.entries])
