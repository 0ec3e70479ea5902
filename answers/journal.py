"""The journal: append-only streams of encoded events, which every worker reads and writes.

    answers/entries.py ── Entry, Batch, News
      answers/sqlite_journal.py    one machine: a file that all workers open; no server
      answers/redis_journal.py     several machines: Redis Streams
    answers/journal.py ── the interface (below)

A stream counts its entries 1, 2, 3 … without gaps (`seq`), and never uses a number again. Streams are `answer:<uuid>`,
`channel:<user>` and some for control (`cuts`, `stops`). Commit, then publish: what a reader has seen is in the journal
and survives `kill -9`.

An answer's stream is written by the holder of its lease alone. The lease is the fence too: `commit` refuses whoever has
lost it. Times are Unix seconds, since workers and machines share them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from answers.entries import Batch, Entry, News
from answers.redis_journal import RedisJournal
from answers.sqlite_journal import SqliteJournal
from relay.errors import SettingError
from relay.settings import Settings

__all__ = ["Batch", "Entry", "Journal", "News", "open_journal", "read_all"]

_READ_AT_ONCE = 500


class Journal(Protocol):
    """Keep the streams. Any thread may call any method; each raises JournalError when it cannot do its work."""

    def commit(self, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        """Write all batches, one a stream, in ONE commit; return the streams that were refused, and not written.

        News go with it, in their order, each under the next seq of its stream; none is refused.

        A batch is refused if the lease is another's or nobody's (one that has run out and that nobody has taken since
        is still its owner's), or if its first seq is not the next one. Trying the very same batch again is safe: if
        exactly these entries are there already and the lease is still the owner's, that is a success. A batch that ends
        with a final entry gives the lease up: the answer has ended, so nobody needs to adopt it.
        """

    @property
    def commit_now(self) -> Callable[[Sequence[Batch], Sequence[News]], set[str]] | None:
        """Give what commits as `commit` does, but raises JournalError where that would sleep; None if it always may."""

    def mend(self, stream: str, owner: str, last: int, ttl_s: float) -> bool:
        """Let a stream go on behind the seq `last` if the journal has lost entries, or its lease; for who is refused.

        True: everything up to `last` counts as lost, the lease is the owner's again, and `last + 1` is the next seq; it
        should hold all that the lost entries said. False: nothing is lost, but another has the lease or has written.
        """

    def publish(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry that the journal numbers itself, without a lease, and return its seq.

        `make_block` gets the seq and returns the block; it must only compute, and may be called again. What it raises
        comes out, and nothing is written. Of the stream's older entries about the `keep` newest stay.
        """

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries behind the seq `after`; the first is not `after + 1` where some were pruned."""

    def bounds(self, stream: str) -> tuple[int, int]:
        """Return the first seq that is still kept and the last that there ever was; (1, 0) for an unknown stream.

        Where nothing is kept any more the first is one more than the last.
        """

    def wait(self, streams: Collection[str], timeout_s: float) -> list[Entry]:
        """Wait for news of these streams and return them, in order per stream; none after `timeout_s` or a `wake`.

        Called by ONE thread of a process. A stream's place is taken by the first call that asks for it: once that call
        has returned (with a timeout of 0 it does so at once), everything that is committed later is brought, once, by
        the calls that follow, as long as each asks for that stream; whoever committed it, this process too. What was
        committed before that return may be brought or not, so who joins must `read` it after that return, and pass over
        by its seq what comes twice. A stream that a call did not ask for loses its place.
        """

    def wake(self) -> None:
        """Let the `wait` that runs now return, or else the next one; any thread may call it."""

    def take(self, stream: str, owner: str, ttl_s: float) -> bool:
        """Get the stream's lease if it is free, has run out or is the owner's already; only one of many gets it."""

    def renew(self, owner: str, streams: Collection[str], ttl_s: float) -> set[str]:
        """Let the owner's leases last `ttl_s` from now and return those that are still the owner's.

        One that has run out and that nobody has taken since is renewed too.
        """

    def release(self, stream: str, owner: str) -> None:
        """Give the lease up for good, if it is the owner's, of a stream that nothing was written to."""

    def hand_over(self, owner: str) -> None:
        """Let all leases of this owner run out now: each is an orphan at once, and no longer the owner's."""

    def orphans(self, limit: int) -> list[str]:
        """Return up to `limit` streams whose lease has run out, the longest ago first."""

    def touch(self, streams: Collection[str]) -> None:
        """Note that somebody reads these streams; kept for those that have a lease, until it is released."""

    def last_read(self, stream: str) -> float | None:
        """Return the time of the last `touch` (Unix seconds); None if there was none."""

    def prune(self, before: float, max_bytes: int) -> int:
        """Delete a small batch of the oldest entries and return how many; call again soon while there were any.

        What goes was written before `before` (Unix seconds), or the journal takes more than `max_bytes`. A stream that
        has a lease loses nothing.
        """

    def check(self) -> None:
        """Raise JournalError if the journal does not answer."""

    def close(self) -> None:
        """Let go of what this process has open; the next call opens it again."""


def open_journal(settings: Settings, data_dir: Path) -> Journal:
    """Make the journal that TALKABOUT_JOURNAL_URL names. Raises SettingError if there is none such."""
    if not settings.journal_url:
        return SqliteJournal(data_dir / "journal.sqlite3")
    if settings.journal_url.startswith(("redis://", "rediss://")):
        # Twice as long: within that time somebody prunes, unless every worker is gone.
        return RedisJournal(settings.journal_url, 2 * max(settings.journal_keep_s, settings.channel_keep_s))
    # What stands there instead is not shown: it may hold a password.
    raise SettingError("TALKABOUT_JOURNAL_URL: expected redis://…, rediss://… or nothing")


def read_all(journal: Journal, stream: str) -> list[Entry]:
    """Read all that is kept of a stream, some at a time."""
    entries: list[Entry] = []
    while some := journal.read(stream, entries[-1].seq if entries else 0, _READ_AT_ONCE):
        entries += some
    return entries
