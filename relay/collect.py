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

COLLECT_S = 0.002  # between two looks at least, while each brings ENOUGH sockets
MANY = 8  # at a look without a wait: the loop falls behind
ENOUGH = 32


class Collector:
    """Count what is ready at a look, and let the loop collect for as long as that is much."""

    def __init__(self, loop: Any) -> None:
        """Take gevent's loop."""
        self._loop = loop
        self._set_interval = _setter_of(loop)
        self._look = self._ready = 0
        self.collects = False

    def count(self) -> None:
        """Count a socket that is ready; to be called once for each, in the loop."""
        look = self._loop.iteration
        if look == self._look:
            self._ready += 1
            return
        pays = self._ready >= (ENOUGH if self.collects else MANY)
        if pays is not self.collects:
            self.collects = pays
            self._set_interval(COLLECT_S if self.collects else 0.0)
        self._look, self._ready = look, 1


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
