"""What was looked up a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Fresh(Generic[K, V]):
    """Keep what `load` has found for so many seconds, of so many keys; what it has not found is not kept."""

    def __init__(self, load: Callable[[K], V | None], seconds: float, most: int = 10_000) -> None:
        self._load, self._seconds, self._most = load, seconds, most
        self._held: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """Give what was found, or look again. Raises what `load` raises."""
        held = self._held.get(key)
        if held is not None and held[0] > time.monotonic():
            return held[1]
        found = self._load(key)
        if found is None:
            self._held.pop(key, None)
            return None
        if len(self._held) >= self._most:
            self._held.clear()  # simpler than to choose, and as dear as one look at each that is still in use
        self._held[key] = (time.monotonic() + self._seconds, found)
        return found
