"""What the answers of one worker have done, in plain numbers: web/metrics.py carries them to whoever looks.

A token may pay for two additions here and no more; docs/performance.md has what it does pay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from relay.catalog import OTHER

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_NAMES = 100


class Histogram:
    """Count durations by the first of SECONDS that is not below them."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self._total = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration."""
        self._counts[bisect_left(SECONDS, seconds)] += times
        self._total += seconds * times

    def take(self) -> tuple[list[int], float]:
        """Hand over the counts, the last for what is longer than all, and the sum; begin anew."""
        taken = self._counts, self._total
        self._counts, self._total = [0] * (len(SECONDS) + 1), 0.0
        return taken


class Tally:
    """The answers of one model of one upstream."""

    def __init__(self) -> None:
        self.begun = 0
        self.adopted = 0
        self.ended: Counter[str] = Counter()  # by state
        self.errors: Counter[str] = Counter()  # of the upstream, by code
        self.first_token = Histogram()
        self.between_tokens = Histogram()


class Measures:
    """Every tally of this worker; names that come from outside cannot make them many."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def of(self, upstream: str, model: str) -> Tally:
        """Find the tally of a model, or the one that all have together who came too late."""
        key = (upstream, model)
        if key not in self._tallies:
            if len(self._tallies) >= _NAMES:
                key = (OTHER, OTHER)
            return self._tallies.setdefault(key, Tally())
        return self._tallies[key]

    def __iter__(self) -> Iterator[tuple[str, str, Tally]]:
        """Give each tally behind its upstream and its model."""
        for (upstream, model), tally in list(self._tallies.items()):
            yield upstream, model, tally
