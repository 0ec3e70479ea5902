"""The answers that this worker writes: begun here, continued, or adopted from a worker that is gone (recovery.py)."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from answers.answer import Answer, stream_of
from answers.history import History
from answers.journal import Journal
from answers.kept import take_up
from answers.measures import Measures
from answers.pen import LEASE_S, Pen
from answers.producer import Ask, Producer
from answers.quotas import Charge
from answers.store import AnswerRow, Store
from answers.writer import Writer
from relay.chat import clean
from relay.errors import Conflict, DatabaseError, NotFound, TalkaboutError
from relay.loop import Lock, spawn

log = logging.getLogger(__name__)

STOPS = "stops"  # the journal's stream of answers that are to be stopped, wherever they are written
_STOPS_KEPT = 1000
_SAY_STOP_AGAIN_S = 0.5  # an answer may be between two workers when it is stopped
_STOPPED_WITHIN_S = 10.0
_LOOK_S = 0.02
_TRY_AGAIN_S = 0.5
RENEWED_AT_ONCE = 1000  # leases; to renew five thousand takes so long that it makes itself late


class Producers:
    """Begin, stop and continue answers. Who writes one holds its lease in the journal, under this worker's name."""

    def __init__(
        self,
        journal: Journal,
        store: Store,
        writer: Writer,
        ask: Callable[[AnswerRow, History | None, bool], Ask],
        tell: Callable[[AnswerRow], None],
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.journal = journal
        self.store = store
        self.writer = writer
        self.measures = Measures()
        self._ask = ask
        self._tell = tell  # who looks at the conversation: an answer of it has ended, or goes on
        self._running: dict[str, Producer] = {}
        self._coming: set[str] = set()  # the lease is ours, and it is not written yet
        self._lock = Lock()

    def running(self) -> dict[str, Producer]:
        """Map each answer that is being written here to its producer."""
        with self._lock:
            return dict(self._running)

    def coming(self) -> set[str]:
        """Name the answers that are about to be written here."""
        with self._lock:
            return set(self._coming)

    def lease_s(self) -> float:
        """Tell how long a lease lasts: the more are written here, the longer it takes until each is renewed again."""
        return LEASE_S * (1 + len(self._running) // RENEWED_AT_ONCE)

    def begin(
        self,
        user: str,
        prompt: str,
        model: str,
        conversation: str | None,
        parent: str | None,
        answer: str,
        files: tuple[str, ...] = (),
        token: str = "",
        charged: Charge | None = None,
    ) -> AnswerRow:
        """Begin an answer, or find the one that has this id already.

        Raises NotFound, FileGone and Conflict as Store.begin does, and JournalError.
        """
        # The lease comes first: were the worker killed in between, an answer without one would never be adopted.
        with self.holding(answer) as mine:
            try:
                row, new = self.store.begin(user, prompt, model, conversation, parent, answer, files, token, charged)
            except TalkaboutError:
                if mine:
                    self.journal.release(stream_of(answer), self.owner)
                raise
            if mine and new:
                alone = not (conversation or files)  # then there is nothing to look up
                self.run(row, None, [{"role": "user", "content": clean(prompt)}] if alone else None)
            elif mine:
                self.let_go(answer)
        return row

    @contextlib.contextmanager
    def holding(self, answer: str) -> Iterator[bool]:
        """Take an answer's lease, which is renewed from now on; yield if it can be written here.

        It cannot if another worker has it, or if it is written here already, or about to be.
        """
        with self._lock:
            free = answer not in self._running and answer not in self._coming
            self._coming |= {answer} if free else set()
        try:
            yield free and self.journal.take(stream_of(answer), self.owner, self.lease_s())
        finally:
            with self._lock:
                self._coming -= {answer} if free else set()

    def go_on(self, row: AnswerRow, token: str = "", charged: Charge | None = None) -> AnswerRow:
        """Take an answer up again that was stopped, interrupted or has failed; raises Conflict for any other.

        `token` is the public id of the token that asks for it, `charged` what its limits were charged.
        """
        deadline = time.monotonic() + LEASE_S
        while row.state != "running" and time.monotonic() < deadline:
            with self.holding(row.id) as mine:
                if mine:
                    return self._reopen(row.id, token, charged)
            time.sleep(_LOOK_S)  # whoever ends it is about to give the lease up
            row = self.store.answer(row.id) or row
        raise Conflict("The answer is being written.")

    def _reopen(self, answer: str, token: str, charged: Charge | None) -> AnswerRow:
        try:
            row = self.store.reopen(answer, token, charged)
        except TalkaboutError:
            self.let_go(answer)
            raise
        self.run(row, take_up(self.journal, row))
        self._tell(row)
        return row

    def stop(self, row: AnswerRow) -> AnswerRow:
        """Stop an answer, wherever it is written, and wait until it has ended; one that has ended stays as it is."""
        deadline = time.monotonic() + _STOPPED_WITHIN_S
        say_at = 0.0
        while row.state == "running" and time.monotonic() < deadline:
            producer = self._running.get(row.id)
            if time.monotonic() >= say_at:
                say_at = time.monotonic() + _SAY_STOP_AGAIN_S
                if producer:
                    producer.stop()
                else:
                    self._say_stop(row.id)
            if producer:
                producer.ended.wait(_SAY_STOP_AGAIN_S)
            else:
                time.sleep(_LOOK_S)
            row = self.store.answer(row.id) or row
        return row

    def heard_stop(self, said: str) -> None:
        """Stop an answer, by what `_say_stop` has said, if it is written here and had begun by then."""
        answer, _, seq = said.partition(":")
        producer = self.running().get(answer)
        if producer and producer.behind < int(seq):
            producer.stop()

    def _say_stop(self, answer: str) -> None:
        """Tell every worker to stop an answer, as far as the journal has it now: who continues it begins behind that.

        Whoever has written nothing yet is not meant either, and is told the next time.
        """
        said = f"{answer}:{self.journal.bounds(stream_of(answer))[1]}".encode()
        self.journal.publish(STOPS, lambda _seq: said, _STOPS_KEPT)

    def run(
        self, row: AnswerRow, kept: Answer | None, history: History | None = None, *, adopted: bool = False
    ) -> None:
        """Write an answer whose lease is ours, from its beginning or behind what is kept of it.

        `history` is what the model is to read, where that is known without a look at the database.
        """
        answer = kept or Answer(row.id, row.conversation, row.model)
        pen = self.pen(answer)
        ask = self._ask(row, history, kept is None)
        tally = self.measures.of(ask.upstream, ask.model)
        tally.begun += kept is None
        tally.adopted += adopted
        producer = Producer(pen, ask, partial(self.store.adopted, row.id), self.settle, self.measures)
        answer.open()
        if kept is None:
            answer.phase("connecting")  # with the same commit: nothing is waited for in between
        with self._lock:
            self._running[row.id] = producer
        try:
            pen.write()
        finally:  # without a thread nobody would ever take it off those that run here
            spawn(partial(self._run_to_end, producer, pen, kept is not None, adopted))

    def pen(self, answer: Answer) -> Pen:
        """Make what writes an answer whose lease is ours."""
        return Pen(answer, self.owner, self.journal, self.writer, self.lease_s)

    def settle(self, pen: Pen, state: str, error: TalkaboutError | None, close_ms: int | None = None) -> None:
        """Keep how an answer ended: first in the database, then in the journal, whose readers may ask for it at once.

        Raises Replaced, and keeps nothing, if another producer writes it meanwhile.
        """
        answer, facts = pen.answer, pen.answer.facts()
        outcome = {"content": answer.content, "reasoning": answer.reasoning, "close_ms": close_ms, **facts}
        pen.settle()
        row = self._keep(pen, state, {**outcome, "error": error.code if error else None})
        if row is not None:
            self._tell(row)  # before the last event, whose commit takes it along
        pen.end(state, error, facts)

    def _keep(self, pen: Pen, state: str, outcome: dict[str, Any]) -> AnswerRow | None:
        """Write into the database how an answer ended, however long it is away; None if the answer was deleted."""
        while True:
            try:
                return self.store.settle(pen.answer.answer, state, pen.answer.spent(), **outcome)
            except NotFound:
                return None
            except DatabaseError as exc:
                log.warning("answer %s is kept in memory: %s", pen.answer.answer, exc)
            pen.wait(_TRY_AGAIN_S)

    def let_go(self, answer: str) -> None:
        """Let the lease of an answer run out now, so that a worker adopts it if it has not ended."""
        self.journal.take(stream_of(answer), self.owner, 0.0)

    def _run_to_end(self, producer: Producer, pen: Pen, recovering: bool, adopted: bool) -> None:
        try:
            producer.run(recovering, adopted)
        finally:
            with self._lock:
                del self._running[pen.answer.answer]
            pen.drop()
