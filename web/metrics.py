"""The numbers of `/metrics`, over all workers of this machine; docs/seeing.md says what each is.

What happens often is counted in plain numbers where it happens (answers/measures.py) and carried over once a second.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from answers import measures
from answers.measures import Tally
from web.logs import lines_dropped
from web.metric_files import locked
from web.services import Services
from web.version import version

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
EVERY_S = 1.0

_BY_MODEL = ("upstream", "model")


def _histogram(name: str, help_: str, labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(f"talkabout_{name}", help_, labels, buckets=measures.SECONDS)


def _gauge(name: str, help_: str, labels: tuple[str, ...] = (), mode: Any = "livesum") -> Gauge:
    return Gauge(f"talkabout_{name}", help_, labels, multiprocess_mode=mode)


BUILD = _gauge("build_info", "The version that runs.", ("version", "python"), "livemax")
READERS = _gauge("readers", "Readers of answers and channels.")
RUNNING = _gauge("answers_running", "Answers being written.")
REQUESTS = Counter("talkabout_requests", "Requests by endpoint and status.", ("endpoint", "status"))
ANSWERED: defaultdict[tuple[str, int], int] = defaultdict(int)  # of those, what is not carried over yet
BEGUN = Counter("talkabout_answers_begun", "Answers begun.", _BY_MODEL)
ENDED = Counter("talkabout_answers_ended", "Answers ended, by how.", (*_BY_MODEL, "state"))
ADOPTED = Counter("talkabout_answers_adopted", "Answers taken over from a worker that has gone.", _BY_MODEL)
FIRST_TOKEN = _histogram("first_token_seconds", "From an answer's beginning to its first token.", _BY_MODEL)
BETWEEN_TOKENS = _histogram("between_tokens_seconds", "From one token of an answer to the next.", _BY_MODEL)
UPSTREAM_ERRORS = Counter("talkabout_upstream_errors", "Calls that failed, by kind.", (*_BY_MODEL, "kind"))
UPSTREAM_HEALTHY = _gauge("upstream_healthy", "1 unless it failed when last asked.", ("upstream",), "livemin")
UPSTREAM_RUNNING = _gauge("upstream_running", "Calls that run.", ("upstream",))
UPSTREAM_WAITING = _gauge("upstream_waiting", "Calls that wait for a place.", ("upstream",))
JOURNAL_LAG = _histogram("journal_lag_seconds", "From an event's arrival to its commit, of each commit's oldest.")
LOG_DROPPED = _gauge("log_lines_dropped", "Lines of the log that found no room, of the workers that live.")
JOURNAL_WAITING = _gauge("journal_waiting_bytes", "What waits for the journal.")


class Report:
    """Carry what this worker has counted to where all workers' numbers are: `start` it, or `carry` now and then."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ended = threading.Event()
        self._build = BUILD.labels(version(), platform.python_version())

    def start(self) -> None:
        """Carry once a second from now on."""
        threading.Thread(target=self._again_and_again, daemon=True).start()

    def end(self) -> None:
        """Carry what is left; this worker is about to end."""
        self._ended.set()
        self.carry()

    def carry(self) -> None:
        """Carry what has come since the last time."""
        here = self._services
        self._build.set(1)
        for labels in list(ANSWERED):
            REQUESTS.labels(*labels).inc(ANSWERED.pop(labels))
        READERS.set(len(here.follower))
        RUNNING.set(len(here.producers.running()))
        for upstream, model, tally in here.producers.measures:
            _carry_tally((upstream, model), tally)
        for state in here.catalog.states():
            UPSTREAM_HEALTHY.labels(state.name).set(state.healthy)
            UPSTREAM_RUNNING.labels(state.name).set(state.running)
            UPSTREAM_WAITING.labels(state.name).set(state.waiting)
        backlog = here.producers.writer.backlog
        JOURNAL_WAITING.set(backlog.bytes)
        _carry_histogram(JOURNAL_LAG, backlog.lag)
        LOG_DROPPED.set(lines_dropped())

    def _again_and_again(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self.carry()
            except Exception:  # the edge of a thread: what fails once may go well in a second
                log.exception("what was counted is not carried")


def _carry_tally(labels: tuple[str, str], tally: Tally) -> None:
    for counter, name in ((BEGUN, "begun"), (ADOPTED, "adopted")):
        counter.labels(*labels).inc(getattr(tally, name))
        setattr(tally, name, 0)
    for counter, counted in ((ENDED, tally.ended), (UPSTREAM_ERRORS, tally.errors)):
        for name in list(counted):
            counter.labels(*labels, name).inc(counted.pop(name))
    _carry_histogram(FIRST_TOKEN.labels(*labels), tally.first_token)
    _carry_histogram(BETWEEN_TOKENS.labels(*labels), tally.between_tokens)


def _carry_histogram(to: Histogram, counted: measures.Histogram) -> None:
    """Add many at once: prometheus_client would take them one by one, at some microseconds each."""
    counts, total = counted.take()
    for bucket, count in zip(to._buckets, counts, strict=True):
        if count:
            bucket.inc(count)
    if total:
        to._sum.inc(total)


def everything() -> bytes:
    """Write the numbers of all workers down, or of this process alone where there is no shared folder for them."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    with locked(Path(os.environ[FOLDER]), fcntl.LOCK_SH):
        return generate_latest(registry)
