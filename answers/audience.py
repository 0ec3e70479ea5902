"""Whom the writer tells what it has written, and what of it was refused; a fault there does not stop it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from answers.entries import Batch

Refused = tuple[str, Callable[[], None] | None]  # a stream, and whom to tell

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


def publish(audience: Audience, batches: Sequence[Batch]) -> None:
    """Hand on what has been written."""
    try:
        audience.publish(batches)
    except Exception:  # the edge of the writer: no answer may stand still for a reader
        log.exception("events were not published here")


def say_refused(audience: Audience, refused: Sequence[Refused]) -> None:
    """Tell of streams that are written elsewhere; this may wait."""
    for stream, on_fenced in refused:
        log.warning("%s is written elsewhere", stream)
        audience.end(stream)
        try:
            if on_fenced is not None:
                on_fenced()
        except Exception:  # the edge of the writer: one answer's fault must not stop all the others
            log.exception("a refused stream's producer could not be told")
