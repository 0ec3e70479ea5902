"""Let old entries of the journal, deleted conversations and files that were never sent go.

That happens in small batches, so that nothing stops for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from answers.journal import Journal
from relay.errors import DatabaseError, JournalError
from relay.settings import Settings

PRUNE_EVERY_S = 60.0

log = logging.getLogger(__name__)


class Pruning:
    """Prune a journal by the operator's bounds on time and size; each of `purges` does the same in the database."""

    def __init__(self, journal: Journal, settings: Settings, *purges: Callable[[], bool]) -> None:
        self._journal = journal
        self._purges = purges
        self._keep_s = max(settings.journal_keep_s, settings.channel_keep_s)
        self._max_bytes = settings.journal_max_bytes
        self._next_at = 0.0

    def look(self) -> None:
        """Prune a batch if it is time to; call this again and again. A failure only means that it is done later."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + PRUNE_EVERY_S
        try:
            if self._journal.prune(time.time() - self._keep_s, self._max_bytes):
                self._next_at = now  # there may be more
        except JournalError as error:
            log.warning("old events stay for now: %s", error)
        try:
            if sum(purge() for purge in self._purges):
                self._next_at = now
        except DatabaseError as error:
            log.warning("deleted conversations and files stay for now: %s", error)
