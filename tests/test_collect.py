"""A loop that finds many sockets ready at a look looks less often; one that finds few looks at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import gevent
import pytest
from gevent.event import Event

from relay.collect import ENOUGH_A_SECOND, LONGEST_S, MANY, SHORTEST_S, Collector

READ, LONG_S = 1, 20.0
ENOUGH = round(LONGEST_S * ENOUGH_A_SECOND)  # for the longest pause


class Looks:
    """Keep so many sockets ready, which count themselves, at each of so many looks; and the time of each look."""

    def __init__(self, sockets: int, looks: int, collector: Collector) -> None:
        self.at: list[float] = []
        self._loop, self._looks, self._collector, self._ended = gevent.get_hub().loop, looks, collector, Event()
        with ExitStack() as stack:
            self._theirs = [self._watch(stack) for _ in range(sockets)]
            self._send()
            assert self._ended.wait(LONG_S)

    def _watch(self, stack: ExitStack) -> socket.socket:
        ours, theirs = map(stack.enter_context, socket.socketpair())
        watcher = stack.enter_context(self._loop.io(ours.fileno(), READ))
        watcher.start(self._take, ours)
        return theirs

    def _send(self) -> None:
        self._came = 0
        for theirs in self._theirs:
            theirs.send(b"x")

    def _take(self, ours: socket.socket) -> None:
        self._collector.count()
        ours.recv(1)
        self._came += 1
        if self._came < len(self._theirs):
            return
        self.at.append(self._loop.now())
        if len(self.at) < self._looks:
            self._send()
        else:
            self._ended.set()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give one that counts for this thread's loop, which afterwards is as it was."""
    collector = Collector(gevent.get_hub().loop)
    yield collector
    Looks(1, 6, collector)


def test_while_many_are_ready_the_loop_takes_its_time_and_more_and_more_of_it(collector: Collector) -> None:
    at = Looks(ENOUGH, 20, collector).at
    assert collector.pause_s == LONGEST_S
    assert at[-1] - at[4] >= 15 * LONGEST_S - 1e-6  # the pauses before were shorter


def test_few_are_not_made_to_wait(collector: Collector) -> None:
    Looks(MANY - 1, 20, collector)
    assert collector.pause_s == 0


def test_the_loop_takes_less_time_when_few_are_ready_and_then_none(collector: Collector) -> None:
    Looks(ENOUGH, 6, collector)
    pauses = []
    for _ in range(4):
        Looks(1, 1, collector)  # which tells what the one before it has brought
        pauses.append(collector.pause_s)
    assert pauses == [LONGEST_S, LONGEST_S / 2, SHORTEST_S, 0]


def test_a_wait_that_brings_too_few_is_the_last(collector: Collector) -> None:
    Looks(MANY, 2, collector)
    assert collector.pause_s == SHORTEST_S
    Looks(1, 1, collector)  # which tells that the second has brought no more than the first
    assert collector.pause_s == 0


def test_a_loop_that_cannot_collect_only_counts() -> None:
    class Other:
        iteration = 0

    other = Other()
    collector = Collector(other)
    for other.iteration in range(3):
        for _ in range(ENOUGH):
            collector.count()
    assert collector.pause_s == 2 * SHORTEST_S
