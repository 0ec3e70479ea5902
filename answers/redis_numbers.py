"""The seqs of what anybody may write: taken for known from the last that was seen here, and corrected by Redis.

So one journey is enough where nobody else writes to the stream. What waits for one stream goes into it in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from answers.entries import News
from answers.redis_scripts import PUBLISH, call, events
from relay.loop import Lock

STREAMS_KEPT = 10_000


@dataclass(slots=True)
class Group:
    """Hold news of one stream, and the seq that the first of them gets unless somebody else has it."""

    stream: str
    news: list[News]
    seq: int


class Numbers:
    """Number news, whose streams are gone when nothing was written to them for `forget_ms`."""

    def __init__(self, forget_ms: int) -> None:
        self._forget_ms = forget_ms
        self._next: dict[str, int] = {}
        self._doubted: dict[str, int] = {}
        self._lock = Lock()

    def groups(self, news: Iterable[News]) -> list[Group]:
        """Put news of one stream together, and number them; those that are in doubt as they were before."""
        streams: dict[str, list[News]] = {}
        for each in news:
            streams.setdefault(each.stream, []).append(each)
        with self._lock:
            return [Group(stream, some, self._number(stream, some)) for stream, some in streams.items()]

    def doubt(self, groups: Iterable[Group]) -> None:
        """Take note that nobody knows if these have been written, and that they will be tried again."""
        with self._lock:
            self._doubted.update({group.news[0].by: group.seq for group in groups})

    def command(self, group: Group) -> bytes:
        """Return what writes a group."""
        told = [part for seq, each in enumerate(group.news, group.seq) for part in (each.by, each.make_block(seq))]
        arguments = (group.seq, group.news[0].keep, self._forget_ms, *told)
        return call(PUBLISH, events(group.stream), args=arguments)

    def left(self, groups: Sequence[Group], replies: Sequence[int]) -> list[Group]:
        """Number those anew whose seq somebody else had, by what Redis has replied, and return them."""
        left = [group for group, seq in zip(groups, replies, strict=True) if seq]
        for group, seq in zip(left, filter(None, replies), strict=True):
            group.seq = seq
            self._note(group.stream, seq + len(group.news))
        return left

    def _number(self, stream: str, news: list[News]) -> int:
        seq = self._doubted.pop(news[0].by, 0) or self._next.get(stream, 1)
        self._note(stream, seq + len(news))
        return seq

    def _note(self, stream: str, seq: int) -> None:
        with self._lock:
            self._next.pop(stream, None)
            self._next[stream] = seq
            if len(self._next) > STREAMS_KEPT:
                del self._next[next(iter(self._next))]
