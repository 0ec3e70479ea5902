"""The database: SQLite in the data folder, or PostgreSQL (`TALKABOUT_DATABASE_URL`) for several machines.

A transaction is one call of read() or write(): it holds a connection only while the function that it is given runs,
which must do nothing but execute statements. SQLite blocks the whole worker while it waits, so nothing yields inside
its transactions, writes of one process take turns, and no wait is long.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import orjson
from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from answers.prepared import Transaction
from relay.errors import DatabaseError, SettingError
from relay.loop import Lock
from relay.settings import Settings

FILE = "talkabout.sqlite3"
BUSY_TIMEOUT_MS = 2000  # every stream of the worker stands still for as long
RETRIES = 3

# IMMEDIATE: a transaction that turns from reading to writing fails at once, whatever the busy timeout.
_BEGIN_WRITING = "BEGIN IMMEDIATE"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SERIALIZATION, _DEADLOCK = "40001", "40P01"
_POOL = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 5, "pool_pre_ping": True}
_POSTGRES = {
    "application_name": "talkabout",
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds; else a server that vanished is noticed after a quarter of an hour
    "options": "-c idle_in_transaction_session_timeout=10s -c statement_timeout=30s -c lock_timeout=5s",
}

T = TypeVar("T")


class Database:
    """Run transactions; made once per process, after the fork. Raises SettingError for a URL that it cannot be."""

    def __init__(self, settings: Settings) -> None:
        self.engine = _engine(_url(settings))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._driver: Any = self.engine.dialect.loaded_dbapi
        self._kept: list[PoolProxiedConnection] = []
        self._turn: AbstractContextManager[Any] = Lock() if self.is_sqlite else nullcontext()

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` reads in one transaction. Raises DatabaseError."""
        return self._run(lambda: self._transact("BEGIN", work))

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` does in one transaction. Raises DatabaseError.

        When another transaction was in its way, `work` runs again from its beginning: also after a violated constraint,
        since what it collided with is there to be read the next time.
        """

        def in_turn() -> T:
            with self._turn:
                return self._transact(_BEGIN_WRITING, work)

        return self._run(in_turn)

    def query(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads in one transaction, with statements that it puts together. Raises DatabaseError."""
        return self._run(lambda: self._with_connection(work))

    def migrate(self, work: Callable[[Connection], None]) -> None:
        """Change the schema in one transaction, with foreign keys not enforced. Raises DatabaseError."""

        def in_turn() -> None:
            with self._turn:
                self._with_connection(work, schema=True)

        self._run(in_turn)

    def close(self) -> None:
        """Close every connection; the next call opens one again."""
        while self._kept:
            self._kept.pop().close()
        self.engine.dispose()

    def _transact(self, begin: str, work: Callable[[Transaction], T]) -> T:
        """Do without SQLAlchemy's own Connection: its begin and commit take longer than a short transaction does."""
        connection = self._take()
        try:
            cursor = connection.cursor()
            if self.is_sqlite:
                cursor.execute(begin)
            result = work(Transaction(cursor, self.engine.dialect))
            connection.commit()
        except BaseException as exc:
            self._give_up(connection, exc)
            raise
        self._give_back(connection)
        return result

    def _take(self) -> PoolProxiedConnection:
        """Take a connection: to SQLite apart from the pool, whose care for it costs as much as a statement."""
        try:
            return self._kept.pop()
        except IndexError:
            connection = self.engine.raw_connection()
        if self.is_sqlite:
            connection.detach()
        return connection

    def _give_back(self, connection: PoolProxiedConnection) -> None:
        if self.is_sqlite and not self._kept:  # one is enough, since nothing yields in a transaction
            self._kept.append(connection)
        else:
            connection.close()

    def _give_up(self, connection: PoolProxiedConnection, error: BaseException) -> None:
        if self.engine.dialect.is_disconnect(error, connection.dbapi_connection, None):  # type: ignore[arg-type]
            connection.invalidate()  # nothing can be rolled back where nobody listens
        connection.close()  # which rolls back

    def _with_connection(self, work: Callable[[Connection], T], **options: bool) -> T:
        with self.engine.execution_options(**options).begin() as connection:
            return work(connection)

    def _run(self, transact: Callable[[], T]) -> T:
        tries = 0
        while True:
            try:
                return transact()
            except (SQLAlchemyError, self._driver.Error) as exc:
                cause = exc.orig if isinstance(exc, DBAPIError) else exc
                tries += 1
                if tries > RETRIES or not self._may_pass(cause):
                    raise DatabaseError(_reason(cause)) from exc
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  jitter, no secret

    def _may_pass(self, error: BaseException | None) -> bool:
        """Say whether the same transaction can go through when it is tried again."""
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
        collided = getattr(error, "sqlstate", None) in (_SERIALIZATION, _DEADLOCK)
        return busy or collided or isinstance(error, self._driver.IntegrityError)


def _url(settings: Settings) -> URL:
    if not settings.database_url:
        return URL.create("sqlite", database=str(settings.data_dir / FILE))
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.drivername not in ("postgres", "postgresql"):
        raise SettingError("TALKABOUT_DATABASE_URL: expected postgresql://user:password@host/database, or nothing")
    return url.set(drivername="postgresql+psycopg")


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(url, connect_args=_POSTGRES, hide_parameters=True, json_serializer=_json, **_POOL)
    engine = create_engine(url, hide_parameters=True, json_serializer=_json, pool_timeout=5)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins is switched off: it would begin none before a SELECT.
    connection.isolation_level = None
    connection.create_function("lower", 1, _lower, deterministic=True)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("schema"):
        # SQLite changes a table by making it anew; dropping the old one would delete all that refers to it.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql(_BEGIN_WRITING)
    else:
        connection.exec_driver_sql("BEGIN")


def _lower(text: str | None) -> str | None:
    """Fold every letter: SQLite's own function knows those of ASCII only."""
    return text.lower() if text is not None else None


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _reason(cause: BaseException | None) -> str:
    """Say what went wrong, for the log: without the statement, and without anybody's text."""
    lines = str(cause).splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"
