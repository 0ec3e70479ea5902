"""Waiting for facts."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 20.0


def until(fact: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S) -> None:
    """Wait until a function says yes, so long and no longer."""
    deadline = time.monotonic() + patience_s
    while not fact():
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}"
        time.sleep(0.01)
