"""The journal on Redis Streams: what workers on several machines share.

One Redis Stream holds one of ours, with ids that we give: `<seq>-0`. A commit is one pipeline with one script a batch,
which checks the lease and the seq and appends, in one step. So two producers never both write an entry, and each learns
that it has lost. Every command may run twice, because a reply can be lost: an entry that is there already counts as
written if it is the very same.

A Redis that keeps nothing on the disk forgets everything when it is restarted, one that does may forget the last
second. A commit that finds entries missing before its own is refused; `mend` then says that they are lost.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from answers.entries import Batch, Entry, News
from answers.redis_line import RedisLine
from answers.redis_numbers import Group, Numbers
from answers.redis_protocol import packed
from answers.redis_scripts import (
    BOUNDS,
    DUE,
    FIND_DUE,
    HAND_OVER,
    MEND,
    NOTE,
    OLD,
    PRUNE,
    RELEASE,
    RENEW,
    RUN_OUT,
    TAKE,
    TOUCH,
    call,
    commit,
    events,
    lease,
)
from answers.redis_tail import RedisTail, entry
from relay.errors import JournalError

ANSWER_S = 2.0
RETRIES = 1
PUBLISH_TRIES = 100
PRUNE_BATCH, PRUNE_STREAMS = 200, 100
NEVER_MS = 1 << 60


class RedisJournal:
    """Keep the streams in the Redis server of `url`; the methods are described at `answers.journal.Journal`.

    A stream that nothing is written to for `forget_s` is gone whole, its numbers too, whether anybody prunes or not.
    """

    commit_now = None  # there is a network between

    def __init__(self, url: str, forget_s: float) -> None:
        self._line = RedisLine(url, answer_s=ANSWER_S, retries=RETRIES)
        self._tail = RedisTail(url)
        self._forget_ms = round(forget_s * 1000)
        self._numbers = Numbers(self._forget_ms)
        # What was taken here and not given up: where Redis has no lease of it any more, it has lost it.
        self._held: dict[str, str] = {}
        self._ended: set[str] = set()  # still in the index of the leases
        self._aged: set[str] = set()  # in the index of what may be pruned, which leaves them there as they have a lease

    def commit(self, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        """Write all batches and news in one pipeline and return the streams that were refused."""
        if not (batches or news):
            return set()
        young = [batch.stream for batch in batches if batch.stream not in self._aged]
        puts = [commit(batch, self._forget_ms) for batch in batches]
        groups = self._numbers.groups(news)
        try:
            written = self._tell(groups, young, *puts, *self._tidy())
        except JournalError:
            self._numbers.doubt(groups)
            raise
        self._aged.update(young)
        done = [batch for batch, is_done in zip(batches, written, strict=False) if is_done]
        ended = [batch.stream for batch in done if batch.entries[-1].final]
        self._drop(ended)
        self._ended.update(ended)
        return {batch.stream for batch in batches}.difference(batch.stream for batch in done)

    def publish(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry under the seq that is the next one when it gets there."""
        groups = self._numbers.groups([News(stream, make_block, keep, uuid.uuid4().hex)])
        self._tell(groups, [])
        return groups[0].seq

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries behind the seq `after`."""
        rows = self._line.do(packed("XRANGE", events(stream), after + 1, "+", "COUNT", limit))[0]
        return [entry(stream, *row) for row in rows]

    def bounds(self, stream: str) -> tuple[int, int]:
        """Return the first seq that is kept and the last that there ever was."""
        first, last = self._line.do(call(BOUNDS, events(stream)))[0]
        return first, last

    def wait(self, streams: Collection[str], timeout_s: float) -> list[Entry]:
        """Wait in one blocked XREAD; after a JournalError a stream may begin anew, with smaller seqs than before."""
        return self._tail.wait(streams, timeout_s)

    def wake(self) -> None:
        """Let `wait` return."""
        self._tail.wake(self._line)

    def take(self, stream: str, owner: str, ttl_s: float) -> bool:
        """Get the stream's lease, if it can be had."""
        # Into the index first: a lease that is not there would never be found, one too many is looked at and left.
        note = call(NOTE, DUE, args=(round(ttl_s * 1000), stream))
        is_new, until = self._line.do(note, call(TAKE, lease(stream), args=self._hold(owner, ttl_s)))
        if until:
            if not is_new:
                self._line.do(packed("ZADD", DUE, until, stream))
            self._held[stream] = owner
            self._aged.discard(stream)
        if not until or not ttl_s:  # one that runs out at once is for others
            self._drop([stream])
        return bool(until)

    def renew(self, owner: str, streams: Collection[str], ttl_s: float) -> set[str]:
        """Let the owner's leases last, take those again that Redis has lost, and return those that it still has."""
        named = list(streams)
        if not named:
            return set()
        commands = [
            call(
                RENEW,
                events(stream),
                lease(stream),
                args=(*self._hold(owner, ttl_s), int(self._held.get(stream) == owner)),
            )
            for stream in named
        ]
        held = {stream: until for stream, until in zip(named, self._line.do(*commands), strict=True) if until}
        self._drop(stream for stream in named if stream not in held)
        if held:
            self._line.do(packed("ZADD", DUE, *(part for stream, until in held.items() for part in (until, stream))))
        return set(held)

    def mend(self, stream: str, owner: str, last: int, ttl_s: float) -> bool:
        """Let the stream go on behind `last`, if Redis has lost entries, and get its lease again."""
        if self._held.get(stream) != owner:
            return False
        command = call(MEND, events(stream), lease(stream), args=(*self._hold(owner, ttl_s), last))
        if self._line.do(command)[0]:
            return self.take(stream, owner, ttl_s)
        self._drop([stream])
        return False

    def release(self, stream: str, owner: str) -> None:
        """Delete the lease."""
        self._drop([stream])
        if self._line.do(call(RELEASE, lease(stream), args=(owner,)))[0]:
            self._line.do(packed("ZREM", DUE, stream))

    def hand_over(self, owner: str) -> None:
        """Let all leases of this owner run out, and be nobody's."""
        self._drop([stream for stream, holder in list(self._held.items()) if holder == owner])
        leased = [name.decode() for name in self._line.do(packed("ZRANGE", DUE, 0, -1))[0]]
        ended = self._line.do(*(call(HAND_OVER, lease(stream), args=(owner,)) for stream in leased)) if leased else []
        for stream, until in zip(leased, ended, strict=True):
            if until:
                self._line.do(packed("ZADD", DUE, "XX", until, stream))

    def orphans(self, limit: int) -> list[str]:
        """Return streams whose lease has run out, by the index and by the lease itself."""
        due = [name.decode() for name in self._line.do(*self._tidy(), call(FIND_DUE, DUE, args=(limit,)))[-1]]
        run_out = self._line.do(*(call(RUN_OUT, lease(stream)) for stream in due)) if due else []
        return [stream for stream, yes in zip(due, run_out, strict=True) if yes]

    def touch(self, streams: Collection[str]) -> None:
        """Note the time beside the streams' leases."""
        if streams:
            self._line.do(*(call(TOUCH, lease(stream), args=(time.time(),)) for stream in streams))

    def last_read(self, stream: str) -> float | None:
        """Return the time of the last `touch`."""
        read = self._line.do(packed("HGET", lease(stream), "read"))[0]
        return None if read is None else float(read)

    def prune(self, before: float, max_bytes: int) -> int:
        """Delete up to 200 entries of the stream that has the oldest; the size is that of all data in Redis."""
        memory = self._line.do(packed("INFO", "memory"))[0].partition(b"used_memory_dataset:")[2]
        too_large = int(memory.partition(b"\r")[0]) > max_bytes
        before_ms = NEVER_MS if too_large else round(before * 1000)
        start = 0
        while old := self._line.do(
            packed("ZRANGEBYSCORE", OLD, "-inf", f"({before_ms}", "LIMIT", start, PRUNE_STREAMS)
        )[0]:
            streams = [name.decode() for name in old]
            leased = self._line.do(*(packed("EXISTS", lease(stream)) for stream in streams))
            for stream, is_leased in zip(streams, leased, strict=True):
                if not is_leased and (gone := self._prune(stream, before_ms)):
                    return gone
            start += PRUNE_STREAMS
        return 0

    def check(self) -> None:
        """Ask Redis for a key."""
        self._line.do(packed("EXISTS", DUE))

    def close(self) -> None:
        """Close the connections of this process."""
        self._line.close()
        self._tail.close()

    def _tell(self, groups: list[Group], young: Collection[str], *others: bytes) -> list[Any]:
        """Write news, beside other commands on the first journey, and return the replies to those."""
        noted = [*young, *(group.stream for group in groups)]
        age = [_note_age(noted)] if noted else []
        replies = self._line.do(*map(self._numbers.command, groups), *others, *age)
        left = self._numbers.left(groups, replies[: len(groups)])
        for _ in range(PUBLISH_TRIES):
            if not left:
                return replies[len(groups) :]
            left = self._numbers.left(left, self._line.do(*map(self._numbers.command, left)))
        raise JournalError(f"others were faster {PUBLISH_TRIES} times")

    def _tidy(self) -> list[bytes]:
        """Take what has ended out of the index of the leases; the next journey will do, since it is only a hint."""
        ended, self._ended = self._ended, set()
        return [packed("ZREM", DUE, *ended)] if ended else []

    def _drop(self, streams: Iterable[str]) -> None:
        for stream in streams:
            self._held.pop(stream, None)
            self._aged.discard(stream)

    def _hold(self, owner: str, ttl_s: float) -> tuple[str, int, int]:
        return owner, round(ttl_s * 1000), self._forget_ms

    def _prune(self, stream: str, before_ms: int) -> int:
        # Out of the index first: what is appended meanwhile notes itself there afterwards.
        command = call(PRUNE, events(stream), lease(stream), args=(before_ms, PRUNE_BATCH))
        gone, oldest = self._line.do(packed("ZREM", OLD, stream), command)[1]
        if oldest:
            self._line.do(packed("ZADD", OLD, "NX", int(oldest), stream))
        return int(gone)


def _note_age(streams: Iterable[str]) -> bytes:
    now = round(time.time() * 1000)
    return packed("ZADD", OLD, "NX", *(part for stream in streams for part in (now, stream)))
