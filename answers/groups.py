"""Who follows what on this worker: without a journal or a thread; all of it stands under one lock."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import NamedTuple

from answers.cursor import Cursor
from answers.group import Group, Listener
from answers.journal import Batch, Entry
from relay.loop import Lock

log = logging.getLogger(__name__)


class Offered(NamedTuple):
    """Hold what is left to do once entries were offered: with readers who missed some, and for listeners."""

    behind: list[Cursor]
    heard: list[tuple[Listener, list[Entry]]]
    unplaced: bool


class Groups:
    """Keep the groups by stream. The lock may be taken twice: who takes too little leaves in the middle of an offer."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._groups: dict[str, Group] = {}
        self._to_touch: set[str] = set()

    def get(self, stream: str) -> Group | None:
        """Return a stream's group, if anybody follows it or it is written here."""
        return self._groups.get(stream)

    def followed(self) -> list[str]:
        """List the streams whose news the journal has to bring."""
        with self.lock:
            return [stream for stream, group in self._groups.items() if not group.here]

    def unwatched(self) -> list[tuple[str, Group]]:
        """List the groups whose readers have to be placed."""
        with self.lock:
            return [(stream, group) for stream, group in self._groups.items() if not group.watched]

    def readers(self) -> list[Cursor]:
        """List the readers of all streams."""
        with self.lock:
            return [reader for group in self._groups.values() for reader in group.readers]

    def begin(self, stream: str) -> Group:
        """Return a stream's group, a new one if there is none."""
        return self._groups.setdefault(stream, Group())

    def add(self, reader: Cursor) -> Group:
        """Take a reader into the group of its stream."""
        with self.lock:
            group = self.begin(reader.stream)
            if not group.readers and not group.here:
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
                    self._note_leaving(reader.stream, group)
                self.drop_if_idle(reader.stream, group)

    def _note_leaving(self, stream: str, group: Group) -> None:
        if group.here:  # whoever asks for it does so on this worker
            group.left_at = time.time()
        else:
            self._to_touch.add(stream)

    def offer(self, batches: Iterable[Batch]) -> Offered:
        """Offer to the live readers what nobody has got yet."""
        behind: list[Cursor] = []
        heard: list[tuple[Listener, list[Entry]]] = []
        unplaced = False
        with self.lock:
            for batch in batches:
                group = self._groups.get(batch.stream)
                if group is not None:
                    new, missed = group.offer(batch.entries)
                    behind += missed
                    for listener in group.listeners:
                        heard.append((listener, new))
                    if new and new[-1].final:
                        self.end(batch.stream, group)
                        unplaced |= bool(group.readers)
        return Offered(behind, heard, unplaced)

    def end(self, stream: str, group: Group) -> None:
        """Note that a stream has ended, or is not written here any more; readers that have all of it leave."""
        if group.here:
            group.leave_here()
        for reader in [reader for reader in group.readers if reader.ended]:
            group.readers.discard(reader)
        if group.readers:
            self._to_touch.add(stream)
        self.drop_if_idle(stream, group)

    def listen(self, stream: str, listener: Listener) -> Group:
        """Take a listener into the group of a stream."""
        with self.lock:
            group = self.begin(stream)
            group.listeners.append(listener)
            return group

    def unlisten(self, stream: str, listener: Listener) -> None:
        """Let a listener go."""
        with self.lock:
            group = self._groups[stream]
            group.listeners.remove(listener)
            self.drop_if_idle(stream, group)

    def distrust(self) -> None:
        """Note that no stream is watched any more."""
        with self.lock:
            for group in self._groups.values():
                group.watched = group.here

    def are_settled(self) -> bool:
        """Tell if every stream is watched, and none is to be touched now."""
        with self.lock:
            return not self._to_touch and all(group.watched for group in self._groups.values())

    def to_touch(self, everything: bool) -> set[str]:
        """Take the streams whose first reader has come or whose last has gone; with `everything` all that are read."""
        with self.lock:
            streams, self._to_touch = self._to_touch, set()
            if everything:
                streams |= {name for name, group in self._groups.items() if group.readers and not group.here}
            return streams

    def drop_if_idle(self, stream: str, group: Group) -> None:
        """Forget a group that nobody needs."""
        if not (group.readers or group.listeners or group.here):
            self._groups.pop(stream, None)


def tell(listener: Listener, entries: list[Entry]) -> None:
    """Call a listener with the text of each entry, whatever it makes of it."""
    for entry in entries:
        try:
            listener(entry.block.decode())
        except Exception:  # the edge of the tail: a listener's fault must not stop everybody's streams
            log.exception("a listener of %s failed", entry.stream)
