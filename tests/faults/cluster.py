"""What runs while things break: one machine or two, each a real gunicorn, and the model server that they ask."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from answers.answer import stream_of
from answers.redis_scripts import lease
from tests import waiting
from tests.faults.upstream import MODEL, TEXT
from tests.postgres import PostgresServer
from tests.redis_server import RedisServer
from tests.servers import ROOT, Server, free_port

WORKERS = 2
SETTLES_S = 30.0
ONE_MACHINE, TWO_MACHINES = "one machine", "two machines"
HEARTBEAT_S = 1.0
IDLE_S = 3.0  # silence in mid-answer after which the model server counts as lost
until = partial(waiting.until, patience_s=SETTLES_S)


class Upstream:
    """The model server: a process that is killed, frozen and started again on the same port."""

    def __init__(self, folder: Path, delay_ms: float) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._record = folder / "asked"
        self._record.touch()
        self._delay_ms = delay_ms

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "tests.faults.upstream", self.port, self._record, self._delay_ms]
        self.process = subprocess.Popen([str(word) for word in command], cwd=ROOT)
        until(self._listens, "the model server to listen")

    def kill(self) -> None:
        """End it as `kill -9` does, frozen or not."""
        self.process.kill()
        self.process.wait()

    def freeze(self, seconds: float) -> None:
        """Let it keep its connections and say nothing for a while."""
        freeze([self.process.pid], seconds)

    def asked(self) -> Counter[str]:
        """Count the completions that each question has cost, over all its lives."""
        return Counter(self._record.read_text().splitlines())

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class Pair:
    """Two model servers that can do the same; `line` names them for TALKABOUT_UPSTREAMS. A context manager."""

    def __init__(self, folder: Path, delay_ms: float) -> None:
        self._two: list[Upstream] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            self._two.append(Upstream(folder / name, delay_ms))
        self.line = " ".join(f"{name}={each.url}" for name, each in zip(("one", "two"), self._two, strict=True))

    def in_turn(self) -> tuple[Upstream, Upstream]:
        """Give the one that was asked, and the other."""
        one, two = self._two
        return (one, two) if one.asked() else (two, one)

    def __enter__(self) -> Self:
        for each in self._two:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._two:
            each.kill()


class Cluster:
    """One machine on SQLite, or two on Redis and PostgreSQL; a context manager."""

    def __init__(self, setup: str, folder: Path, delay_ms: float) -> None:
        self.setup = setup
        self.upstream = Upstream(folder, delay_ms)
        self.lasts_s = len(TEXT) * delay_ms / 1000
        self.machines: list[Server] = []
        self._folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Cluster:
        with self._open:
            self.upstream.start()
            self._open.callback(self.upstream.kill)
            shared = self._start_shared() if self.setup == TWO_MACHINES else {}
            for name in ("a", "b") if self.setup == TWO_MACHINES else ("a",):
                (self._folder / name).mkdir()
                settings = {
                    "TALKABOUT_UPSTREAM_URL": self.upstream.url,
                    "TALKABOUT_MODEL": MODEL,
                    "TALKABOUT_IDLE_TIMEOUT_S": str(IDLE_S),
                    "TALKABOUT_HEARTBEAT_S": str(HEARTBEAT_S),
                    "TALKABOUT_MAX_ANSWERS_PER_USER": "1000",  # all readers here are one user
                    **shared,
                }
                self.machines.append(self._open.enter_context(Server(self._folder / name, WORKERS, **settings)))
            self._open = self._open.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def urls(self) -> list[str]:
        """Where the machines listen."""
        return [machine.url for machine in self.machines]

    def producers(self, answers: list[str]) -> list[int]:
        """Find the workers that write these answers now, by their leases."""
        owners = self._owners_in_redis(answers) if self.setup == TWO_MACHINES else self._owners_in_sqlite(answers)
        return sorted({int(owner.split(":")[1]) for owner in owners if owner})

    def settle(self) -> None:
        """Wait until everything that a fault has taken away is back."""
        until(lambda: all(len(machine.workers()) == WORKERS for machine in self.machines), "all workers to be there")
        for machine in self.machines:
            until(machine.answers, "the server to answer")

    def _start_shared(self) -> dict[str, str]:
        (self._folder / "redis").mkdir()
        self.redis = self._open.enter_context(RedisServer(self._folder / "redis", persistent=True))
        self.postgres = self._open.enter_context(PostgresServer())
        return {
            "TALKABOUT_JOURNAL_URL": self.redis.url,
            "TALKABOUT_DATABASE_URL": self.postgres.url,
            "TALKABOUT_SECRET_KEY": "both machines' own",
        }

    def _owners_in_redis(self, answers: list[str]) -> list[str]:
        with self.redis.client() as client:
            found = [client.hget(lease(stream_of(answer)), "owner") for answer in answers]
        return [owner.decode() for owner in found if isinstance(owner, bytes)]

    def _owners_in_sqlite(self, answers: list[str]) -> list[str]:
        journal = sqlite3.connect(f"file:{self._folder / 'a' / 'journal.sqlite3'}?mode=ro", uri=True)
        with contextlib.closing(journal):
            leases = dict(journal.execute("SELECT stream, owner FROM leases"))
        return [leases.get(stream_of(answer), "") for answer in answers]


def freeze(pids: list[int], seconds: float) -> None:
    """Stop processes, and let them go on after a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def children(pid: int) -> list[int]:
    """List the processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
