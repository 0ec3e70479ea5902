"""The journal on SQLite: one file that every worker of the machine opens.

`pos` numbers the entries of all streams in the order in which their commits become visible, because only one
transaction writes at a time; so one query brings a worker all that is new.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from answers.entries import Batch, Entry, News
from answers.sqlite_entries import STEPS, Ends, Head, append, bounds, head, keep_newest, prune, read
from answers.sqlite_file import SqliteFile

T = TypeVar("T")
Known = tuple[str, int, int]  # who has a stream's lease, and where it ends, as long as the head says `changes`

POLL_S = 0.035
WAIT_LIMIT = 500

_END = "SELECT coalesce(max(pos), 0) FROM entries"
_NEWS = (
    "SELECT stream, seq, block, final, pos FROM entries"
    " WHERE pos > ? AND stream IN (SELECT value FROM json_each(?)) ORDER BY pos LIMIT ?"
)
_CHANGED = "UPDATE head SET changes = changes + 1"
_TAKE = "INSERT INTO leases(stream, owner, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TAKE_OVER = "UPDATE leases SET owner = ?2, expires_at = ?3 WHERE stream = ?1 AND (owner = ?2 OR expires_at <= ?4)"
_RENEW = (
    "UPDATE leases SET expires_at = ? WHERE owner = ? AND stream IN (SELECT value FROM json_each(?)) RETURNING stream"
)
_OWNER = "SELECT owner FROM leases WHERE stream = ?"
_RELEASE = "DELETE FROM leases WHERE stream = ? AND owner = ?"
_HAND_OVER = "UPDATE leases SET owner = '', expires_at = min(expires_at, ?) WHERE owner = ?"
_TOUCH = "UPDATE leases SET read_at = ? WHERE stream IN (SELECT value FROM json_each(?))"
_BYTES = (
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)


class SqliteJournal:
    """Keep the streams in the file `path`; the methods are described at `answers.journal.Journal`."""

    def __init__(self, path: Path) -> None:
        self.file = SqliteFile(path, STEPS)
        self._woken = threading.Event()
        self._writes = 0  # the file's version tells what other connections write, and not what this one does
        self._seen: tuple[sqlite3.Connection, int, int] | None = None
        self._pos: int | None = None
        self._forget()

    def commit(self, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        """Write all batches and news in one transaction, and return the streams that were refused."""

        def work(cursor: sqlite3.Cursor) -> set[str]:
            at = head(cursor)
            new: list[Entry] = []
            ended: list[tuple[str, str]] = []
            refused: set[str] = set()
            for batch in batches:
                entries = batch.entries if self._is_next(batch, at) else self._missing(cursor, at, batch)
                if entries is None:
                    refused.add(batch.stream)
                elif entries:
                    new += entries
                    self._known[batch.stream] = batch.owner, entries[-1].seq, at.changes
                    if entries[-1].final:
                        ended.append((batch.stream, batch.owner))
            self._append(cursor, at, new, news)
            if ended:
                cursor.executemany(_RELEASE, ended)
                self._drop(stream for stream, _ in ended)
            self._drop(refused)
            return refused

        return self._write(work)

    def mend(self, stream: str, owner: str, last: int, ttl_s: float) -> bool:
        """Find nothing to mend: this file loses no commit while a worker lives that could miss it."""
        return False

    def publish(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry that gets its seq here."""

        def work(cursor: sqlite3.Cursor) -> int:
            return self._append(cursor, head(cursor), [], [News(stream, make_block, keep, "")])[0].seq

        return self._write(work)

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries behind the seq `after`."""
        return self.file.run(lambda cursor: read(cursor, stream, after, limit))

    def bounds(self, stream: str) -> tuple[int, int]:
        """Return the first seq that is kept and the last that there ever was."""
        return self.file.run(lambda cursor: bounds(cursor, stream))

    def wait(self, streams: Collection[str], timeout_s: float) -> list[Entry]:
        """Look for news every 35 ms: a glance at the file's version, and one query if it has changed."""
        give_up_at = time.monotonic() + timeout_s
        named = json.dumps(list(streams))
        while True:
            entries = self.file.run(lambda cursor: self._news(cursor, named))
            left = give_up_at - time.monotonic()
            if entries or left <= 0 or self._woken.wait(min(left, POLL_S)):
                self._woken.clear()
                return entries

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    def take(self, stream: str, owner: str, ttl_s: float) -> bool:
        """Get the stream's lease, if it can be had."""
        now = time.time()

        def work(cursor: sqlite3.Cursor) -> bool:
            at = head(cursor)
            if not cursor.execute(_TAKE, (stream, owner, now + ttl_s)).rowcount:
                if not cursor.execute(_TAKE_OVER, (stream, owner, now + ttl_s, now)).rowcount:
                    return False
                cursor.execute(_CHANGED)
            self._known[stream] = owner, self._ends.last(cursor, at, stream), at.changes
            return True

        return self._write(work)

    def renew(self, owner: str, streams: Collection[str], ttl_s: float) -> set[str]:
        """Let the owner's leases last, and return those that it still has."""
        named = json.dumps(list(streams))
        # The time is that of the write, which may have waited for others.
        rows = self.file.write(lambda cursor: cursor.execute(_RENEW, (time.time() + ttl_s, owner, named)).fetchall())
        return {stream for (stream,) in rows}

    def release(self, stream: str, owner: str) -> None:
        """Delete the lease."""
        self._change_leases(_RELEASE, stream, owner)
        self._drop([stream])

    def hand_over(self, owner: str) -> None:
        """Let all leases of this owner run out, and be nobody's."""
        self._change_leases(_HAND_OVER, time.time(), owner)
        self._drop(list(self._known))

    def orphans(self, limit: int) -> list[str]:
        """Return streams whose lease has run out."""
        sql = "SELECT stream FROM leases WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        return [row[0] for row in self.file.read(sql, time.time(), limit)]

    def touch(self, streams: Collection[str]) -> None:
        """Note the time beside the streams' leases."""
        row = (time.time(), json.dumps(list(streams)))
        self.file.write(lambda cursor: cursor.execute(_TOUCH, row))

    def last_read(self, stream: str) -> float | None:
        """Return the time of the last `touch`."""
        rows = self.file.read("SELECT read_at FROM leases WHERE stream = ?", stream)
        return rows[0][0] if rows else None

    def prune(self, before: float, max_bytes: int) -> int:
        """Delete up to 200 of the oldest entries; the file keeps its size, and uses the room again."""
        too_large = self.file.read(_BYTES)[0][0] > max_bytes
        return self._write(lambda cursor: prune(cursor, float("inf") if too_large else before))

    def check(self) -> None:
        """Read from the file."""
        self.file.read(_END)

    def close(self) -> None:
        """Close the connection of this process."""
        self.file.close()
        self._forget()

    def _change_leases(self, sql: str, *parameters: object) -> None:
        def work(cursor: sqlite3.Cursor) -> None:
            if cursor.execute(sql, parameters).rowcount:
                cursor.execute(_CHANGED)

        self.file.write(work)

    def _write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        try:
            return self.file.write(work)
        except BaseException:
            self._forget()  # nobody can tell what of it is in the file
            raise
        finally:
            self._writes += 1

    def _append(self, cursor: sqlite3.Cursor, at: Head, entries: list[Entry], news: Sequence[News]) -> list[Entry]:
        """Append entries, and news under the next seqs of their streams, which are returned."""
        numbered = self._ends.number(cursor, at, news) if news else []
        append(cursor, at, entries + numbered, time.time())
        for each, entry in zip(news, numbered, strict=True):
            keep_newest(cursor, each.stream, entry.seq, each.keep)
        return numbered

    def _forget(self) -> None:
        self._known: dict[str, Known] = {}
        self._ends = Ends()

    def _drop(self, streams: Iterable[str]) -> None:
        for stream in streams:
            self._known.pop(stream, None)

    def _is_next(self, batch: Batch, at: Head) -> bool:
        """Tell if a batch may be written, by what this process has taken and written since anybody else could have."""
        first = batch.entries[0].seq
        return (
            self._known.get(batch.stream) == (batch.owner, first - 1, at.changes)
            and batch.entries[-1].seq == first + len(batch.entries) - 1
        )

    def _missing(self, cursor: sqlite3.Cursor, at: Head, batch: Batch) -> list[Entry] | None:
        """Return what is missing of a batch, by the file itself; None if that is not its owner's to write."""
        first, count = batch.entries[0].seq, len(batch.entries)
        owner = (cursor.execute(_OWNER, (batch.stream,)).fetchone() or (None,))[0]
        last = self._ends.last(cursor, at, batch.stream)
        if first <= last:
            kept = read(cursor, batch.stream, first - 1, count)
            is_mine = owner == batch.owner or (owner is None and batch.entries[-1].final)
            return [] if kept == batch.entries and is_mine else None
        if owner != batch.owner or first != last + 1 or batch.entries[-1].seq != last + count:
            return None
        if self._known.get(batch.stream, ())[:2] != (owner, last):
            cursor.execute(_CHANGED)
        return batch.entries

    def _news(self, cursor: sqlite3.Cursor, named: str) -> list[Entry]:
        seen = cursor.connection, cursor.execute("PRAGMA data_version").fetchone()[0], self._writes
        if seen == self._seen:
            return []
        end: int = cursor.execute(_END).fetchone()[0]
        after = end if self._pos is None else self._pos
        rows = cursor.execute(_NEWS, (after, named, WAIT_LIMIT)).fetchall()
        if len(rows) == WAIT_LIMIT:
            self._pos, self._seen = rows[-1][4], None
        else:
            self._pos, self._seen = max(after, end, rows[-1][4] if rows else 0), seen
        return [Entry(stream, seq, block, bool(final)) for stream, seq, block, final, _ in rows]
