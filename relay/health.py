"""Passive health: what its requests say about a server, and how long it is left alone after a failure.

    closed ──a failure──> open ──its pause is over and it lists its models──> half-open ──an answer begins──> closed
                           ^                                                      │
                           └─────────────a failure: a longer pause────────────────┘

A failure is one of the server's: not what it refuses with good reason, not what a user stops. A 500 may be the fault
of a single prompt (Xinference says 500 to bad input), so that only the third in a row counts.
"""

from __future__ import annotations

import random
from time import monotonic

from relay.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamNotAStream,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
DOUBTS = 3
_OUT_OF_SERVICE = (429, 502, 503, 504)


class Health:
    """The breaker of one server; used in half-open state by one request at a time (`on_trial`)."""

    def __init__(self) -> None:
        self.state = CLOSED
        self.on_trial: object = None  # the line of the request that tries it
        self.rests_until = 0.0
        self._failures = 0

    def due(self) -> bool:
        """Tell if its pause is over, so that it may be asked if it is back."""
        return self.state == OPEN and monotonic() >= self.rests_until

    def failed(self, error: UpstreamError) -> float:
        """Note how a request failed; give the seconds that the server now rests, 0 if it does not, or did already."""
        if not (is_down(error) or _is_doubtful(error)) or (self.state == OPEN and not self.due()):
            return 0.0
        self._failures += 1
        self.on_trial = None
        if self.state == CLOSED and self._failures < DOUBTS and not is_down(error):
            return 0.0
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))
        wanted = error.retry_after or 0.0 if isinstance(error, UpstreamRefused) else 0.0
        # Jitter: the workers that saw a server die together do not come back together.
        pause = max(random.uniform(longest / 2, longest), min(wanted, LONGEST_PAUSE_S))  # noqa: S311
        self.state, self.rests_until = OPEN, monotonic() + pause
        return pause

    def listed(self) -> None:
        """Note that it has listed its models: it may be tried."""
        if self.due():
            self.state, self.on_trial = HALF_OPEN, None

    def answered(self) -> None:
        """Note that it has begun to answer: it is used again, and a failure now still makes the next pause longer."""
        self.state, self.on_trial = CLOSED, None

    def succeeded(self) -> None:
        """Note that an answer has come well to its end."""
        self.answered()
        self._failures = 0


def is_down(error: UpstreamError) -> bool:
    """Tell if an error says that its server is down, or out of service for now."""
    if isinstance(error, UpstreamTimeout):
        return error.limit != "total"
    if isinstance(error, UpstreamRefused):
        return error.status in _OUT_OF_SERVICE
    return isinstance(error, (UpstreamUnreachable, UpstreamBroken))


def _is_doubtful(error: UpstreamError) -> bool:
    return isinstance(error, UpstreamNotAStream) or (isinstance(error, UpstreamRefused) and error.status >= 500)
