"""Bring the database up to the tables that this code needs: `python -m answers.migrate`.

The server does it when it starts, in gunicorn's master, before there is a worker. Whoever comes second, in another
process or on another machine, waits, and finds nothing left to do.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from answers.database import Database
from relay.errors import DatabaseError, SettingError
from relay.settings import Settings, load, prepare_data_dir

MIGRATIONS = Path(__file__).parent.parent / "migrations"

_LOCK = 0x74616C6B  # of this project's migrations, among the advisory locks of a PostgreSQL database


def migrate(settings: Settings) -> None:
    """Run every migration that the database lacks, in one transaction, under a lock.

    Raises DatabaseError, and SettingError for a data folder or a URL that cannot be.
    """
    data_dir = prepare_data_dir(settings)
    database = Database(settings)
    try:
        with _file_lock(data_dir / "migrate.lock"):
            database.migrate(_upgrade)
    except CommandError as exc:  # most often: a database that newer code has migrated
        raise DatabaseError(f"the database cannot be migrated: {exc}") from exc
    finally:
        database.close()


def config(connection: Connection) -> Config:
    """Tell Alembic where the migrations are and what to run them on."""
    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return made


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Whoever waits here waits for another machine's migrations, however long they take.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    command.upgrade(config(connection), "head")


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine; it falls when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Migrate what the settings name."""
    try:
        migrate(load())
    except (SettingError, DatabaseError) as error:
        sys.exit(f"talkabout: {error}")


if __name__ == "__main__":
    main()
