"""How far one reader of a stream has got, and what it gets next.

Its `seq` decides, whoever brings the entries; so nothing is doubled, and what is missing shows. `state` belongs to the
follower's lock, and so does `seq`, but to the thread that catches up while there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from answers.journal import Entry, Journal
from relay.errors import TalkaboutError
from relay.pipe import Pipe

BATCH = 200
NOWHERE = -1  # the seq of a reader who has nothing that the journal knows of

Reset = Callable[[int], bytes | None]
Farewell = Callable[[TalkaboutError], bytes]


class State(Enum):
    """How a reader is served: see answers/follow.py."""

    WAITING = "waiting"
    CATCHING_UP = "catching up"
    LIVE = "live"


class Cursor:
    """Lead one reader along a stream; `ended` behind the final entry."""

    __slots__ = ("ended", "farewell", "pipe", "reset", "seq", "state", "stream")

    def __init__(self, stream: str, seq: int, pipe: Pipe, reset: Reset | None, farewell: Farewell | None) -> None:
        self.stream = stream
        self.seq = seq
        self.pipe = pipe
        self.reset = reset
        self.farewell = farewell
        self.state = State.WAITING
        self.ended = False

    def offer(self, entries: list[Entry], whole: bytes) -> bool:
        """Offer the reader what it has not got of these entries, in one piece: `whole`, if it has got none of them.

        False if some before them are missing. A reader that takes too little loses its pipe.
        """
        if self.seq != entries[0].seq - 1:
            if self.seq < entries[0].seq:
                return False
            whole = b"".join([entry.block for entry in entries if entry.seq > self.seq])
        if self.pipe.offer(whole):
            newest = entries[-1]
            self.seq = max(self.seq, newest.seq)
            if newest.final:
                self._end_if(True)
        return True

    def read_on(self, journal: Journal) -> bool:
        """Put the next batch of entries into the pipe, at the reader's pace; false if there is none.

        Raises JournalError, and what the pipe raises.
        """
        entries = consecutive(journal.read(self.stream, self.seq, BATCH))
        if not entries:
            return False
        newest = entries[-1]
        is_end = newest.final and journal.bounds(self.stream)[1] == newest.seq
        # An answer that was continued has ends on its way, and none of them is the end for whoever comes later.
        passed = [entry.seq for entry in entries if entry.final and not (is_end and entry is newest)]
        self.pass_over(max([entries[0].seq - 1, *passed]))
        self.pipe.put(b"".join(entry.block for entry in entries if entry.seq > self.seq))
        self.seq = newest.seq
        self._end_if(is_end)
        return True

    def pass_over(self, upto: int) -> None:
        """Put a block into the pipe that stands for all up to the seq `upto`, if the reader has not come there yet."""
        if upto > self.seq:
            if self.reset and (block := self.reset(upto)):
                self.pipe.put(block)
            self.seq = upto

    def go_back(self, journal: Journal, last: int) -> None:
        """Begin anew at the end of a stream that has never had, or has lost, what the reader has seen."""
        newest = journal.read(self.stream, last - 1, 1)
        self.seq = NOWHERE
        self.pass_over(last - 1 if newest and newest[0].final else last)

    def leave(self, reason: TalkaboutError) -> None:
        """End the reader's abandoned pipe."""
        self.pipe.close(self.farewell(reason) if self.farewell else b"")

    def _end_if(self, is_end: bool) -> None:
        if is_end:
            self.ended = True
            self.pipe.close()


def consecutive(entries: list[Entry]) -> list[Entry]:
    """Return the entries up to the first gap."""
    return [entry for place, entry in enumerate(entries) if entry.seq == entries[0].seq + place]
