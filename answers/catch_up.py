"""Bring single readers up to date: each by a short-lived thread, which reads the journal at the reader's pace."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from functools import partial

from answers.cursor import Cursor, State
from answers.group import Group
from answers.groups import Groups
from answers.journal import Journal
from relay.errors import JournalError, TalkaboutError
from relay.loop import spawn

TROUBLE_S = 1.0  # pause after the journal could not be read
LAST_WORD_S = 1.0

log = logging.getLogger(__name__)


class CatchUp:
    """Catch readers up; while the journal cannot be read they wait, until `closed`."""

    def __init__(self, journal: Journal, groups: Groups, closed: threading.Event) -> None:
        self._journal = journal
        self._groups = groups
        self._closed = closed

    def start(self, readers: Iterable[Cursor]) -> None:
        """Begin with readers that are marked as such already; not under the lock: a thread takes time to start."""
        for reader in readers:
            spawn(partial(self._catch_up, reader))

    def bounds(self, stream: str, group: Group) -> tuple[int, int]:
        """Ask the journal for a stream's bounds, and note where it has lost entries."""
        known = group.last
        first, last = self._journal.bounds(stream)
        if not group.here and (last < known or known < 0):
            with self._groups.lock:
                if group.last == known:  # else somebody has brought news meanwhile
                    group.begin_at(last)
        return first, last

    def _catch_up(self, reader: Cursor) -> None:
        try:
            while reader.read_on(self._journal) or not self._join(reader):
                if reader.ended:
                    self._groups.discard(reader)
                    return
        except JournalError as error:
            log.error("a reader of %s stands still: %s", reader.stream, error)
            self._closed.wait(TROUBLE_S)
            self._let_wait(reader)
        except TalkaboutError as error:  # most often the pipe's own, whose reader has left already
            reader.pipe.abandon(error, LAST_WORD_S)
        except Exception:  # the edge of a stream: a fault of ours must end the stream, not hang it
            log.exception("a reader of %s could not be brought up to date", reader.stream)
            reader.pipe.abandon(TalkaboutError(), LAST_WORD_S)

    def _join(self, reader: Cursor) -> bool:
        """Make a reader live that has everything; one that cannot have what it misses is told so first."""
        group = self._groups.get(reader.stream)
        if group is None:
            return True  # it has left
        first, last = self.bounds(reader.stream, group)
        if reader.seq > last:
            reader.go_back(self._journal, last)
        reader.pass_over(first - 1)
        with self._groups.lock:
            return group.join(reader, last)

    def _let_wait(self, reader: Cursor) -> None:
        with self._groups.lock:
            reader.state = State.WAITING
            if group := self._groups.get(reader.stream):
                group.watched = False
