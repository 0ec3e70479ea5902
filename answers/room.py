"""How many more answers a user may begin, without counting those that run each time that one begins."""

from __future__ import annotations

import time
from collections.abc import Callable

from relay.loop import Lock

COUNTED_FOR_S = 1.0
_SHARE = 4  # of what is free, one worker may take a quarter before it counts again
_USERS = 10_000


class Room:
    """Keep to a limit that holds for all workers together: `running(user)` counts what they all write.

    Far from the limit a worker trusts its last count for a second, or until it has begun a quarter of what was free
    then; near the limit it counts each time. So in a burst each further worker may overshoot by such a quarter, within
    that second.
    """

    def __init__(self, limit: int, running: Callable[[str], int]) -> None:
        self.limit = limit
        self._running = running
        self._lock = Lock()
        self._left: dict[str, tuple[int, float]] = {}  # of each user: how many more, and until when

    def take(self, user: str) -> bool:
        """Take room for one more answer, if there is any. Raises DatabaseError."""
        now = time.monotonic()
        with self._lock:
            left, until = self._left.get(user, (0, now))
            if left and now < until:
                self._left[user] = left - 1, until
                return True
        free = self.limit - self._running(user)
        with self._lock:
            if len(self._left) >= _USERS:
                self._left.clear()
            self._left[user] = free // _SHARE, now + COUNTED_FOR_S
        return free > 0
