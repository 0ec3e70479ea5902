"""The writer: carries what all producers of a worker write into the journal, in as few commits as it takes.

    append ──> pending ──commit──> journal ──> local readers

One commit runs at a time, and what arrives meanwhile joins the next; so under load commits grow, and at low load an
event waits for nothing. Commit, then publish. While the journal cannot be written everything is kept and tried again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from answers.journal import Batch, Entry, Journal
from relay.errors import Draining, JournalError

COMMIT_BYTES = 1 << 20  # what waits after an outage goes in pieces, since SQLite blocks the worker while it commits
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
FLUSH_S = 3.0

log = logging.getLogger(__name__)


class _Stream:
    """Keep how far a stream was handed over and is written, and whom to tell if it is refused."""

    __slots__ = ("appended", "fenced", "on_fenced", "written")

    def __init__(self, on_fenced: Callable[[], None] | None = None) -> None:
        self.appended = 0
        self.written = 0
        self.fenced = False
        self.on_fenced = on_fenced


class Writer:
    """Write batches into the journal, then hand them to `publish`, a stream's entries always in their order.

    `max_bytes` is what may wait in all. `close` ends it.
    """

    def __init__(self, journal: Journal, publish: Callable[[list[Entry]], None], max_bytes: int) -> None:
        self._journal = journal
        self._publish = publish
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._written = threading.Condition(self._lock)
        self._pending: deque[Batch] = deque()
        self._bytes = 0  # of what is pending and of what is being committed
        self._streams: dict[str, _Stream] = {}
        self._thread: threading.Thread | None = None
        # A notify costs more than the rest of an append: these say whether anybody waits for one.
        self._idle = False
        self._waiting = 0
        self._trouble = ""
        self._closed = False
        self._given_up = threading.Event()

    def append(self, batch: Batch) -> None:
        """Hand a batch over. Returns at once, unless `max_bytes` wait; what a refused stream still writes is dropped.

        Raises JournalError if so much waits because the journal cannot be written, and Draining after `close`.
        """
        with self._lock:
            self._wait_for_room(_size(batch))
            if self._closed:
                raise Draining("the writer is closed")
            state = self._streams.setdefault(batch.stream, _Stream())
            if state.fenced:
                return
            state.appended = batch.entries[-1].seq
            self._pending.append(batch)
            self._bytes += _size(batch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif self._idle:
                self._idle = False
                self._filled.notify()

    def durable(self, stream: str, seq: int, timeout_s: float | None = None) -> bool:
        """Wait until what was appended here, up to a seq, is in the journal.

        False if it was refused, was lost by `close`, or takes longer than `timeout_s`.
        """
        with self._lock:
            state = self._streams.get(stream)
            if state is None:  # written to its end, or forgotten
                return True
            seq = min(seq, state.appended)
            self._waiting += 1
            self._written.wait_for(lambda: state.written >= seq or state.fenced or self._given_up.is_set(), timeout_s)
            self._waiting -= 1
            return state.written >= seq

    def on_fenced(self, stream: str, callback: Callable[[], None]) -> None:
        """Begin to write a stream anew, after a refusal too; `callback` is called if the journal refuses it.

        It is called in the writer's thread, which waits for it, so it must not append.
        """
        with self._lock:
            self._streams[stream] = _Stream(callback)

    def forget(self, stream: str) -> None:
        """Drop what is known of a stream that is not written here any more; what it has pending is written.

        Who waits in `durable` for it waits no longer.
        """
        with self._lock:
            if state := self._streams.pop(stream, None):
                state.fenced = True
                self._written.notify_all()

    def close(self, flush_s: float = FLUSH_S) -> None:
        """Take nothing more, and write what waits, for `flush_s` at most; what is left then is lost."""
        with self._lock:
            self._closed = True
            self._filled.notify_all()
            self._written.notify_all()
        if self._thread is not None:
            self._thread.join(flush_s)
            self._given_up.set()
            self._thread.join()
        self._given_up.set()
        with self._lock:
            self._written.notify_all()
            if self._bytes:
                log.error("%d bytes of events are lost: %s", self._bytes, self._trouble or "no time was left")

    def _wait_for_room(self, size: int) -> None:
        while self._bytes and self._bytes + size > self._max_bytes and not self._closed:
            if self._trouble:
                raise JournalError(f"{self._bytes} bytes wait for the journal already: {self._trouble}")
            self._waiting += 1
            self._written.wait()
            self._waiting -= 1

    def _run(self) -> None:
        while batches := self._next():
            refused = self._commit(batches)
            if refused is None:
                return
            if written := [entry for batch in batches if batch.stream not in refused for entry in batch.entries]:
                self._hand_on(written)
            for callback in self._settle(batches, refused):
                _call(callback)

    def _next(self) -> list[Batch]:
        """Take what waits, one batch per stream; nothing after the end."""
        with self._lock:
            while not self._pending:
                if self._closed:
                    return []
                self._idle = True
                self._filled.wait()
        # SQLite's commits let nobody else run: whoever is ready to append does it now. Costs nothing where nobody is.
        time.sleep(0)
        with self._lock:
            joined: dict[tuple[str, str], list[Entry]] = {}
            size = 0
            while self._pending and size < COMMIT_BYTES:
                batch = self._pending.popleft()
                joined.setdefault((batch.stream, batch.owner), []).extend(batch.entries)
                size += _size(batch)
            return [Batch(stream, owner, entries) for (stream, owner), entries in joined.items()]

    def _commit(self, batches: list[Batch]) -> set[str] | None:
        """Commit, however often it takes; None if the writer was closed before it could."""
        pause, began = FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                refused = self._journal.commit(batches)
            except JournalError as error:
                self._say_trouble(str(error))
            else:
                if self._trouble:
                    self._trouble = ""
                    log.warning("the journal takes events again, after %.1f s", time.monotonic() - began)
                return refused
            if self._given_up.wait(random.uniform(pause / 2, pause)):  # noqa: S311  jitter, no secret
                return None
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _say_trouble(self, error: str) -> None:
        if not self._trouble:
            log.error("events wait in memory, since the journal cannot be written: %s", error)
        with self._lock:
            self._trouble = error
            self._written.notify_all()

    def _hand_on(self, entries: list[Entry]) -> None:
        try:
            self._publish(entries)
        except Exception:  # the edge of the writer: the tail brings it too, and no answer may stand still for a reader
            log.exception("events were not published here")

    def _settle(self, batches: list[Batch], refused: set[str]) -> list[Callable[[], None]]:
        """Keep what has become of a commit, and return whom to tell of what was refused."""
        callbacks = []
        with self._lock:
            for batch in batches:
                self._bytes -= _size(batch)
                state = self._streams.get(batch.stream)
                if batch.stream in refused:
                    callbacks += self._fence(batch.stream, state)
                elif state is not None:
                    state.written = batch.entries[-1].seq
                    if batch.entries[-1].final:
                        del self._streams[batch.stream]
            if self._waiting:
                self._written.notify_all()
        return callbacks

    def _fence(self, stream: str, state: _Stream | None) -> list[Callable[[], None]]:
        """Drop what waits of a stream that was refused."""
        for batch in [batch for batch in self._pending if batch.stream == stream]:
            self._pending.remove(batch)
            self._bytes -= _size(batch)
        if state is None or state.fenced:
            return []
        log.warning("%s is written elsewhere", stream)
        state.fenced = True
        return [state.on_fenced] if state.on_fenced else []


def _size(batch: Batch) -> int:
    return sum(len(entry.block) for entry in batch.entries)


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # the edge of the writer: one answer's fault must not stop all the others
        log.exception("a refused stream's producer could not be told")
