"""What an answer costs those who keep it: `python -m bench.storage [N]` asks for N answers and prints it.

The poem, some 220 characters told one by one, is kept by Redis and PostgreSQL, then by SQLite. Redis writes its
append-only file through, as it is to be run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.postgres import PostgresServer
from tests.redis_server import RedisServer
from tests.servers import Server
from tests.streams import opened

ANSWERS, AT_ONCE = 300, 20
SETTLES_S = 3.0
DELAY_MS = "5"

Look = Callable[[], dict[str, float]]


def main(answers: int) -> None:
    """Measure both forms, and print what one answer has cost each."""
    with tempfile.TemporaryDirectory(prefix="talkabout-storage-") as folder:
        for name, form in (("Redis and PostgreSQL", with_servers), ("SQLite", with_files)):
            (Path(folder) / name).mkdir()
            print(f"{name}, an answer, of {answers}:")
            for what, cost in form(Path(folder) / name, answers).items():
                print(f"  {what:<36}{cost:>12,.4g}")


def with_servers(folder: Path, answers: int) -> dict[str, float]:
    """Keep answers as several machines do."""
    (folder / "redis").mkdir()
    with ExitStack() as open_:
        redis = open_.enter_context(RedisServer(folder / "redis", persistent=True))
        postgres = open_.enter_context(PostgresServer())
        settings = {"TALKABOUT_JOURNAL_URL": redis.url, "TALKABOUT_DATABASE_URL": postgres.url}
        server = open_.enter_context(Server(folder, 2, TALKABOUT_POEM_DELAY_MS=DELAY_MS, **settings))
        return cost(server.url, answers, lambda: {**of_redis(redis, folder / "redis"), **of_postgres(postgres)})


def with_files(folder: Path, answers: int) -> dict[str, float]:
    """Keep answers as one machine does."""

    def look() -> dict[str, float]:
        return {f"bytes of {file.name}": file.stat().st_size for file in sorted(folder.glob("*.sqlite3"))}

    with Server(folder, 2, TALKABOUT_POEM_DELAY_MS=DELAY_MS) as server:
        return cost(server.url, answers, look)


def cost(url: str, answers: int, look: Look) -> dict[str, float]:
    """Ask for answers; tell what one has cost of each thing that is looked at."""
    ask(url)  # makes what is made once
    time.sleep(SETTLES_S)
    before = look()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(ask, [url] * answers))
    time.sleep(SETTLES_S)
    after = look()
    return {"bytes to its reader": sum(sizes) / answers} | {
        what: (after[what] - before[what]) / answers for what in before
    }


def ask(url: str) -> int:
    """Ask for the poem, and read it to its end; give its size."""
    headers = {"Accept": "text/event-stream"}
    with opened("POST", f"{url}/api/answers", json={"prompt": "x"}, headers=headers) as response:
        return len(response.content)


def of_redis(server: RedisServer, folder: Path) -> dict[str, float]:
    """Look at Redis."""
    with server.client() as client:
        said = client.info()
    files = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "bytes of Redis' memory": said["used_memory"],
        "bytes of Redis' files": files,
        "commands of Redis": said["total_commands_processed"],
        "ms of Redis' CPU": 1000 * (said["used_cpu_sys"] + said["used_cpu_user"]),
    }


def of_postgres(server: PostgresServer) -> dict[str, float]:
    """Look at PostgreSQL."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT xact_commit, pg_database_size(datname), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
            " FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    names = ("transactions of PostgreSQL", "bytes of PostgreSQL's tables", "bytes of PostgreSQL's log")
    return dict(zip(names, map(float, found or ()), strict=True))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS)
