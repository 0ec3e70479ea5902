"""Who follows what on this worker: without a journal or a thread; all of it stands under one lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from answers.cursor import NOWHERE, Cursor, State, consecutive
from answers.journal import Entry

log = logging.getLogger(__name__)

Listener = Callable[[str], None]


class Group:
    """Keep who follows one stream; `last` is the seq that they have come to, -1 as long as nobody has asked."""

    __slots__ = ("last", "listeners", "readers", "watched")

    def __init__(self) -> None:
        self.readers: set[Cursor] = set()
        self.listeners: list[Listener] = []
        self.last = -1
        self.watched = False

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

    def join_all(self, last: int) -> list[Cursor]:
        """Make live who has everything, and return who has not and is not yet catching up."""
        idle = [reader for reader in self.readers if reader.state is not State.CATCHING_UP and reader.seq != NOWHERE]
        return [reader for reader in idle if not self.join(reader, last)]

    def fresh(self, entries: list[Entry]) -> list[Entry]:
        """Return those of the entries that nobody here has got yet; from now on they count as seen."""
        if self.last < 0:
            return []
        fresh = [entry for entry in entries if entry.seq > self.last]
        self.last = fresh[-1].seq if fresh else self.last
        return fresh

    def offer(self, fresh: list[Entry]) -> list[Cursor]:
        """Offer entries to the live readers, one block for all, and return those that miss some of what there was."""
        live = [reader for reader in self.readers if reader.state is State.LIVE and reader.seq < self.last]
        if consecutive(fresh) != fresh:
            return live
        whole = b"".join(entry.block for entry in fresh)
        return [reader for reader in live if not reader.offer(fresh, whole)]


class Groups:
    """Keep the groups by stream. The lock may be taken twice: who takes too little leaves in the middle of an offer."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._to_touch: set[str] = set()

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, stream: str) -> Group | None:
        """Return a stream's group, if anybody follows it."""
        return self._groups.get(stream)

    def names(self) -> list[str]:
        """List the streams that anybody follows."""
        with self.lock:
            return list(self._groups)

    def readers(self) -> list[Cursor]:
        """List the readers of all streams."""
        with self.lock:
            return [reader for group in self._groups.values() for reader in group.readers]

    def add(self, reader: Cursor) -> Group:
        """Take a reader into the group of its stream."""
        with self.lock:
            group = self._groups.setdefault(reader.stream, Group())
            if not group.readers:
                self._to_touch.add(reader.stream)
            group.readers.add(reader)
            return group

    def discard(self, reader: Cursor) -> None:
        """Let a reader go, if it is still there."""
        with self.lock:
            group = self._groups.get(reader.stream)
            if group is not None and reader in group.readers:
                group.readers.discard(reader)
                if not group.readers:
                    self._to_touch.add(reader.stream)
                self._drop_if_idle(reader.stream, group)

    def listen(self, stream: str, listener: Listener) -> Group:
        """Take a listener into the group of a stream."""
        with self.lock:
            group = self._groups.setdefault(stream, Group())
            group.listeners.append(listener)
            return group

    def unlisten(self, stream: str, listener: Listener) -> None:
        """Let a listener go."""
        with self.lock:
            group = self._groups[stream]
            group.listeners.remove(listener)
            self._drop_if_idle(stream, group)

    def distrust(self) -> None:
        """Note that no stream is watched any more."""
        with self.lock:
            for group in self._groups.values():
                group.watched = False

    def are_settled(self) -> bool:
        """Tell if every stream is watched, and none is to be touched now."""
        with self.lock:
            return not self._to_touch and all(group.watched for group in self._groups.values())

    def to_touch(self, everything: bool) -> set[str]:
        """Take the streams whose first reader has come or whose last has gone; with `everything` all that are read."""
        with self.lock:
            streams, self._to_touch = self._to_touch, set()
            if everything:
                streams |= {stream for stream, group in self._groups.items() if group.readers}
            return streams

    def _drop_if_idle(self, stream: str, group: Group) -> None:
        if not (group.readers or group.listeners):
            del self._groups[stream]


def tell(listener: Listener, entries: list[Entry]) -> None:
    """Call a listener with the text of each entry, whatever it makes of it."""
    for entry in entries:
        try:
            listener(entry.block.decode())
        except Exception:  # the edge of the tail: a listener's fault must not stop everybody's streams
            log.exception("a listener of %s failed", entry.stream)
