"""How entries lie in the journal's SQLite file: appended to one table, and entered into its index many at a time.

    entries   in the order of their commits: an append writes to the last page, whatever streams it is for
    places    where a stream's entries lie; the young ones, those behind `head.filed`, are not yet in it
    streams   the last seqs of streams that entries were deleted from
    head      `filed`, and `changes`: it counts up whenever somebody may be mistaken about what he may write

An index that is kept up with each commit would cost it a page a stream, and three times the time. So the young entries
are looked through instead, and entered when there are FILED_AT_ONCE of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from answers.entries import Entry, News

FILED_AT_ONCE = 2048  # to look through them takes some 0.1 ms, to enter them 3 ms
PRUNE_BATCH = 200
TRIM_EVERY = 50  # what goes has to be looked for among the young entries
TRIM_BATCH = 100  # a bound that was lowered costs many calls a little instead of one a lot

STEPS = (
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
    (
        "ALTER TABLE entries RENAME TO old_entries",
        "CREATE TABLE entries(pos INTEGER PRIMARY KEY, stream TEXT NOT NULL, seq INTEGER NOT NULL, block BLOB NOT NULL,"
        " final INTEGER NOT NULL, at REAL NOT NULL)",
        "INSERT INTO entries SELECT pos, stream, seq, block, final, at FROM old_entries ORDER BY pos",
        "DROP TABLE old_entries",
        "CREATE TABLE places(stream TEXT NOT NULL, seq INTEGER NOT NULL, pos INTEGER NOT NULL,"
        " PRIMARY KEY(stream, seq)) WITHOUT ROWID",
        "INSERT OR IGNORE INTO places SELECT stream, seq, pos FROM entries ORDER BY stream, seq",
        "CREATE TABLE head(filed INTEGER NOT NULL, changes INTEGER NOT NULL)",
        "INSERT INTO head SELECT coalesce(max(pos), 0), 0 FROM entries",
    ),
)
_HEAD = "SELECT filed, changes, (SELECT coalesce(max(pos), 0) FROM entries) FROM head"
_APPEND = "INSERT INTO entries(pos, stream, seq, block, final, at) VALUES (?, ?, ?, ?, ?, ?)"
_APPEND_ONE = "INSERT INTO entries(stream, seq, block, final, at) SELECT ?, ?, ?, ?, ? FROM head WHERE changes = ?"
_FILE = "INSERT OR IGNORE INTO places SELECT stream, seq, pos FROM entries WHERE pos > ? ORDER BY stream, seq"
_READ = (
    "SELECT places.seq, block, final FROM places JOIN entries USING (pos) WHERE places.stream = ?1 AND places.seq > ?2"
    " UNION ALL SELECT seq, block, final FROM entries"
    " WHERE pos > (SELECT filed FROM head) AND stream = ?1 AND seq > ?2 ORDER BY 1 LIMIT ?3"
)
_YOUNG = "SELECT stream, seq FROM entries WHERE pos > ? ORDER BY pos"
_LAST = (
    "SELECT coalesce((SELECT max(seq) FROM places WHERE stream = ?1), (SELECT last FROM streams WHERE stream = ?1), 0)"
)
_BOUNDS = (
    "WITH young(first, last) AS MATERIALIZED (SELECT min(seq), max(seq) FROM entries"
    " WHERE pos > (SELECT filed FROM head) AND stream = ?1), known(first, last) AS (SELECT"
    " coalesce((SELECT min(seq) FROM places WHERE stream = ?1), first), coalesce(last,"
    " (SELECT max(seq) FROM places WHERE stream = ?1), (SELECT last FROM streams WHERE stream = ?1), 0) FROM young)"
    " SELECT coalesce(first, last + 1), last FROM known"
)
_UP_TO = (
    "SELECT pos, stream, seq FROM places WHERE stream = ?1 AND seq <= ?2 UNION ALL SELECT pos, stream, seq FROM entries"
    " WHERE pos > (SELECT filed FROM head) AND stream = ?1 AND seq <= ?2 ORDER BY 3 LIMIT ?3"
)
_OLD = (
    "SELECT pos, stream, seq FROM (SELECT pos, stream, seq, at FROM entries"
    " WHERE stream NOT IN (SELECT stream FROM leases) ORDER BY pos LIMIT ?)"
    " WHERE at < ? AND pos < (SELECT max(pos) FROM entries)"
)
_LAST_SEEN = (
    "INSERT INTO streams(stream, last) VALUES (?2, ?3)"
    " ON CONFLICT(stream) DO UPDATE SET last = max(last, excluded.last)"
)


class Head(NamedTuple):
    """Hold what an append starts from: the last place that is in the index, a count, and the last place of all."""

    filed: int
    changes: int
    pos: int


def head(cursor: sqlite3.Cursor) -> Head:
    """Read the file's head."""
    return Head(*cursor.execute(_HEAD).fetchone())


