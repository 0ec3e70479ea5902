"""The pen: writes one answer's stream into the journal, for as long as its lease is ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from answers.answer import Answer, stream_of
from answers.entries import Batch
from answers.journal import Journal
from answers.writer import Writer
from relay.answer_errors import Replaced
from relay.errors import JournalError, TalkaboutError

LEASE_S = 2.0  # a worker that is gone is replaced by another within this and a look
_TRY_AGAIN_S = 0.2


class Pen:
    """Write what is new of an answer; each method raises Replaced once another producer writes it.

    It is made when the answer is what the journal has of it: what comes to it from then on is new.
    """

    def __init__(
        self, answer: Answer, owner: str, journal: Journal, writer: Writer, lease_s: Callable[[], float]
    ) -> None:
        self.answer = answer
        self._stream = stream_of(answer.answer)
        self._owner = owner
        self._journal = journal
        self._writer = writer
        self._lease_s = lease_s
        self._refused = threading.Event()
        self._dropped = threading.Event()
        self._begin()

    def offer(self) -> bool:
        """Hand what is new to the journal without ever waiting; false if that is for `write` to do, in a thread."""
        if self._refused.is_set():
            return False
        if self.answer.new:
            if not self._writer.offer(Batch(self._stream, self._owner, self.answer.new)):
                return False
            self.answer.new = []
        return True

    def write(self) -> None:
        """Hand what is new to the journal; it is there before anybody reads it."""
        if self._refused.is_set():
            self._mend()
        if self.answer.new:
            self._writer.append(Batch(self._stream, self._owner, self.answer.new))
            self.answer.new = []

    def settle(self) -> None:
        """Wait until everything is in the journal."""
        self.write()
        while not self._writer.durable(self._stream, self.answer.seq):
            self._mend()
            self.write()

    def hold(self) -> None:
        """Make sure that the lease is still ours: this worker may have stood still for longer than it lasts."""
        with contextlib.suppress(JournalError):  # nobody can tell; what is written is refused if it is not
            if not self._journal.renew(self._owner, [self._stream], self._lease_s()):
                raise Replaced("another producer has the lease")

    def end(self, state: str, error: TalkaboutError | None = None, facts: dict[str, Any] | None = None) -> None:
        """Write the terminal event, with which the lease is given up; `facts` as `Answer.done` takes them."""
        self.answer.done(state, error, facts)
        self.write()
        if not self._writer.durable(self._stream, self.answer.seq):
            self._mend()
            self.answer.done(state, error, facts)
            self.settle()

    def wait(self, seconds: float) -> None:
        """Sleep, unless another producer takes over."""
        if self._dropped.wait(seconds):
            raise Replaced("dropped")

    def drop(self) -> None:
        """Write nothing more."""
        self._dropped.set()
        self._writer.forget(self._stream, self._refused.set)

    def _begin(self) -> None:
        self._refused.clear()
        self._writer.begin(self._stream, self.answer.seq, self._refused.set)

    def _mend(self) -> None:
        """Go on with the whole text where the journal has lost entries, as Redis does that keeps nothing on disk."""
        self.wait(0)
        while not self._mended():
            self.wait(_TRY_AGAIN_S)
        self.answer.new = []
        self._begin()
        self.answer.reset(keep=True)

    def _mended(self) -> bool:
        try:
            mine = self._journal.mend(self._stream, self._owner, self.answer.seq, self._lease_s())
        except JournalError:
            return False
        if not mine:
            raise Replaced("another producer writes this answer")
        return True
