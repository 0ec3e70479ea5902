"""The faults: what is done to the running answers of a cluster, and how often each may then ask the model server."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.faults.cluster import IDLE_S, ONE_MACHINE, TWO_MACHINES, Cluster, children, freeze
from tests.faults.proxy import CuttingProxy
from tests.faults.trial import ASK_S, Row, Trial

BEGIN_WITHIN_S = 1.0
CUTS = 20
FENCED_AFTER_S = 4.0  # twice a lease
DOWN_S = 0.5

Strike = Callable[[Cluster, list[Trial]], None]


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    `cuts`: of each reader's connections; `twice`: begun on both machines at once; `until`: the part of an answer in
    which the fault strikes at some moment, so late that some answers are ending just then; `at_once`: answers.
    """

    name: str
    setup: str
    strike: Strike
    may_ask: int = 1
    cuts: int = 0
    twice: bool = False
    until: float = 0.85
    at_once: int = 34


def kill_producer(cluster: Cluster, trials: list[Trial]) -> None:
    """End the worker that writes."""
    for pid in _producers(cluster, trials):
        os.kill(pid, signal.SIGKILL)


def kill_workers(cluster: Cluster, _: list[Trial]) -> None:
    """End all workers of the first machine."""
    for pid in cluster.machines[0].workers():
        os.kill(pid, signal.SIGKILL)


def kill_machine(cluster: Cluster, _: list[Trial]) -> None:
    """End everything on the machine that writes; it comes back when all is over."""
    machine = cluster.machines[0]
    for pid in [machine.process.pid, *machine.workers()]:
        os.kill(pid, signal.SIGKILL)
    machine.process.wait()
    machine.start()


def reload(cluster: Cluster, _: list[Trial]) -> None:
    """Replace the workers."""
    cluster.machines[0].process.send_signal(signal.SIGHUP)


def stop_and_start(cluster: Cluster, _: list[Trial]) -> None:
    """Stop the server as systemd does, and start it again."""
    cluster.machines[0].stop()
    cluster.machines[0].start()


def freeze_producer(cluster: Cluster, trials: list[Trial]) -> None:
    """Let the worker that writes stand still for longer than its leases last, then go on."""
    freeze(_producers(cluster, trials), FENCED_AFTER_S)


def kill_upstream(cluster: Cluster, _: list[Trial]) -> None:
    """End the model server in the middle of an event."""
    cluster.upstream.kill()
    time.sleep(DOWN_S)
    cluster.upstream.start()


def stall_upstream(cluster: Cluster, _: list[Trial]) -> None:
    """Let the model server say nothing for less than the idle timeout."""
    cluster.upstream.freeze(2.0)


def lose_upstream(cluster: Cluster, _: list[Trial]) -> None:
    """Let the model server say nothing for longer than the idle timeout."""
    cluster.upstream.freeze(IDLE_S + 1.0)


def restart_redis(cluster: Cluster, _: list[Trial]) -> None:
    """Kill Redis, and start it again with what it has on the disk."""
    cluster.redis.kill()
    time.sleep(DOWN_S)
    cluster.redis.start()


def crash_postgres(cluster: Cluster, _: list[Trial]) -> None:
    """Let PostgreSQL crash, and start it again."""
    cluster.postgres.stop(signal.SIGQUIT)
    time.sleep(DOWN_S)
    cluster.postgres.start()


def freeze_postgres(cluster: Cluster, _: list[Trial]) -> None:
    """Let PostgreSQL keep its connections and answer nothing, for longer than a lease lasts."""
    freeze([cluster.postgres.process.pid, *children(cluster.postgres.process.pid)], FENCED_AFTER_S)


def stop_twice(cluster: Cluster, trials: list[Trial]) -> None:
    """Stop each answer on both machines at once; both receipts are to be the same."""
    together(lambda trial: _stop_twice(cluster, trial), trials)


def nothing(_: Cluster, __: list[Trial]) -> None:
    """Do nothing more than the row's other columns say."""


