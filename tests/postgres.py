"""A real PostgreSQL server, started, killed and started again by tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType

import psycopg

from tests.servers import free_port

START_S = 30.0
ACCOUNT = "postgres"  # the server refuses to run as root

_QUICK = ["-c", "fsync=off", "-c", "max_connections=100", "-c", "shared_buffers=16MB"]


class PostgresServer:
    """`postgres` on a free loopback port with its own folder; a context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="talkabout-postgres-"))
        self.url = f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> PostgresServer:
        if os.geteuid() == 0:
            shutil.chown(self.folder, ACCOUNT, ACCOUNT)
        options = ["--username", ACCOUNT, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(
            [*_program("initdb"), "-D", str(self.folder / "data"), *options],
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        where = ["-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        with (self.folder / "postgres.log").open("ab") as log:
            command = [*_program("postgres"), *where, *_QUICK]
            self.process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'postgres.log').read_text()}")
            time.sleep(0.05)

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT cuts every connection, SIGQUIT is a crash that the next start recovers from."""
        self.process.send_signal(with_signal)
        self.process.wait(30)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"d{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url.rpartition("/")[0] + f"/{name}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def _program(name: str) -> list[str]:
    """Find a program of PostgreSQL (Debian keeps them off the PATH), and say how root runs it."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = shutil.which(name) or (str(newest[-1]) if newest else None)
    assert program, "PostgreSQL is missing; see `scripts/setup.sh machine`"
    # setpriv, unlike su, is replaced by what it runs: a signal reaches the server itself.
    other = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]
    return [*(other if os.geteuid() == 0 else []), program]
