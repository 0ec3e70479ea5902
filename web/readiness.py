"""What a server needs to be ready, each asked beside the others, and for so long and no longer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from relay.errors import TalkaboutError
from relay.loop import spawn

log = logging.getLogger(__name__)

WITHIN_S = 4.0
LATE = "It did not answer in time."


class Check:
    """One part, by a function that raises what is wrong; one that hangs is asked once, however often somebody looks."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._asking = False
        self._answered = threading.Event()
        self._why_not = ""

    def begin(self) -> None:
        """Ask, in a thread of its own, unless that is going on."""
        if not self._asking:
            self._asking, self._answered = True, threading.Event()
            spawn(self._run)

    def why_not(self, seconds: float) -> str:
        """Wait for the answer so long; say what a user may read of what is wrong, nothing if all is well."""
        return self._why_not if self._answered.wait(max(seconds, 0.0)) else LATE

    def _run(self) -> None:
        why_not = LATE
        try:
            self._ask()
            why_not = ""
        except TalkaboutError as error:
            log.warning("not ready: %s", error)
            why_not = error.public
        finally:
            self._why_not, self._asking = why_not, False
            self._answered.set()


def ask_all(checks: Mapping[str, Check]) -> dict[str, str]:
    """Say of each part why it is not ready, nothing if it is; all of it takes WITHIN_S at most."""
    until = time.monotonic() + WITHIN_S
    for check in checks.values():
        check.begin()
    return {name: check.why_not(until - time.monotonic()) for name, check in checks.items()}