FAULTS = (
    Fault("no fault", ONE_MACHINE, nothing),
    Fault("kill -9 the producing worker", ONE_MACHINE, kill_producer, may_ask=2),
    Fault("kill -9 all workers", ONE_MACHINE, kill_workers, may_ask=2),
    Fault("SIGHUP", ONE_MACHINE, reload, may_ask=2),
    Fault("SIGTERM, then start", ONE_MACHINE, stop_and_start, may_ask=2),
    Fault("producing worker stands still for 4 s", ONE_MACHINE, freeze_producer, may_ask=2),
    Fault("upstream killed in mid-token", ONE_MACHINE, kill_upstream, may_ask=2),
    Fault("upstream stalls for 2 s", ONE_MACHINE, stall_upstream),
    Fault("upstream stalls past the idle timeout", ONE_MACHINE, lose_upstream, may_ask=2),
    Fault(f"each reader cut in mid-event {CUTS} times", ONE_MACHINE, nothing, cuts=CUTS, at_once=10),
    Fault("no fault", TWO_MACHINES, nothing),
    Fault("kill -9 the producing worker", TWO_MACHINES, kill_producer, may_ask=2),
    Fault("kill -9 the whole producing machine", TWO_MACHINES, kill_machine, may_ask=2),
    Fault("producing worker stands still for 4 s", TWO_MACHINES, freeze_producer, may_ask=2),
    Fault("Redis killed and started", TWO_MACHINES, restart_redis),
    Fault("PostgreSQL crashed and started", TWO_MACHINES, crash_postgres),
    Fault("PostgreSQL stands still for 4 s", TWO_MACHINES, freeze_postgres),
    Fault(f"each reader cut in mid-event {CUTS} times", TWO_MACHINES, nothing, cuts=CUTS, at_once=10),
    Fault("second POST on the other machine at once", TWO_MACHINES, nothing, twice=True),
    Fault("two stops at once on two machines", TWO_MACHINES, stop_twice, until=0.4, at_once=10),
)


def try_out(cluster: Cluster, fault: Fault, count: int, row: Row) -> None:
    """Let so many answers run at once, strike, and add what became of them to the row."""
    cluster.settle()
    trials = [Trial() for _ in range(count)]
    with contextlib.ExitStack() as open_:
        # One connection for all: so one worker writes them all, and the fault hits every one of them.
        with requests.Session() as session:
            for trial in trials:
                _begin(cluster, fault, session, trial)
                trial.read(_ways(cluster, fault, open_, trial))
                time.sleep(BEGIN_WITHIN_S / count)
        time.sleep(random.uniform(0.0, fault.until * cluster.lasts_s))
        fault.strike(cluster, trials)
        cluster.settle()
        for trial in trials:
            for reader in trial.readers:
                reader.join()
    asked = cluster.upstream.asked()
    row.verdicts += [trial.judge(cluster.urls[-1], asked[trial.prompt]) for trial in trials]


def together(do: Callable[[Trial], None], trials: Sequence[Trial]) -> None:
    """Do something with all trials at once."""
    with ThreadPoolExecutor(len(trials)) as pool:
        list(pool.map(do, trials))


def _producers(cluster: Cluster, trials: list[Trial]) -> list[int]:
    return cluster.producers([trial.answer for trial in trials])


def _ways(cluster: Cluster, fault: Fault, open_: contextlib.ExitStack, trial: Trial) -> list[list[str]]:
    """Give each reader its way to the machines, one that begins at the first and one that begins at the last."""
    ways = []
    for machines in (cluster.machines, cluster.machines[::-1]):
        urls = [machine.url for machine in machines]
        if fault.cuts:
            proxy = open_.enter_context(CuttingProxy([machine.port for machine in machines], fault.cuts))
            trial.proxies.append(proxy)
            urls = [proxy.url]
        ways.append(urls)
    return ways


def _begin(cluster: Cluster, fault: Fault, session: requests.Session, trial: Trial) -> None:
    if not fault.twice:
        trial.begin(session, cluster.urls[0])
        return
    at_once = threading.Barrier(len(cluster.urls))

    def post(url: str) -> str:
        with requests.Session() as own:
            at_once.wait()
            return trial.begin(own, url)

    with ThreadPoolExecutor(len(cluster.urls)) as pool:
        conversations = set(pool.map(post, cluster.urls))
    if len(conversations) != 1:
        trial.problems.append(f"begun in several conversations: {conversations}")


def _stop_twice(cluster: Cluster, trial: Trial) -> None:
    began = time.monotonic()
    at_once = threading.Barrier(len(cluster.urls))

    def stop(url: str) -> dict[str, object]:
        at_once.wait()
        receipt: dict[str, object] = requests.post(f"{url}/api/answers/{trial.answer}/stop", timeout=ASK_S).json()
        return receipt

    with ThreadPoolExecutor(len(cluster.urls)) as pool:
        receipts = list(pool.map(stop, cluster.urls))
    trial.went_on_s = time.monotonic() - began
    trial.state, trial.expected = "stopped", trial.expected[: max(int(str(each.get("chars", 0))) for each in receipts)]
    if any(receipt != receipts[0] for receipt in receipts):
        trial.problems.append(f"receipts: {receipts}")
