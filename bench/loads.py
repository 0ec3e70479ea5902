"""What is asked of each relay: the five tests."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Load:
    """A number of streams at once, of so many tokens so far apart, opened over `ramp_s` seconds.

    With more `requests` than `streams`, each that ends makes room for the next.
    """

    name: str
    title: str
    streams: int
    tokens: int
    interval_us: int
    ramp_s: float = 0.0
    requests: int = 0
    patience_s: float = 90.0

    def scaled(self, share: float) -> Load:
        """Ask for less: fewer requests, else fewer tokens where they are not paced, else fewer streams."""
        if share == 1:
            return self
        if self.requests:
            requests = max(10, int(self.requests * share))
            return replace(self, requests=requests, streams=min(self.streams, requests))
        if not self.interval_us:
            return replace(self, tokens=max(20, int(self.tokens * share)))
        return replace(self, streams=max(5, int(self.streams * share)))

    def options(self) -> list[str]:
        """Say it to load.c."""
        words = {"-c": self.streams, "-r": self.requests, "-n": self.tokens, "-R": self.ramp_s, "-t": self.patience_s}
        return [str(word) for pair in words.items() for word in pair]


LOADS = {
    load.name: load
    for load in (
        Load("A", "paced: 200 streams, a token each 50 ms", 200, 100, 50_000, ramp_s=0.5),
        Load("E", "saturated: 400 streams, a token each 10 ms", 400, 200, 10_000, ramp_s=1),
        Load("B", "flood: 50 streams of 2,000 tokens, unpaced", 50, 2000, 0, patience_s=120),
        Load("C", "many: 2,000 streams, a token each 500 ms", 2000, 40, 500_000, ramp_s=4, patience_s=150),
        Load("D", "short: 2,000 requests of 5 tokens, 50 at once", 50, 5, 0, requests=2000),
    )
}
