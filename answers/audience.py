"""Whom the writer tells what it writes, which the follower is, and whom that a stream is not theirs to write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from answers.entries import Batch

log = logging.getLogger(__name__)


class Audience(Protocol):
    """Whom the writer tells what it writes: answers.follow.Follower."""

    def begin(self, stream: str, last: int) -> None:
        """Take note that all that comes of a stream behind the seq `last` is written here."""

    def publish(self, batches: Sequence[Batch]) -> None:
        """Take what has been written."""

    def end(self, stream: str) -> None:
        """Take note that a stream is not written here any more, if it was."""

    def look(self, stream: str) -> None:
        """Take note that the journal has news of a stream."""


def say_fenced(on_fenced: Callable[[], None] | None) -> None:
    """Tell a refused stream's producer, whatever it makes of it."""
    try:
        if on_fenced is not None:
            on_fenced()
    except Exception:  # the edge of the writer: one answer's fault must not stop all the others
        log.exception("a refused stream's producer could not be told")
