"""Who follows one stream on this worker, and how far they have come: without a journal, a thread or a lock."""

from __future__ import annotations

from collections.abc import Callable

from answers.cursor import NOWHERE, Cursor, State, consecutive
from answers.entries import Entry

KEPT, KEPT_BYTES = 8, 4096  # entries of a new answer, and how large each may be
IDLE = (State.WAITING, State.LIVE)

Listener = Callable[[str], None]


class Group:
    """Keep who follows one stream; `last` is the seq that they have come to, -1 as long as nobody has asked.

    All that comes of a stream that is written `here` comes from this worker's writer, and the journal need not be
    looked at; what comes before the first reader does is `kept`, if it is not much.
    """

    __slots__ = ("first", "here", "kept", "last", "left_at", "listeners", "readers", "watched")

    def __init__(self) -> None:
        self.readers: set[Cursor] = set()
        self.listeners: list[Listener] = []
        self.last = -1
        self.left_at = 0.0  # when the last reader left, Unix seconds
        self.watched = False
        self.here = False
        self.first = 0  # the first seq that is kept in the journal, if that is known
        self.kept: list[Entry] = []

    def write_here(self, last: int) -> list[Cursor]:
        """Note that the stream is written here behind the seq `last`; return who waits and has not come there."""
        self.begin_at(last)
        self.here = self.watched = True
        self.first, self.kept = int(last == 0), []
        # Who is live and behind, notices that at the next entry, which may bring all that was said again.
        return self.join_all(last, State.WAITING)

    def leave_here(self) -> None:
        """Note that the stream is not written here any more."""
        self.here = self.watched = False
        self.first, self.kept = 0, []

    def begin_at(self, last: int) -> None:
        """Go on from the seq `last`; it lies behind what was seen if the journal has lost entries.

        Live readers keep what they have then, until something comes; it is not the next of theirs, whatever its seq.
        """
        self.last = last
        for reader in self.readers:
            if reader.state is State.LIVE and reader.seq > last:
                reader.seq = NOWHERE

    def join(self, reader: Cursor, last: int) -> bool:
        """Make a reader live if it has all up to `last`, and all that came since."""
        if reader.seq != max(last, self.last):
            return False
        reader.state = State.LIVE if self.watched else State.WAITING
        return True

    def join_all(self, last: int, *states: State) -> list[Cursor]:
        """Make live who has everything; return who is left, and has to catch up from now on."""
        idle = [reader for reader in self.readers if reader.state in (states or IDLE) and reader.seq != NOWHERE]
        return to_catch_up([reader for reader in idle if not self.join(reader, last)])

    def join_now(self, reader: Cursor) -> bytes | None:
        """Make a reader of a stream that is written here live, and return what it has missed; None if that is too much.

        Nothing is kept for another.
        """
        kept, self.kept = [entry for entry in self.kept if entry.seq > reader.seq], []
        if reader.seq > self.last or [entry.seq for entry in kept] != [*range(reader.seq + 1, self.last + 1)]:
            return None
        reader.seq, reader.state = self.last, State.LIVE
        return b"".join([entry.block for entry in kept])

    def offer(self, entries: list[Entry]) -> tuple[list[Entry], list[Cursor]]:
        """Offer to the live readers what nobody here has got yet, one block for all.

        Return what that is, and those who miss some of what there was.
        """
        first, last = entries[0].seq, entries[-1].seq
        if first != self.last + 1 or last != self.last + len(entries):
            return self._offer_what_is_new(entries)
        self.last = last
        whole = entries[0].block if first == last else b"".join([entry.block for entry in entries])
        if not self.readers and self.here and last <= KEPT and len(whole) <= KEPT_BYTES:
            self.kept += entries
        # A copy, since who takes too little leaves at once.
        missed = [
            reader for reader in [*self.readers] if reader.state is State.LIVE and not reader.offer(entries, whole)
        ]
        return entries, to_catch_up(missed)

    def _offer_what_is_new(self, entries: list[Entry]) -> tuple[list[Entry], list[Cursor]]:
        new = [entry for entry in entries if entry.seq > self.last >= 0]
        if not new:
            return [], []
        self.last = new[-1].seq
        live = [reader for reader in self.readers if reader.state is State.LIVE and reader.seq < self.last]
        if consecutive(new) != new:
            return new, to_catch_up(live)
        whole = b"".join([entry.block for entry in new])
        return new, to_catch_up([reader for reader in live if not reader.offer(new, whole)])


def to_catch_up(readers: list[Cursor]) -> list[Cursor]:
    """Mark readers as such that have to catch up."""
    for reader in readers:
        reader.state = State.CATCHING_UP
    return readers
