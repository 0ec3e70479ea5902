"""How a busy event loop lets several sockets become ready before it looks at them again.

To wake up and to look costs as much as half a token does. So network cards that are busy tell of several packets at
once, a little later (adaptive interrupt coalescing), and libev can do the same for sockets (its manual:
`ev_set_io_collect_interval`). It begins where sockets become ready faster than the loop is done with them, and ends
where the wait brings too few, so that nobody waits for company that does not come. What the loop has done since the
last look counts: one that never sleeps does not begin to.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MANY = 8  # sockets at a look without a wait: the loop falls behind
SHORTEST_S = 0.002  # between two looks then, and from one to the next twice as long,
LONGEST_S = 0.008  # up to half a frame of a screen,
ENOUGH_A_SECOND = 12_000  # while they bring so many sockets


class Collector:
    """Count what is ready at a look, and let the loop collect for as long as that is much."""

    def __init__(self, loop: Any) -> None:
        """Take gevent's loop."""
        self._loop = loop
        self._set_interval = _setter_of(loop)
        self._look = self._ready = 0
        self.pause_s = 0.0  # between two looks

    def count(self) -> None:
        """Count a socket that is ready; to be called once for each, in the loop."""
        look = self._loop.iteration
        if look == self._look:
            self._ready += 1
            return
        if self.pause_s or self._ready >= MANY:
            self._choose(self._ready)
        self._look, self._ready = look, 1

    def _choose(self, ready: int) -> None:
        """Make the pause longer or shorter, now that it is known what the last look has brought."""
        pause_s = self.pause_s
        if ready >= max(pause_s * ENOUGH_A_SECOND, MANY):
            pause_s = min(max(2 * pause_s, SHORTEST_S), LONGEST_S)
        else:
            pause_s = pause_s / 2 if pause_s > SHORTEST_S else 0.0
        if pause_s != self.pause_s:
            self.pause_s = pause_s
            self._set_interval(pause_s)


def _setter_of(loop: Any) -> Callable[[float], object]:
    """Find libev's function in gevent's extension, which does not pass it on; libuv, on Windows, has none."""
    try:
        set_interval = ctypes.CDLL(sys.modules[type(loop).__module__].__file__).ev_set_io_collect_interval
    except (AttributeError, OSError):
        return bool
    set_interval.argtypes, set_interval.restype = (ctypes.c_void_p, ctypes.c_double), None
    return lambda seconds: set_interval(loop.ptr, seconds)


@lru_cache(maxsize=8)
def collector_of(loop: Any) -> Collector:
    """Give the one that counts for this loop."""
    return Collector(loop)
