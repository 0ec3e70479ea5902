"""The journal as channels know it, until they follow it by its interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from answers.sqlite_journal import SqliteJournal


class Entry(NamedTuple):
    """Hold one entry with its place in the whole journal."""

    pos: int
    stream: str
    seq: int
    block: bytes


class ChannelJournal(SqliteJournal):
    """Follow all streams at once by their common order."""

    def append(self, stream: str, make_block: Callable[[int], bytes], keep: int) -> int:
        """Append one entry and return its seq."""
        return self.publish(stream, make_block, keep)

    def tail(self, after_pos: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries of all streams behind `after_pos`."""
        sql = "SELECT pos, stream, seq, block FROM entries WHERE pos > ? ORDER BY pos LIMIT ?"
        return [Entry(*row) for row in self.file.read(sql, after_pos, limit)]

    def end(self) -> int:
        """Return the pos of the newest entry."""
        return int(self.file.read("SELECT coalesce(max(pos), 0) FROM entries")[0][0])

    def first(self, stream: str) -> int:
        """Return the seq of the oldest entry that is kept."""
        return self.bounds(stream)[0]

    def last(self, stream: str) -> int:
        """Return the seq of the newest entry."""
        return self.bounds(stream)[1]
