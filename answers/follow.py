"""Follow the journal's streams: one tail thread per worker, whatever the number of readers.

    writer ──publish (at once)──┐
                                ├──Pipe.offer──> every live reader of the stream on this worker
    journal ──wait──> tail ─────┘

    WAITING      until the tail watches the reader's stream; it is live then if it has all that the journal has, else
    CATCHING_UP  a short-lived thread puts what it misses into its pipe, at its own pace
    LIVE         it gets what comes, at once; if that is not its next entry, it has to catch up again

A stream that this worker writes comes from its writer alone: it is watched as it is, and the tail does not ask for it.
For the others the order counts: a stream is watched first, and then asked for its end, so that no entry falls between.
Without the journal all readers stay, and each is looked at again when it is back.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial

from answers.catch_up import TROUBLE_S, CatchUp
from answers.cursor import Cursor, Farewell, Reset, State
from answers.group import Listener
from answers.groups import Groups, tell
from answers.journal import Batch, Entry, Journal
from relay.errors import Draining, JournalError, TalkaboutError
from relay.loop import spawn
from relay.pipe import Pipe, to_reader
from relay.settings import Settings

PATIENCE_S = 1.0  # how late the tail may learn that a reader has gone
TOUCH_S = 10.0
LISTEN_S = 2.0
LAST_WORD_S = 1.0

log = logging.getLogger(__name__)


class Follower:
    """Serve this worker's readers of the journal; len() says how many there are, close() sends them on."""

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._touch_every_s = min(TOUCH_S, settings.abandon_after_s / 10)
        self._touch_at = 0.0
        self._groups = Groups()
        self._lock = self._groups.lock  # nobody waits for anything under it: no journal, no thread that starts
        self._changed = threading.Condition(self._lock)
        self._tail: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self._catch_up = CatchUp(journal, self._groups, self._closed)

    def __len__(self) -> int:
        return len(self._groups.readers())

    def readers(self, stream: str) -> int:
        """Count a stream's readers on this worker."""
        group = self._groups.get(stream)
        return len(group.readers) if group else 0

    def left_at(self, stream: str) -> float:
        """Return when the last reader of a stream that is written here has left (Unix seconds); 0 if none has."""
        group = self._groups.get(stream)
        return group.left_at if group else 0.0

    def bounds(self, stream: str) -> tuple[int, int]:
        """Return what the journal's `bounds` would, without asking it where this worker writes the stream."""
        with self._lock:
            group = self._groups.get(stream)
            if group is not None and group.first:
                return group.first, group.last
        return self._journal.bounds(stream)

    def follow(
        self,
        stream: str,
        after: int,
        opening: bytes = b"",
        reset: Reset | None = None,
        farewell: Farewell | None = None,
    ) -> Pipe:
        """Return a pipe that gets `opening`, every entry behind the seq `after`, then each as it comes.

        It ends behind a final entry. Where entries are missing, and in place of an end that was not the last one, the
        reader gets `reset(seq)`: a block that stands for all up to and including that seq. A pipe that is abandoned
        ends with `farewell(reason)`; who takes it must abandon it when nobody reads it. Raises Draining.
        """
        pipe = to_reader(self._settings)
        reader = Cursor(stream, after, pipe, reset, farewell)
        with self._lock:
            self._refuse_if_closed()
            group = self._groups.add(reader)
            missed = group.join_now(reader) if group.here and group.watched else None
            pipe.put(opening + (missed or b""))  # it is empty, so this does not wait
            if missed is None and group.watched:
                reader.state = State.CATCHING_UP
        pipe.on_abandon(partial(self._leave, reader))
        if reader.state is State.CATCHING_UP:
            self._catch_up.start([reader])
        elif reader.state is State.WAITING:
            self._look_anew()
        return pipe

    def finished(self, block: bytes) -> Pipe:
        """Return a pipe that gets a block, and nothing more."""
        pipe = to_reader(self._settings)
        pipe.close(block)
        return pipe

    def begin(self, stream: str, last: int) -> None:
        """Take note that all that comes of a stream behind the seq `last` is written, and published, here."""
        with self._lock:
            behind = self._groups.begin(stream).write_here(last)
        self._catch_up.start(behind)

    def publish(self, batches: Iterable[Batch]) -> None:
        """Hand what is in the journal to the readers on this worker, a stream's entries in their order."""
        offered = self._groups.offer(batches)
        if offered.behind:
            self._catch_up.start(offered.behind)
        if offered.unplaced:
            spawn(self._look_anew)  # a thread may have to start
        for listener, entries in offered.heard:
            tell(listener, entries)

    def published(self, entries: Sequence[Entry]) -> None:
        """Hand entries of any streams to the readers on this worker, as `publish` does."""
        streams: dict[str, list[Entry]] = {}
        for entry in entries:
            streams.setdefault(entry.stream, []).append(entry)
        self.publish(Batch(stream, "", some) for stream, some in streams.items())

    def end(self, stream: str) -> None:
        """Take note that a stream is not written here any more: what comes of it is brought by the journal again."""
        with self._lock:
            group = self._groups.get(stream)
            if group is None or not group.here:
                return
            self._groups.end(stream, group)
        self._look_anew()

    def look(self, stream: str) -> None:
        """Let the tail look at the journal now if anybody here follows a stream; it does so by itself before long."""
        if self._groups.get(stream):
            self._wake_tail()

    def listen(self, stream: str, listener: Listener) -> None:
        """Call `listener` in the tail thread with the text of every entry of a stream from now on. Raises Draining.

        While the journal cannot be read, "now" is when it is back, and this returns before.
        """
        with self._lock:
            self._refuse_if_closed()
            group = self._groups.listen(stream, listener)
        self._look_anew()
        with self._changed:
            self._changed.wait_for(lambda: group.watched or self._closed.is_set(), LISTEN_S)

    def unlisten(self, stream: str, listener: Listener) -> None:
        """Stop calling `listener` with a stream's entries."""
        self._groups.unlisten(stream, listener)

    def close(self) -> None:
        """Send every reader on (Draining), take no more, and stop the tail thread."""
        with self._starting, self._lock:
            self._closed.set()
            tail = self._tail
        for reader in self._groups.readers():
            reader.pipe.abandon(Draining("this worker is being replaced"), LAST_WORD_S)
        self._wake_tail()
        if tail is not None:
            tail.join()

    def _leave(self, reader: Cursor, reason: TalkaboutError) -> None:
        self._groups.discard(reader)
        reader.leave(reason)

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            raise Draining

    def _look_anew(self) -> None:
        """Let the tail look at the journal now, for other streams than before; it starts if it does not run."""
        with self._starting:
            if self._tail is None and not self._closed.is_set():
                self._tail = threading.Thread(target=self._run_tail, daemon=True)
                self._tail.start()
        self._wake_tail()

    def _wake_tail(self) -> None:
        with contextlib.suppress(JournalError):
            self._journal.wake()

    def _run_tail(self) -> None:
        while self._is_wanted():
            streams = self._groups.followed()
            patience = min(PATIENCE_S, self._touch_every_s) if self._groups.are_settled() else 0.0
            try:
                self.published(self._journal.wait(streams, patience))
                self._watch(streams)
                self._touch()
            except JournalError as error:
                log.error("streams stand still: %s", error)
                self._groups.distrust()
                self._closed.wait(TROUBLE_S)

    def _is_wanted(self) -> bool:
        with self._starting:
            if self._closed.is_set() or not (self._groups.followed() or self._groups.unwatched()):
                self._tail = None
            return self._tail is not None

    def _watch(self, streams: list[str]) -> None:
        """Place the readers of the streams whose news come from now on, or come again."""
        for stream, group in self._groups.unwatched():
            if group.here or stream in streams:
                last = group.last if group.here else self._catch_up.bounds(stream, group)[1]
                with self._lock:
                    group.watched = True
                    behind = group.join_all(last)
                    self._changed.notify_all()
                self._catch_up.start(behind)

    def _touch(self) -> None:
        now = time.monotonic()
        is_time = now >= self._touch_at
        self._touch_at = now + self._touch_every_s if is_time else self._touch_at
        if streams := self._groups.to_touch(is_time):
            self._journal.touch(streams)
