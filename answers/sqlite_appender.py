"""Append to the journal's SQLite file what may be appended, by what this process knows of the streams' leases and ends.

It knows what it has taken and written itself, and `changes` in the file's head says if that still holds.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from answers.entries import Batch, Entry, News
from answers.sqlite_entries import FILED_AT_ONCE, Ends, Head, append, append_one, head, keep_newest, read
from answers.sqlite_file import SqliteFile, in_transaction

T = TypeVar("T")
Known = tuple[str, int, int]  # who has a stream's lease, and where it ends, as long as the head says `changes`

CHANGED = "UPDATE head SET changes = changes + 1"
_OWNER = "SELECT owner FROM leases WHERE stream = ?"
RELEASE = "DELETE FROM leases WHERE stream = ? AND owner = ?"


class Appender:
    """Write batches of entries and news; `writes` counts what was tried."""

    def __init__(self, file: SqliteFile) -> None:
        self.writes = 0
        self._file = file
        self.forget()

    def commit(self, batches: Sequence[Batch], news: Sequence[News], patient: bool) -> set[str]:
        """Write all batches and news in one transaction, and return the streams that were refused."""
        if len(batches) == 1 and not news and self._commit_one(batches[0], patient):
            return set()

        def work(cursor: sqlite3.Cursor) -> set[str]:
            at = head(cursor)
            new: list[Entry] = []
            ended: list[tuple[str, str]] = []
            refused: set[str] = set()
            for batch in batches:
                entries = batch.entries if self._is_next(batch, at) else self._missing(cursor, at, batch)
                if entries is None:
                    refused.add(batch.stream)
                elif entries:
                    new += entries
                    self._known[batch.stream] = batch.owner, entries[-1].seq, at.changes
                    if entries[-1].final:
                        ended.append((batch.stream, batch.owner))
            self.append(cursor, at, new, news)
            if ended:
                cursor.executemany(RELEASE, ended)
                self.drop(stream for stream, _ in ended)
            self.drop(refused)
            return refused

        return self.write(work, patient)

    def _commit_one(self, batch: Batch, patient: bool) -> bool:
        """Write the one entry of a batch if this process knows that it is the next; false if `commit` has to look."""
        entry = batch.entries[0]
        owner, last, changes = self._known.get(batch.stream, ("", 0, 0))
        is_next = self._unseen > 0 and (batch.owner, entry.seq - 1) == (owner, last)
        if not is_next or entry.final or len(batch.entries) > 1:
            return False
        if not self._run(lambda cursor: append_one(cursor, changes, entry, time.time()), patient):
            return False
        self._known[batch.stream] = owner, entry.seq, changes
        self._unseen -= 1
        return True

    def take(self, cursor: sqlite3.Cursor, at: Head, stream: str, owner: str) -> None:
        """Take note of who has a stream's lease now."""
        self._known[stream] = owner, self._ends.last(cursor, at, stream), at.changes

    def drop_all(self) -> None:
        """Know nothing of any stream's lease."""
        self._known.clear()

    def write(self, work: Callable[[sqlite3.Cursor], T], patient: bool = True) -> T:
        """Call `work` in a transaction, as the file does; if it fails nothing counts as known."""
        return self._run(lambda cursor: in_transaction(cursor, work), patient)

    def _run(self, work: Callable[[sqlite3.Cursor], T], patient: bool) -> T:
        try:
            return self._file.run(work, patient)
        except BaseException:
            self.forget()  # nobody can tell what of it is in the file
            raise
        finally:
            self.writes += 1

    def append(self, cursor: sqlite3.Cursor, at: Head, entries: list[Entry], news: Sequence[News]) -> list[Entry]:
        """Append entries, and news under the next seqs of their streams, which are returned."""
        numbered = self._ends.number(cursor, at, news) if news else []
        append(cursor, at, entries + numbered, time.time())
        self._unseen = FILED_AT_ONCE - (at.pos - at.filed)
        for each, entry in zip(news, numbered, strict=True):
            keep_newest(cursor, each.stream, entry.seq, each.keep)
        return numbered

    def forget(self) -> None:
        """Know nothing."""
        self._known: dict[str, Known] = {}
        self._ends = Ends()
        self._unseen = 0  # how many entries may be appended until somebody has to see if they are to be indexed

    def drop(self, streams: Iterable[str]) -> None:
        """Know nothing of these streams."""
        for stream in streams:
            self._known.pop(stream, None)

    def _is_next(self, batch: Batch, at: Head) -> bool:
        """Tell if a batch may be written, by what this process has taken and written since anybody else could have."""
        first = batch.entries[0].seq
        return (
            self._known.get(batch.stream) == (batch.owner, first - 1, at.changes)
            and batch.entries[-1].seq == first + len(batch.entries) - 1
        )

    def _missing(self, cursor: sqlite3.Cursor, at: Head, batch: Batch) -> list[Entry] | None:
        """Return what is missing of a batch, by the file itself; None if that is not its owner's to write."""
        first, count = batch.entries[0].seq, len(batch.entries)
        owner = (cursor.execute(_OWNER, (batch.stream,)).fetchone() or (None,))[0]
        last = self._ends.last(cursor, at, batch.stream)
        if first <= last:
            kept = read(cursor, batch.stream, first - 1, count)
            is_mine = owner == batch.owner or (owner is None and batch.entries[-1].final)
            return [] if kept == batch.entries and is_mine else None
        if owner != batch.owner or first != last + 1 or batch.entries[-1].seq != last + count:
            return None
        if self._known.get(batch.stream, ())[:2] != (owner, last):
            cursor.execute(CHANGED)
        return batch.entries
