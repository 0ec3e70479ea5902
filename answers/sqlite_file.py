"""One SQLite file that several processes open: its connections, its transactions, and waiting for its lock.

SQLite blocks the whole worker while it waits for another process. So a call waits inside it for a moment only, and then
sleeps and tries again, which lets the worker's other streams go on.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from relay.errors import JournalError
from relay.loop import Lock

BUSY_TIMEOUT_S = 0.02  # every stream of the worker stands still for as long
BUSY_S = 2.0  # how long a lock is waited for in all

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

T = TypeVar("T")

_forks: list[None] = []  # those behind this process; to count them takes less time than to ask for its id
os.register_at_fork(after_in_child=lambda: _forks.append(None))


class _Handle:
    """Keep the one connection of a process and the lock around it.

    One for all threads, because under gevent a connection per greenlet would be opened and thrown away all the time,
    and because calls into SQLite block the other greenlets in any case.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.connection: sqlite3.Connection | None = None


class SqliteFile:
    """Work on the file `path`, whose schema is made by `steps`, lists of statements that each run once in its life.

    Every method raises JournalError when it cannot do its work; nothing that it is given may yield.
    """

    def __init__(self, path: Path, steps: Sequence[Sequence[str]]) -> None:
        self.path = path
        self._steps = steps
        # A connection must be neither used nor closed across a fork: each process adds its own and keeps the rest.
        self._handles: dict[int, _Handle] = {}

    def read(self, sql: str, *parameters: object) -> list[Any]:
        """Return all rows of a query."""
        return self.run(lambda cursor: cursor.execute(sql, parameters).fetchall())

    def write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Call `work` with a cursor in a transaction; what it raises comes out, and nothing is written."""
        return self.run(lambda cursor: in_transaction(cursor, work))

    def run(self, work: Callable[[sqlite3.Cursor], T], patient: bool = True) -> T:
        """Call `work` with a cursor, again if the file is locked; only a `patient` call sleeps for that."""
        handle, give_up_at = self._handle(), 0.0
        while True:
            try:
                with handle.lock:
                    handle.connection = handle.connection or self._open()
                    return work(handle.connection.cursor())
            except sqlite3.Error as exc:
                now = time.monotonic()
                give_up_at = give_up_at or now + BUSY_S * patient
                if now >= give_up_at or getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
                    raise JournalError(f"{self.path.name}: {exc}") from exc
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  jitter, no secret

    def close(self) -> None:
        """Close the connection of this process; the next call opens it again."""
        handle = self._handle()
        with handle.lock:
            if handle.connection is not None:
                handle.connection.close()
                handle.connection = None

    def _handle(self) -> _Handle:
        forks = len(_forks)
        return self._handles.get(forks) or self._handles.setdefault(forks, _Handle())

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            in_transaction(connection.cursor(), self._bring_up_to_date)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up_to_date(self, cursor: sqlite3.Cursor) -> None:
        version: int = cursor.execute("PRAGMA user_version").fetchone()[0]
        for step in self._steps[version:]:
            for statement in step:
                cursor.execute(statement)
        if version < len(self._steps):
            cursor.execute(f"PRAGMA user_version = {len(self._steps)}")


def in_transaction(cursor: sqlite3.Cursor, work: Callable[[sqlite3.Cursor], T]) -> T:
    """Call `work` with a cursor in a transaction; what it raises comes out, and nothing is written."""
    # IMMEDIATE: a transaction that turns from reading to writing fails at once, whatever the busy timeout.
    cursor.execute("BEGIN IMMEDIATE")
    try:
        result = work(cursor)
        cursor.execute("COMMIT")
        return result
    finally:
        if cursor.connection.in_transaction:
            cursor.execute("ROLLBACK")
