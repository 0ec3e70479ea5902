"""One request's limits, and the switch that ends it from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from math import inf
from time import monotonic

from relay.loop import Lock


@dataclass(frozen=True)
class Timeouts:
    """How long a model server may take, in seconds.

    `connect`: name, connection and TLS. `first_byte`: from sending the request to the first byte of the body. `idle`:
    silence after that. `total`: all of it, whatever arrives meanwhile.
    """

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 1800.0

    def of(self, limit: str) -> float:
        """Give the limit of that name."""
        seconds: float = getattr(self, limit)
        return seconds

    def at_most(self, seconds: float) -> Timeouts:
        """Give the same limits, none longer than that."""
        return Timeouts(*(min(limit, seconds) for limit in astuple(self)))


DEFAULT_TIMEOUTS = Timeouts()


class Line:
    """One request's limits and the switch that ends it; `stopped` says if it was used."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.stopped = False
        self._stop = threading.Event()
        self._lock = Lock()
        self._cut: Callable[[], object] | None = None
        self._total_ends = self._phase_ends = inf
        self.start()

    def start(self) -> None:
        """Begin a try: nothing is connected, nothing was heard."""
        self.connected = self.reused = self.heard = False
        self.body_heard_at = 0.0  # when the last piece of the body came; set by whoever reads it
        self._hurry_ends = inf
        self._enter("connect")

    def connect_done(self, reused: bool) -> None:
        """Note that the request goes out now, on a new connection or a kept one."""
        self.connected, self.reused = True, reused
        self._enter("first_byte")

    def answered(self, cut: Callable[[], object]) -> None:
        """Note that the headers came; `cut` ends what has no socket of its own."""
        self.connected = True
        if self._cut is None:
            self.hold(cut)

    def listen(self) -> None:
        """Wait for the body's next piece from now on: what the reader itself took does not count as silence."""
        if self.body_heard_at:
            self.body_heard_at = monotonic()

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._phase_ends = monotonic() + self.timeouts.of(phase)
        self._choose()

    def _choose(self) -> None:
        self.ends, self.limit = min((self._total_ends, "total"), (self._phase_ends, self._phase))

    def begin(self) -> None:
        """Start the clock of the total time."""
        self._total_ends = monotonic() + self.timeouts.total

    def hurry(self, seconds: float) -> None:
        """Shorten what is left of this try."""
        self._hurry_ends = monotonic() + seconds

    def end_within(self, seconds: float) -> None:
        """Shorten the total time to so many seconds from now."""
        self._total_ends = min(self._total_ends, monotonic() + seconds)

    def left(self) -> float:
        """Seconds until the nearest limit; `limit` is its name. Raises OSError if it is over or the line was cut."""
        if self.stopped:
            raise ConnectionAbortedError("stopped")
        if self.body_heard_at:
            self._phase, self._phase_ends = "idle", self.body_heard_at + self.timeouts.idle
        self._phase_ends = min(self._phase_ends, self._hurry_ends)
        self._choose()
        seconds = self.ends - monotonic()
        if seconds <= 0:
            raise TimeoutError(self.limit)
        return seconds

    @property
    def over(self) -> bool:
        """Whether the limit that `left` named has been reached; timers may wake a little early."""
        return monotonic() > self.ends - 0.02

    def stop(self) -> None:
        """End it, from any thread; whoever waits on it wakes up."""
        self.stopped = True
        self._stop.set()
        with self._lock:
            self._sever()

    def wait(self, seconds: float) -> None:
        """Sleep; wake up at once when it is stopped."""
        self._stop.wait(seconds)

    def hold(self, cut: Callable[[], object] | None) -> None:
        """Remember how to end what is waited on now; do it at once if it is stopped already."""
        with self._lock:
            self._cut = cut
            if self.stopped:
                self._sever()

    def _sever(self) -> None:
        # Closed, not connected any more, nothing to shut down: all of that is as good as cut.
        with suppress(OSError, RuntimeError, ValueError):
            if self._cut:
                self._cut()
