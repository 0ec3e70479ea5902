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

from answers.entries import Batch, Entry
from answers.sqlite_file import SqliteFile

POLL_S = 0.035
WAIT_LIMIT = 500
TRIM_BATCH = 100
PRUNE_BATCH = 200

_STEPS = (
    (
        "CREATE TABLE IF NOT EXISTS streams(stream TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS entries(pos INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"
        " seq INTEGER NOT NULL, block BLOB NOT NULL, at REAL NOT NULL, UNIQUE(stream, seq))",
    ),
    (
        # No AUTOINCREMENT, which costs each commit a page: no pos is used again as long as the newest entry stays.
        "ALTER TABLE entries RENAME TO old_entries",
        "CREATE TABLE entries(pos INTEGER PRIMARY KEY, stream TEXT NOT NULL, seq INTEGER NOT NULL, block BLOB NOT NULL,"
        " final INTEGER NOT NULL, at REAL NOT NULL, UNIQUE(stream, seq))",
        "INSERT INTO entries SELECT pos, stream, seq, block, 0, at FROM old_entries",
        "DROP TABLE old_entries",
        "CREATE TABLE leases(stream TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at REAL NOT NULL, read_at REAL)"
        " WITHOUT ROWID",
    ),
)
_HELD = "SELECT leases.owner, coalesce(streams.last, 0) FROM leases LEFT JOIN streams USING (stream) WHERE stream = ?"
_LAST = "INSERT INTO streams(stream, last) VALUES (?, ?) ON CONFLICT(stream) DO UPDATE SET last = excluded.last"
_READ = "SELECT stream, seq, block, final FROM entries WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"
_END = "SELECT coalesce(max(pos), 0) FROM entries"
# The plus keeps SQLite from going through the streams' index, thus through all that they ever were.
_NEWS = (
    "SELECT stream, seq, block, final, pos FROM entries"
    " WHERE pos > ? AND +stream IN (SELECT value FROM json_each(?)) ORDER BY pos LIMIT ?"
)
_BOUNDS = (
    "SELECT coalesce((SELECT min(seq) FROM entries WHERE stream = streams.stream), last + 1), last"
    " FROM streams WHERE stream = ?"
)
_TAKE = (
    "INSERT INTO leases(stream, owner, expires_at) VALUES (?, ?, ?) ON CONFLICT(stream) DO UPDATE"
    " SET owner = excluded.owner, expires_at = excluded.expires_at"
    " WHERE owner = excluded.owner OR expires_at <= ?"
)
_RENEW = (
    "UPDATE leases SET expires_at = ? WHERE owner = ? AND stream IN (SELECT value FROM json_each(?)) RETURNING stream"
)
_HAND_OVER = "UPDATE leases SET owner = '', expires_at = min(expires_at, ?) WHERE owner = ?"
_TOUCH = "UPDATE leases SET read_at = ? WHERE stream IN (SELECT value FROM json_each(?))"
_TRIM = "DELETE FROM entries WHERE pos IN (SELECT pos FROM entries WHERE stream = ? AND seq <= ? ORDER BY seq LIMIT ?)"
_PRUNE = (
    "DELETE FROM entries WHERE pos IN (SELECT pos FROM (SELECT pos, at FROM entries"
    " WHERE +stream NOT IN (SELECT stream FROM leases) ORDER BY pos LIMIT ?)"
    " WHERE at < ? AND pos < (SELECT max(pos) FROM entries))"
)
_BYTES = (
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)


