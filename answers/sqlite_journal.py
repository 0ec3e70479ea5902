"""The journal: an append-only log of encoded events, in one SQLite file that every worker of the machine opens.

Each stream counts its entries 1, 2, 3 … without gaps (`seq`). `pos` numbers the entries of all streams in the order in
which their commits become visible, because only one transaction writes at a time; so one tail reader per worker follows
every stream with one query. Commit, then publish: what a reader has seen is in the file and survives `kill -9`.

SQLite blocks the whole worker while it waits, so nothing yields inside a write transaction, and no wait is long.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from relay.errors import JournalError

BUSY_TIMEOUT_MS = 2000  # every stream of the worker stands still for as long
BUSY_RETRIES = 3
TRIM_BATCH = 100

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS streams(stream TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS entries(pos INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"
    " seq INTEGER NOT NULL, block BLOB NOT NULL, at REAL NOT NULL, UNIQUE(stream, seq))",
)
_COLUMNS = "SELECT pos, stream, seq, block FROM entries "

T = TypeVar("T")


class Entry(NamedTuple):
    """Hold one entry: its place in the whole journal and in its stream, and the encoded event."""

    pos: int
    stream: str
    seq: int
    block: bytes


class _Handle:
    """Keep the one connection of a process and the lock around it.

    One for all threads, because under gevent a connection per greenlet would be opened and thrown away all the time,
    and because calls into SQLite block the other greenlets in any case.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None


class SqliteJournal:
    """Append to and read from the journal in the file `path`; every method raises JournalError when it cannot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A connection must be neither used nor closed across a fork: each process adds its own and keeps the rest.
        self._handles: dict[int, _Handle] = {}

    def append(self, stream: str, make_block: Callable[[int], bytes], keep: int | None = None) -> int:
        """Append one entry and return its seq; of the stream's older entries only the `keep` newest stay.

        `make_block` gets the seq and returns the encoded event; it runs inside the transaction, so it must only
        compute. What it raises comes out, and nothing is written.
        """

        def work(connection: sqlite3.Connection) -> int:
            seq = _last(connection, stream) + 1
            row = (stream, seq, make_block(seq), time.time())
            connection.execute("INSERT OR REPLACE INTO streams(stream, last) VALUES (?, ?)", (stream, seq))
            connection.execute("INSERT INTO entries(stream, seq, block, at) VALUES (?, ?, ?, ?)", row)
            if keep is not None:
                _trim(connection, stream, seq - keep)
            return seq

        return self._write(work)

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries of a stream behind the seq `after`; the first is no `after + 1` after a gap."""
        rows = self._read(_COLUMNS + "WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?", stream, after, limit)
        return [Entry(*row) for row in rows]

    def tail(self, after_pos: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries of all streams behind `after_pos`, in the order of their commits."""
        rows = self._read(_COLUMNS + "WHERE pos > ? ORDER BY pos LIMIT ?", after_pos, limit)
        return [Entry(*row) for row in rows]

    def end(self) -> int:
        """Return the pos of the newest entry: where a tail reader begins that wants only what is new."""
        return int(self._read("SELECT coalesce(max(pos), 0) FROM entries")[0][0])

    def first(self, stream: str) -> int:
        """Return the seq of the oldest entry that is still kept; one more than `last` if none is."""
        oldest = "SELECT min(seq) FROM entries WHERE stream = ?"
        after_all = "SELECT last + 1 FROM streams WHERE stream = ?"
        return int(self._read(f"SELECT coalesce(({oldest}), ({after_all}), 1)", stream, stream)[0][0])

    def last(self, stream: str) -> int:
        """Return the seq of the newest entry, pruned or not; 0 if there never was one."""
        return self._run(lambda connection: _last(connection, stream))

    def prune(self, before: float, limit: int) -> int:
        """Delete those of the `limit` oldest entries that were written before a time (Unix seconds); say how many."""
        oldest = "SELECT pos FROM (SELECT pos, at FROM entries ORDER BY pos LIMIT ?) WHERE at < ?"
        delete = f"DELETE FROM entries WHERE pos IN ({oldest})"  # noqa: S608  no word of it comes from outside
        return self._write(lambda connection: connection.execute(delete, (limit, before)).rowcount)

    def close(self) -> None:
        """Close the connection of this process; the next call opens it again."""
        handle = self._handle()
        with handle.lock:
            if handle.connection is not None:
                handle.connection.close()
                handle.connection = None

    def _read(self, sql: str, *parameters: object) -> list[Any]:
        return self._run(lambda connection: connection.execute(sql, parameters).fetchall())

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._run(lambda connection: _in_transaction(connection, work))

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        handle, tries = self._handle(), 0
        while True:
            try:
                with handle.lock:
                    handle.connection = handle.connection or _open(self._path)
                    return work(handle.connection)
            except sqlite3.Error as exc:
                tries += 1
                if tries > BUSY_RETRIES or getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
                    raise JournalError(f"{self._path.name}: {exc}") from exc
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  jitter, no secret

    def _handle(self) -> _Handle:
        pid = os.getpid()
        return self._handles.get(pid) or self._handles.setdefault(pid, _Handle())


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _in_transaction(connection, _make_schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_schema(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    # IMMEDIATE: a transaction that turns from reading to writing fails at once, whatever the busy timeout.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
        return result
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _last(connection: sqlite3.Connection, stream: str) -> int:
    row = connection.execute("SELECT last FROM streams WHERE stream = ?", (stream,)).fetchone()
    return int(row[0]) if row else 0


def _trim(connection: sqlite3.Connection, stream: str, up_to_seq: int) -> None:
    # In batches, so that a bound that was lowered costs many transactions a little instead of one a lot.
    oldest = "SELECT pos FROM entries WHERE stream = ? AND seq <= ? ORDER BY seq LIMIT ?"
    delete = f"DELETE FROM entries WHERE pos IN ({oldest})"  # noqa: S608  no word of it comes from outside
    connection.execute(delete, (stream, up_to_seq, TRIM_BATCH))
