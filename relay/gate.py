"""The gate before the model servers: which one a request goes to, and who waits for a slot of one.

A server that has as many requests as it may (`Entry.limit`) takes no further ones. Who finds no slot waits, and is
called when one of its servers has a free one: users take turns, and each one's requests go in their order. Both the
number of those who wait and their time are bounded. All counts are this worker's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from relay.entry import Entry
from relay.errors import UpstreamStopped
from relay.health import CLOSED, HALF_OPEN
from relay.line import Line
from relay.loop import Lock
from relay.route_errors import UpstreamBusy
from relay.settings import Settings

_LONGEST_RETRY_AFTER_S = 60
_LOOK_S = 0.5  # how often those who wait look if a server is back


@dataclass(eq=False)
class _Waiter:
    entries: Sequence[Entry]
    user: str
    line: Line
    turn: int  # of those who wait for the same slot, the lowest is called, and of these the first that came
    entry: Entry | None = None
    called: threading.Event = field(default_factory=threading.Event)


class Gate:
    """Give each request a slot of one of its servers; `length` requests may wait, for `wait_s` seconds each."""

    def __init__(self, length: int = Settings.upstream_queue, wait_s: float = Settings.upstream_queue_wait_s) -> None:
        self._length = length
        self._wait_s = wait_s
        self._lock = Lock()
        self._waiting: list[_Waiter] = []
        self._turn = 0  # of who was called last
        self._served = 0.0  # the shares of the server that was chosen last
        self._held_s = 1.0  # how long a slot was held lately

    def waiting_for(self, entry: Entry) -> int:
        """Count those who wait and would take a slot of that server."""
        return sum(entry in waiter.entries for waiter in list(self._waiting))

    def expect_room(self, entries: Sequence[Entry]) -> None:
        """Raise UpstreamBusy if a request for one of these servers could not even wait."""
        with self._lock:
            if len(self._waiting) >= self._length and self._free(entries) is None:
                raise self._busy(entries, "the queue is full")

    def enter(self, entries: Sequence[Entry], user: str, line: Line) -> Entry:
        """Take a slot of one of these servers, if need be wait for it; it is given back with `leave`.

        Raises UpstreamBusy if too many wait already, or it takes too long; UpstreamStopped when the line is stopped.
        """
        with self._lock:
            if not self._waiting and (entry := self._free(entries)):
                return self._take(entry, line)
            waiter = self._queued(entries, user, line)
        line.hold(waiter.called.set)
        try:
            self._wait(waiter)
        except BaseException:  # its thread is ended: nobody would take the slot, nor give it back
            self._withdraw(waiter)
            if waiter.entry:
                self.leave(waiter.entry, self._held_s, line)
            raise
        finally:
            line.hold(None)  # so that it holds the connection then
        self._withdraw(waiter)
        if waiter.entry:
            return waiter.entry
        raise UpstreamStopped("stopped") if line.stopped else self._busy(entries, f"no slot in {self._wait_s:g} s")

    def leave(self, entry: Entry, held_s: float, line: Line) -> None:
        """Give the slot back that a line has held for so long, and call who is next."""
        with self._lock:
            entry.running -= 1
            if entry.health.on_trial is line:
                entry.health.on_trial = None
            self._held_s += (held_s - self._held_s) / 8
            self._call()

    def _queued(self, entries: Sequence[Entry], user: str, line: Line) -> _Waiter:
        before = [waiter.turn for waiter in self._waiting if waiter.user == user]
        waiter = _Waiter(entries, user, line, max(before, default=self._turn) + 1)
        self._waiting.append(waiter)
        self._call()  # a server may be back: those who came before go first
        if not waiter.entry and len(self._waiting) > self._length:
            self._waiting.remove(waiter)
            raise self._busy(entries, "the queue is full")
        return waiter

    def _wait(self, waiter: _Waiter) -> None:
        """Wait to be called; meanwhile look if a server is back, which nobody leaves then."""
        ends = monotonic() + self._wait_s
        while not waiter.called.wait(max(0.0, min(_LOOK_S, ends - monotonic()))) and monotonic() < ends:
            for entry in waiter.entries:
                entry.look_if_back()
            with self._lock:
                if self._free(waiter.entries):
                    self._call()

    def _withdraw(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.entry:
                self._waiting.remove(waiter)

    def _take(self, entry: Entry, line: Line) -> Entry:
        entry.running += 1
        if entry.health.state == HALF_OPEN and entry.health.on_trial is None:
            entry.health.on_trial = line
        self._served = max(entry.served, self._served)
        entry.served = self._served + 1 / entry.weight
        return entry

    def _call(self) -> None:
        for waiter in sorted(self._waiting, key=lambda waiter: waiter.turn):
            if entry := self._free(waiter.entries):
                waiter.entry = self._take(entry, waiter.line)
                self._turn = max(self._turn, waiter.turn)
                self._waiting.remove(waiter)
                waiter.called.set()

    def _free(self, entries: Sequence[Entry]) -> Entry | None:
        """Choose the least busy server, by its weight; of those, who had the fewest requests by its weight.

        One that is down is chosen only when all are: then asking is better than refusing, and the one that has rested
        longest is the likeliest to be back.
        """
        sound = [entry for entry in entries if _is_sound(entry)]
        free = [entry for entry in sound or entries if entry.running < entry.limit]
        if not sound:
            return min(free, key=lambda entry: entry.health.rests_until, default=None)
        return min(free, key=self._burden, default=None)

    def _burden(self, entry: Entry) -> tuple[float, float]:
        return entry.running / entry.weight, max(entry.served, self._served)

    def _busy(self, entries: Sequence[Entry], why: str) -> UpstreamBusy:
        slots = sum(entry.limit for entry in entries)
        return UpstreamBusy(
            f"{why}: {len(self._waiting)} requests wait",
            min(max(1, math.ceil(self._held_s * (len(self._waiting) + 1) / slots)), _LONGEST_RETRY_AFTER_S),
        )


def _is_sound(entry: Entry) -> bool:
    health = entry.health
    return health.state == CLOSED or (health.state == HALF_OPEN and health.on_trial is None)