class SqliteJournal:
    """Keep the streams in the file `path`; the methods are described at `answers.journal.Journal`."""

    def __init__(self, path: Path) -> None:
        self.file = SqliteFile(path, _STEPS)
        self._woken = threading.Event()
        self._writes = 0  # the file's version tells what other connections write, and not what this one does
        self._seen: tuple[sqlite3.Connection, int, int] | None = None
        self._pos: int | None = None

    def commit(self, batches: Sequence[Batch]) -> set[str]:
        """Write all batches in one transaction and return the streams that were refused."""
        now = time.time()

        def work(connection: sqlite3.Connection) -> set[str]:
            self._writes += 1
            return {batch.stream for batch in batches if not _put(connection, batch, now)}

        return self.file.write(work)

    def mend(self, stream: str, owner: str, last: int, ttl_s: float) -> bool:
        """Find nothing to mend: this file loses no commit while a worker lives that could miss it."""
        return False

    def publish(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry that gets its seq here."""

        def work(connection: sqlite3.Connection) -> int:
            self._writes += 1
            row = connection.execute("SELECT last FROM streams WHERE stream = ?", (stream,)).fetchone()
            seq: int = row[0] + 1 if row else 1
            _append(connection, [Entry(stream, seq, make_block(seq))], time.time())
            if seq > keep:
                # In batches, so that a bound that was lowered costs many calls a little instead of one a lot.
                connection.execute(_TRIM, (stream, seq - keep, TRIM_BATCH))
            return seq

        return self.file.write(work)

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries behind the seq `after`."""
        return [_entry(*row) for row in self.file.read(_READ, stream, after, limit)]

    def bounds(self, stream: str) -> tuple[int, int]:
        """Return the first seq that is kept and the last that there ever was."""
        rows = self.file.read(_BOUNDS, stream)
        return rows[0] if rows else (1, 0)

    def wait(self, streams: Collection[str], timeout_s: float) -> list[Entry]:
        """Look for news every 35 ms: a glance at the file's version, and one query if it has changed."""
        give_up_at = time.monotonic() + timeout_s
        named = json.dumps(list(streams))
        while True:
            entries = self.file.run(lambda connection: self._news(connection, named))
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
        return self._change(_TAKE, stream, owner, now + ttl_s, now) == 1

    def renew(self, owner: str, streams: Collection[str], ttl_s: float) -> set[str]:
        """Let the owner's leases last, and return those that it still has."""
        row = (time.time() + ttl_s, owner, json.dumps(list(streams)))
        return {stream for (stream,) in self.file.write(lambda connection: connection.execute(_RENEW, row).fetchall())}

    def release(self, stream: str, owner: str) -> None:
        """Delete the lease."""
        self._change("DELETE FROM leases WHERE stream = ? AND owner = ?", stream, owner)

    def hand_over(self, owner: str) -> None:
        """Let all leases of this owner run out, and be nobody's."""
        self._change(_HAND_OVER, time.time(), owner)

    def orphans(self, limit: int) -> list[str]:
        """Return streams whose lease has run out."""
        sql = "SELECT stream FROM leases WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        return [row[0] for row in self.file.read(sql, time.time(), limit)]

    def touch(self, streams: Collection[str]) -> None:
        """Note the time beside the streams' leases."""
        self._change(_TOUCH, time.time(), json.dumps(list(streams)))

    def last_read(self, stream: str) -> float | None:
        """Return the time of the last `touch`."""
        rows = self.file.read("SELECT read_at FROM leases WHERE stream = ?", stream)
        return rows[0][0] if rows else None

    def prune(self, before: float, max_bytes: int) -> int:
        """Delete up to 200 of the oldest entries; the file keeps its size, and uses the room again."""
        too_large = self.file.read(_BYTES)[0][0] > max_bytes
        return self._change(_PRUNE, PRUNE_BATCH, float("inf") if too_large else before)

    def check(self) -> None:
        """Read from the file."""
        self.file.read(_END)

    def close(self) -> None:
        """Close the connection of this process."""
        self.file.close()

    def _change(self, sql: str, *parameters: object) -> int:
        return self.file.write(lambda connection: connection.execute(sql, parameters).rowcount)

    def _news(self, connection: sqlite3.Connection, named: str) -> list[Entry]:
        seen = connection, connection.execute("PRAGMA data_version").fetchone()[0], self._writes
        if seen == self._seen:
            return []
        end: int = connection.execute(_END).fetchone()[0]
        after = end if self._pos is None else self._pos
        rows = connection.execute(_NEWS, (after, named, WAIT_LIMIT)).fetchall()
        if len(rows) == WAIT_LIMIT:
            self._pos, self._seen = rows[-1][4], None
        else:
            self._pos, self._seen = max(after, end, rows[-1][4] if rows else 0), seen
        return [_entry(*row[:4]) for row in rows]


def _put(connection: sqlite3.Connection, batch: Batch, now: float) -> bool:
    """Write a batch, unless it is there already; false if that is not its owner's to do."""
    owner, last = connection.execute(_HELD, (batch.stream,)).fetchone() or (None, 0)
    first, count = batch.entries[0].seq, len(batch.entries)
    if owner != batch.owner or first > last + 1 or batch.entries[-1].seq != first + count - 1:
        return False
    if first <= last:
        rows = connection.execute(_READ, (batch.stream, first - 1, count)).fetchall()
        return [_entry(*row) for row in rows] == batch.entries
    _append(connection, batch.entries, now)
    return True


def _append(connection: sqlite3.Connection, entries: list[Entry], now: float) -> None:
    rows = [(*entry, now) for entry in entries]
    connection.executemany("INSERT INTO entries(stream, seq, block, final, at) VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute(_LAST, entries[-1][:2])


def _entry(stream: str, seq: int, block: bytes, final: int) -> Entry:
    return Entry(stream, seq, block, bool(final))
