"""One peer under load: who pays how much CPU and memory for it, and whether every stream was whole."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.loads import Load
from bench.machine import REST_CPUS, Broken, Program, busy_s, free_port, on_cpus
from bench.peers import Peer, Place, place_in
from bench.programs import WORK, built, find

Row = dict[str, Any]
WARM_UP = (Load("warm", "", 20, 100, 2000), Load("warm", "", 10, 5, 0, requests=100))


class Measured:
    """A peer that runs, with its upstream, and with Redis where it needs one."""

    def __init__(self, peer: Peer, place: Place, upstream: Program, program: Program, redis: Program | None) -> None:
        self.peer, self.place = peer, place
        self._upstream, self._program, self._redis = upstream, program, redis

    def under(self, load: Load, *more: str, with_memory: bool = False) -> Row:
        """Put the peer under a load and tell what that cost; `more` goes to load.c as it is."""
        before, pss_before = self._sample(), self._program.pss_kb()
        marks: dict[str, Row] = {"begin": before | {"tokens": 0, "pss_kb": pss_before}}
        result: Row = {}
        for line in self._lines(load, more):
            said = json.loads(line)
            if "mark" not in said:
                result = said
                continue
            marks[said["mark"]] = self._sample() | {"tokens": said["tokens"]}
            if with_memory:
                marks[said["mark"]]["pss_kb"] = self._program.pss_kb()
        after = self._sample()
        if not result:
            raise Broken("load has ended without a result")
        return {
            "peer": self.peer.name,
            "test": load.name,
            "is_ours": self.peer.tree is not None,
            **_costs(before, after, result),
            "window": _window(marks),
            "marks": marks if with_memory else {},
            **result,
        }

    def _lines(self, load: Load, more: tuple[str, ...]) -> Iterator[str]:
        peer = self.peer
        command = [str(built("load")), "-p", str(self._program.port), "-e", peer.end, *load.options()]
        command += ["-i"] if peer.numbered else []
        command += ["-H", peer.header] if peer.header else []
        command += more or ["-P", peer.path, "-b", peer.body(load.tokens, load.interval_us)]
        with on_cpus(REST_CPUS), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield from process.stdout
            finally:
                process.kill()  # it has ended, or nobody wants to know any more

    def _sample(self) -> Row:
        """Read all clocks, in seconds."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "at": time.monotonic(),
            "peer": self._program.cpu_s(),
            "redis": self._redis.cpu_s() if self._redis else 0.0,
            "upstream": self._upstream.cpu_s() if self._upstream is not self._program else 0.0,
            "load": children.ru_utime + children.ru_stime,
            "ourselves": time.process_time(),
            "machine": busy_s(),
        }


def _costs(before: Row, after: Row, result: Row) -> Row:
    """Subtract, and divide by what was brought; `foreign_cores` is what all the rest of the machine used."""
    used = {name: after[name] - before[name] for name in before}
    foreign_s = used["machine"] - sum(used[who] for who in ("peer", "redis", "upstream", "load", "ourselves"))
    return {
        "us_per_token": round(used["peer"] * 1e6 / max(1, result["tokens"]), 2),
        "ms_per_request": round(used["peer"] * 1e3 / max(1, result["whole"]), 4),
        "redis_us_per_token": round(used["redis"] * 1e6 / max(1, result["tokens"]), 2),
        "cores": round(used["peer"] / used["at"], 3),
        "upstream_cores": round(used["upstream"] / used["at"], 3),
        "load_cores": round(used["load"] / used["at"], 3),
        "foreign_cores": round(max(0.0, foreign_s) / used["at"], 3),
        "seconds": round(used["at"], 2),
    }


def _window(marks: dict[str, Row]) -> Row:
    """Tell what the tokens cost between the moment at which all streams ran and the first end."""
    live, ending = marks.get("live"), marks.get("ending")
    if not live or not ending or ending["tokens"] <= live["tokens"]:
        return {}
    tokens = ending["tokens"] - live["tokens"]
    return {
        "tokens": tokens,
        "seconds": round(ending["at"] - live["at"], 2),
        "us_per_token": round((ending["peer"] - live["peer"]) * 1e6 / tokens, 2),
    }


@contextlib.contextmanager
def running(peer: Peer, workers: int = 1) -> Iterator[Measured]:
    """Start a peer afresh, with an upstream of its own, and warm it up; end both, and leave nothing behind."""
    WORK.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as open_now:
        folder = Path(
            open_now.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=WORK, ignore_cleanup_errors=True))
        )
        port = free_port()
        upstream = open_now.enter_context(Program([built("upstream"), str(port)], port, folder / "upstream.log"))
        redis = open_now.enter_context(_redis(folder)) if peer.with_redis else None
        place = place_in(folder, port, redis.port if redis else 0)
        program = open_now.enter_context(peer.program(place, workers)) if peer.command else upstream
        measured = Measured(peer, place, upstream, program, redis)
        for load in WARM_UP:
            measured.under(load)
        time.sleep(0.5)
        yield measured


def _redis(folder: Path) -> Program:
    """Prepare a Redis server that keeps all in memory, on the upstream's CPU: it would be another machine's work."""
    port = free_port()
    command: list[str | Path] = [find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
    return Program([*command, "--save", "", "--appendonly", "no"], port, folder / "redis.log")
