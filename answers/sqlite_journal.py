"""The journal on SQLite: one file that every worker of the machine opens.

`pos` numbers the entries of all streams in the order in which their commits become visible, because only one
transaction writes at a time; so one query brings a worker all that is new.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from answers.entries import Batch, Entry, News
from answers.sqlite_appender import CHANGED, RELEASE, Appender
from answers.sqlite_entries import (
    STEPS,
    bounds,
    head,
    prune,
    read,
)
from answers.sqlite_file import SqliteFile

POLL_S = 0.035
WAIT_LIMIT = 500

_END = "SELECT coalesce(max(pos), 0) FROM entries"
_NEWS = (
    "SELECT stream, seq, block, final, pos FROM entries"
    " WHERE pos > ? AND stream IN (SELECT value FROM json_each(?)) ORDER BY pos LIMIT ?"
)
_TAKE = "INSERT INTO leases(stream, owner, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TAKE_OVER = "UPDATE leases SET owner = ?2, expires_at = ?3 WHERE stream = ?1 AND (owner = ?2 OR expires_at <= ?4)"
_RENEW = (
    "UPDATE leases SET expires_at = ? WHERE owner = ? AND stream IN (SELECT value FROM json_each(?)) RETURNING stream"
)
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
        self._seen: tuple[sqlite3.Connection, int, int] | None = None
        self._pos: int | None = None
        self._appender = Appender(self.file)

    def commit(self, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        """Write all batches and news in one transaction, and return the streams that were refused."""
        return self._appender.commit(batches, news, True)

    def commit_now(self, batches: Sequence[Batch], news: Sequence[News]) -> set[str]:
        """Write as `commit` does; raises JournalError where that would sleep."""
        return self._appender.commit(batches, news, False)

    def mend(self, stream: str, owner: str, last: int, ttl_s: float) -> bool:
        """Find nothing to mend: this file loses no commit while a worker lives that could miss it."""
        return False

    def publish(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry that gets its seq here."""

        def work(cursor: sqlite3.Cursor) -> int:
            return self._appender.append(cursor, head(cursor), [], [News(stream, make_block, keep, "")])[0].seq

        return self._appender.write(work)

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
                cursor.execute(CHANGED)
            self._appender.take(cursor, at, stream, owner)
            return True

        return self._appender.write(work)

    def renew(self, owner: str, streams: Collection[str], ttl_s: float) -> set[str]:
        """Let the owner's leases last, and return those that it still has."""
        named = json.dumps(list(streams))
        # The time is that of the write, which may have waited for others.
        rows = self.file.write(lambda cursor: cursor.execute(_RENEW, (time.time() + ttl_s, owner, named)).fetchall())
        return {stream for (stream,) in rows}

    def release(self, stream: str, owner: str) -> None:
        """Delete the lease."""
        self._change_leases(RELEASE, stream, owner)
        self._appender.drop([stream])

    def hand_over(self, owner: str) -> None:
        """Let all leases of this owner run out, and be nobody's."""
        self._change_leases(_HAND_OVER, time.time(), owner)
        self._appender.drop_all()

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
        return self._appender.write(lambda cursor: prune(cursor, float("inf") if too_large else before))

    def check(self) -> None:
        """Read from the file."""
        self.file.read(_END)

    def close(self) -> None:
        """Close the connection of this process."""
        self.file.close()
        self._appender.forget()

    def _change_leases(self, sql: str, *parameters: object) -> None:
        def work(cursor: sqlite3.Cursor) -> None:
            if cursor.execute(sql, parameters).rowcount:
                cursor.execute(CHANGED)

        self.file.write(work)

    def _news(self, cursor: sqlite3.Cursor, named: str) -> list[Entry]:
        # The version tells what other connections write, and not what this one does.
        seen = cursor.connection, cursor.execute("PRAGMA data_version").fetchone()[0], self._appender.writes
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
