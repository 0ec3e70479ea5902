"""Follow the journal's streams: one tail thread per worker, whatever the number of readers.

    journal ──wait──> tail thread ─┐
                                   ├──Pipe.offer──> every live reader of the stream on this worker
    writer ──published (at once)───┘

    WAITING      until the tail watches the reader's stream; it is live then if it has all that the journal has, else
    CATCHING_UP  a short-lived thread puts what it misses into its pipe, at its own pace
    LIVE         it gets what comes, at once; if that is not its next entry, it has to catch up again

The order counts: a stream is watched first, and then asked for its end, so that no entry falls between. Without the
journal all readers stay, and each is looked at again when it is back.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial

from answers.cursor import Cursor, Farewell, Reset, State
from answers.groups import Group, Groups, Listener, tell
from answers.journal import Entry, Journal
from relay.errors import Draining, JournalError, TalkaboutError
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import PING

PATIENCE_S = 1.0  # how late the tail may learn that a reader has gone
TROUBLE_S = 1.0  # pause after the journal could not be read
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
        self._lock = self._groups.lock  # no journal is asked under it
        self._changed = threading.Condition(self._lock)
        self._tail: threading.Thread | None = None
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._groups.readers())

    def readers(self, stream: str) -> int:
        """Count a stream's readers on this worker."""
        group = self._groups.get(stream)
        return len(group.readers) if group else 0

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
        pipe = self._pipe()
        pipe.put(opening)
        reader = Cursor(stream, after, pipe, reset, farewell)
        with self._lock:
            self._start_tail()
            if self._groups.add(reader).watched:
                self._start_to_catch_up(reader)
        pipe.on_abandon(partial(self._leave, reader))
        if reader.state is State.WAITING:
            self.look()
        return pipe

    def finished(self, block: bytes) -> Pipe:
        """Return a pipe that gets a block, and nothing more."""
        pipe = self._pipe()
        pipe.close(block)
        return pipe

    def published(self, entries: Sequence[Entry]) -> None:
        """Hand entries that are in the journal to the readers on this worker; those of a stream in their order."""
        streams: dict[str, list[Entry]] = {}
        for entry in entries:
            streams.setdefault(entry.stream, []).append(entry)
        for stream, some in streams.items():
            if group := self._groups.get(stream):
                self._fan_out(group, some)

    def look(self) -> None:
        """Let the tail look at the journal now; it does so by itself before long."""
        with contextlib.suppress(JournalError):
            self._journal.wake()

    def listen(self, stream: str, listener: Listener) -> None:
        """Call `listener` in the tail thread with the text of every entry of a stream from now on. Raises Draining.

        While the journal cannot be read, "now" is when it is back, and this returns before.
        """
        with self._lock:
            self._start_tail()
            group = self._groups.listen(stream, listener)
        self.look()
        with self._changed:
            self._changed.wait_for(lambda: group.watched or self._closed.is_set(), LISTEN_S)

    def unlisten(self, stream: str, listener: Listener) -> None:
        """Stop calling `listener` with a stream's entries."""
        self._groups.unlisten(stream, listener)

    def close(self) -> None:
        """Send every reader on (Draining), take no more, and stop the tail thread."""
        with self._lock:
            self._closed.set()
            tail = self._tail
        for reader in self._groups.readers():
            reader.pipe.abandon(Draining("this worker is being replaced"), LAST_WORD_S)
        self.look()
        if tail is not None:
            tail.join()

    def _pipe(self) -> Pipe:
        return Pipe(
            max_bytes=self._settings.reader_buffer_bytes,
            reader_timeout_s=self._settings.reader_timeout_s,
            heartbeat_s=self._settings.heartbeat_s,
            heartbeat=PING,
        )

    def _leave(self, reader: Cursor, reason: TalkaboutError) -> None:
        self._groups.discard(reader)
        reader.leave(reason)

    def _start_tail(self) -> None:
        if self._closed.is_set():
            raise Draining
        if self._tail is None:
            self._tail = threading.Thread(target=self._run_tail, daemon=True)
            self._tail.start()

    def _run_tail(self) -> None:
        while self._is_wanted():
            streams = self._groups.names()
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
        with self._lock:
            if self._closed.is_set() or not self._groups:
                self._tail = None
            return self._tail is not None

    def _watch(self, streams: list[str]) -> None:
        """Place the readers of the streams whose news come from now on, or come again."""
        for stream in streams:
            group = self._groups.get(stream)
            if group is not None and not group.watched:
                _, last = self._bounds(stream, group)
                with self._lock:
                    group.watched = True
                    for reader in group.join_all(last):
                        self._start_to_catch_up(reader)
                    self._changed.notify_all()

    def _touch(self) -> None:
        now = time.monotonic()
        is_time = now >= self._touch_at
        self._touch_at = now + self._touch_every_s if is_time else self._touch_at
        if streams := self._groups.to_touch(is_time):
            self._journal.touch(streams)

    def _bounds(self, stream: str, group: Group) -> tuple[int, int]:
        known = group.last
        first, last = self._journal.bounds(stream)
        if last < known or known < 0:
            with self._lock:
                group.begin_at(last)
        return first, last

    def _fan_out(self, group: Group, entries: list[Entry]) -> None:
        with self._lock:
            fresh = group.fresh(entries)
            if not fresh:
                return
            for reader in group.offer(fresh):
                self._start_to_catch_up(reader)
            for reader in [reader for reader in group.readers if reader.ended]:
                self._groups.discard(reader)
            listeners = list(group.listeners)
        for listener in listeners:
            tell(listener, fresh)

    def _start_to_catch_up(self, reader: Cursor) -> None:
        reader.state = State.CATCHING_UP
        threading.Thread(target=self._catch_up, args=(reader,), daemon=True).start()

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
        first, last = self._bounds(reader.stream, group)
        if reader.seq > last:
            reader.go_back(self._journal, last)
        reader.pass_over(first - 1)
        with self._lock:
            return group.join(reader, last)

    def _let_wait(self, reader: Cursor) -> None:
        with self._lock:
            reader.state = State.WAITING
            if group := self._groups.get(reader.stream):
                group.watched = False
