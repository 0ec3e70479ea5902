"""The writer: carries what all producers of a worker write into the journal, in as few commits as it takes.

    append, offer ──> pending ──commit──> journal ──> local readers

One commit runs at a time, and what arrives meanwhile joins the next; so under load commits grow, and at low load an
event waits for nothing. News go along. Commit, then publish. While the journal cannot be written everything is kept
and tried again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial

from answers.audience import Audience, publish, say_refused
from answers.backlog import Backlog, Progress
from answers.journal import Batch, Journal, News
from relay.errors import Draining, JournalError
from relay.loop import Lock, soon, spawn

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
FLUSH_S = 3.0

Taken = tuple[list[Batch], list[News]]

log = logging.getLogger(__name__)


class Writer:
    """Write batches into the journal, then publish them, a stream's entries always in their order.

    `max_bytes` is what may wait in all. `close` ends it.
    """

    def __init__(self, journal: Journal, audience: Audience, max_bytes: int) -> None:
        self._journal = journal
        self._audience = audience
        self.backlog = self._backlog = Backlog(max_bytes)
        self._lock = Lock()  # nobody waits for anything while he has it: `offer` would wait too
        self._room = threading.Event()  # a Condition on a plain lock would let others run while it has it, under gevent
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._awaited = True  # somebody is going to look at the backlog: the thread, or the event loop
        self._threads_turn = True
        self._left: Taken | None = None  # what the event loop could not write
        self._trouble = ""
        self._closed = False
        self._given_up = threading.Event()

    def offer(self, batch: Batch) -> bool:
        """Hand a batch over without ever waiting; false if there is no room now, or the writer does not run.

        What a refused stream still writes is dropped.
        """
        with self._lock:
            if self._closed or self._thread is None or not self._backlog.add(batch):
                return False
            self._wake()
            return True

    def tell(self, news: News) -> bool:
        """Hand news over, for the next commit, without ever waiting; false as for `offer`."""
        with self._lock:
            if self._closed or self._thread is None or not self._backlog.tell(news):
                return False
            self._wake()
            return True

    def append(self, batch: Batch) -> None:
        """Hand a batch over as `offer` does; waits while there is no room.

        Raises JournalError if so much waits because the journal cannot be written, and Draining after `close`.
        """
        self._start()
        while not self.offer(batch):
            with self._lock:
                if self._closed:
                    raise Draining("the writer is closed")
                if self._trouble:
                    raise JournalError(f"{self._backlog.bytes} bytes wait for the journal already: {self._trouble}")
                self._room.clear()
                is_full = self._backlog.bytes > 0
            if is_full:
                self._room.wait()

    def durable(self, stream: str, seq: int, timeout_s: float | None = None) -> bool:
        """Wait until what was appended here, up to a seq, is in the journal.

        False if it was refused, was lost by `close`, or takes longer than `timeout_s`.
        """
        with self._lock:
            state = self._backlog.streams.get(stream)
            if state is None:  # written to its end, or forgotten
                return True
            seq = min(seq, state.appended)
            if state.written >= seq or state.fenced or self._given_up.is_set():
                return state.written >= seq
            written = threading.Event()
            state.waiting.append((seq, written))
        written.wait(timeout_s)
        return state.written >= seq

    def begin(self, stream: str, last: int, on_fenced: Callable[[], None]) -> None:
        """Begin to write a stream behind the seq `last`, after a refusal too; `on_fenced` is called at the next one."""
        self._start()
        with self._lock:
            self._backlog.streams[stream] = Progress(on_fenced)
        self._audience.begin(stream, last)

    def forget(self, stream: str, on_fenced: Callable[[], None] | None = None) -> None:
        """Drop what is known of a stream that is not written here any more; what it has pending is written.

        Who waits in `durable` for it waits no longer. With `on_fenced`, whoever has begun it anew is left alone.
        """
        with self._lock:
            state = self._backlog.streams.get(stream)
            if state is None or on_fenced not in (None, state.on_fenced):
                return
            del self._backlog.streams[stream]
            state.fenced = True
            state.let_go(whatever=True)
        self._audience.end(stream)

    def close(self, flush_s: float = FLUSH_S) -> None:
        """Take nothing more, and write what waits, for `flush_s` at most; what is left then is lost."""
        with self._lock:
            self._closed = True
            self._filled.set()
            self._room.set()
        if thread := self._thread:
            thread.join(flush_s)
            self._given_up.set()
            thread.join()
        self._given_up.set()
        with self._lock:
            for state in self._backlog.streams.values():
                state.let_go(whatever=True)
            lost, news = self._backlog.bytes, len(self._backlog.news)
        if lost or news:
            why = self._trouble or "no time was left"
            log.error("%d bytes of events and %d news are lost: %s", lost, news, why)

    def _wake(self) -> None:
        """Have it written what waits: by the event loop where that need not wait, else by the thread."""
        if not self._awaited:
            self._awaited = True
            if self._journal.commit_now is None or not soon(self._write_now):
                self._filled.set()  # which costs more than the rest of an append

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._run_to_end, daemon=True)
                    thread.start()
                    self._thread = thread

    def _run_to_end(self) -> None:
        try:
            self._run()
        finally:  # whoever comes next starts another one; to ask a thread if it lives costs two switches under gevent
            self._thread = None

    def _run(self) -> None:
        while taken := self._next():
            refused = self._commit(*taken)
            if refused is None:
                return
            self._tell(*taken, refused)

    def _next(self) -> Taken | None:
        """Take what waits, one batch per stream; nothing after the end."""
        while True:
            with self._lock:
                self._threads_turn = True
                taken, self._left = self._left, None
                if taken or self._backlog:
                    return taken or self._backlog.take()
                if self._closed:
                    return None
                self._awaited = self._threads_turn = False
                self._filled.clear()
            self._filled.wait()

    def _write_now(self) -> None:
        """Write what waits, in the event loop, where nothing may wait: what one wake-up brought goes with one commit.

        Where the journal would have to wait it is the thread's turn, and stays so until nothing waits any more.
        """
        with self._lock:
            if self._threads_turn or self._closed:
                return
            self._awaited = False
            batches, news = self._backlog.take()
        try:
            refused = self._journal.commit_now(batches, news) if self._journal.commit_now else None
        except JournalError:
            refused = None
        if refused is None:
            self._left, self._awaited, self._threads_turn = (batches, news), True, True
            self._filled.set()
            return
        self._tell(batches, news, refused)
        with self._lock:
            if self._backlog:
                self._wake()

    def _commit(self, batches: list[Batch], news: list[News]) -> set[str] | None:
        """Commit, however often it takes; None if the writer was closed before it could."""
        pause, began = FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                refused = self._journal.commit(batches, news)
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
            self._room.set()

    def _tell(self, batches: list[Batch], news: list[News], refused: set[str]) -> None:
        """Publish what has been written, and say what was refused."""
        publish(self._audience, [batch for batch in batches if batch.stream not in refused] if refused else batches)
        with self._lock:
            fenced = self._backlog.done(batches, news, refused)
            self._room.set()
        for stream in {each.stream for each in news} if news else ():
            self._audience.look(stream)
        if fenced:
            spawn(partial(say_refused, self._audience, fenced))  # it may have to wait