def append(cursor: sqlite3.Cursor, at: Head, entries: Iterable[Entry], now: float) -> None:
    """Append entries, of whatever streams, and enter what is young into the index if it is enough by now."""
    rows = [(pos, *entry, now) for pos, entry in enumerate(entries, at.pos + 1)]
    cursor.executemany(_APPEND, rows)
    if at.pos + len(rows) - at.filed >= FILED_AT_ONCE:
        cursor.execute(_FILE, (at.filed,))
        cursor.execute("UPDATE head SET filed = ?", (at.pos + len(rows),))


def append_one(cursor: sqlite3.Cursor, changes: int, entry: Entry, now: float) -> bool:
    """Append an entry in a transaction of its own, if the head still says `changes`; nothing is indexed by it.

    One statement takes half the time of the four of a transaction that looks first.
    """
    return cursor.execute(_APPEND_ONE, (*entry, now, changes)).rowcount == 1


def read(cursor: sqlite3.Cursor, stream: str, after: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries of a stream behind the seq `after`."""
    rows = cursor.execute(_READ, (stream, after, limit)).fetchall()
    return [Entry(stream, seq, block, bool(final)) for seq, block, final in rows]


def bounds(cursor: sqlite3.Cursor, stream: str) -> tuple[int, int]:
    """Return the first seq of a stream that is kept and the last that there ever was."""
    first, last = cursor.execute(_BOUNDS, (stream,)).fetchone()
    return first, last


def keep_newest(cursor: sqlite3.Cursor, stream: str, last: int, keep: int) -> None:
    """Delete now and then what a stream has more than its `keep` newest entries."""
    if last > keep and last % min(keep // 20 + 1, TRIM_EVERY) == 0:
        _delete(cursor, cursor.execute(_UP_TO, (stream, last - keep, TRIM_BATCH)).fetchall())


def prune(cursor: sqlite3.Cursor, before: float) -> int:
    """Delete up to 200 of the oldest entries, if they are from before that time, and return how many."""
    rows = cursor.execute(_OLD, (PRUNE_BATCH, before)).fetchall()
    cursor.executemany(_LAST_SEEN, rows)
    _delete(cursor, rows)
    return len(rows)


def _delete(cursor: sqlite3.Cursor, rows: list[tuple[int, str, int]]) -> None:
    cursor.executemany("DELETE FROM entries WHERE pos = ?1 AND stream = ?2 AND seq = ?3", rows)
    cursor.executemany("DELETE FROM places WHERE stream = ?2 AND seq = ?3 AND pos = ?1", rows)


class Ends:
    """Know where streams end, by reading each young entry once."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._filed = self._pos = 0

    def last(self, cursor: sqlite3.Cursor, at: Head, stream: str) -> int:
        """Return the last seq that there ever was of a stream; nothing may be appended in this transaction yet."""
        if at.filed != self._filed:
            self._last.clear()
            self._filed = at.filed
        self._last.update(cursor.execute(_YOUNG, (max(self._pos, at.filed),)))
        self._pos = at.pos
        last: int = self._last.get(stream) or cursor.execute(_LAST, (stream,)).fetchone()[0]
        return last

    def number(self, cursor: sqlite3.Cursor, at: Head, news: Sequence[News]) -> list[Entry]:
        """Give each of the news the next seq of its stream; as `last`."""
        ends = {stream: self.last(cursor, at, stream) for stream in {each.stream for each in news}}
        entries = []
        for each in news:
            ends[each.stream] = seq = ends[each.stream] + 1
            entries.append(Entry(each.stream, seq, each.make_block(seq)))
        return entries
