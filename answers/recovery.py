"""Leases and adoption: an answer whose worker is gone is gone on with by another.

A producer's worker renews its leases all the time. One that runs out (the worker was killed, or drains) is taken by
whichever worker looks first, which goes on from the text in the journal. Crash, deploy and dead upstream are thus one
mechanism; the seqs of the journal are the fence, so that two adopters can never both write.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import islice

from answers import completions
from answers.answer import stream_of
from answers.completions import Completions
from answers.follow import Follower
from answers.kept import note_end, take_up
from answers.pen import LEASE_S, Pen
from answers.producer import MAX_ADOPTIONS
from answers.producers import RENEWED_AT_ONCE, STOPS, Producers
from answers.pruning import Pruning
from answers.store import AnswerRow
from relay.answer_errors import AdoptedTooOften
from relay.catalog import UnknownModel
from relay.errors import JournalError, TalkaboutError, UpstreamStopped

log = logging.getLogger(__name__)

_LOOK_S = 0.4
_ORPHANS_AT_ONCE = 20
_LEAVING_S = 1.0
_FLUSH_LOOK_S = 0.01
_SWEEP_S = 10.0


class Recovery:
    """Look after the leases of one worker; `start` when it begins, `drain` when it ends."""

    def __init__(
        self,
        producers: Producers,
        durable: Completions,
        follower: Follower,
        pruning: Pruning,
        abandon_after_s: float,
    ) -> None:
        self._producers = producers
        self._completions = durable
        self._journal = producers.journal
        self._follower = follower
        self._pruning = pruning
        self._abandon_after_s = abandon_after_s
        self._look_at_readers = 0.0
        self._sweep_at = 0.0
        self._adopt_from = 0.0
        self._renewed: dict[str, float] = {}  # the answers, the longest unrenewed first
        self._retiring = False
        self._draining = threading.Event()
        self._lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Look after leases and orphans from now on, in threads of its own; may be called again."""
        if self._started:
            return
        with self._lock:
            if self._started or self._draining.is_set():
                return
            self._started = True
            self._follower.listen(STOPS, self._producers.heard_stop)
            self._follower.listen(completions.STOPS, self._completions.heard_stop)
            # Leases are renewed apart from all that waits for the database: they would run out meanwhile.
            for tasks in (
                (self._renew, self._completions.renew),
                (self._stop_abandoned, self._adopt_orphans, self._sweep, self._pruning.look),
            ):
                threading.Thread(target=self._again_and_again, args=tasks, daemon=True).start()

    def retire(self) -> None:
        """Adopt no more: this worker will drain before long."""
        self._retiring = True

    def drain(self, seconds: float = 0.0) -> None:
        """Hand every answer over to the other workers at once; completions get so much time to end before that."""
        self._retiring = True
        self._hand_over(self._flush)
        self._completions.drain(seconds)  # whose leases are renewed meanwhile
        self._draining.set()
        self._hand_over(self._producers.writer.close)  # what was being adopted in that moment, too

    def adopt(self, stream: str) -> None:
        """Go on with an answer whose lease is ours now, or bring it to its end."""
        answer = stream.removeprefix("answer:")
        row = self._producers.store.answer(answer)
        if row is None:
            self._journal.release(stream, self._producers.owner)
        elif row.state != "running":
            self._end(row)
        elif self._producers.store.adopted(answer) > MAX_ADOPTIONS:
            self._give_up(row, AdoptedTooOften(f"{MAX_ADOPTIONS} times"))
        else:
            try:
                self._producers.run(row, take_up(self._journal, row), adopted=True)
            except UnknownModel as error:
                self._give_up(row, error)

    def _hand_over(self, write: Callable[[], None]) -> None:
        running = list(self._producers.running().values())
        for producer in running:
            producer.leave()
        for producer in running:
            producer.ended.wait(_LEAVING_S)
        write()
        try:
            self._journal.hand_over(self._producers.owner)
        except JournalError as error:
            log.warning("answers are adopted only when their leases run out: %s", error)

    def _flush(self) -> None:
        """Wait until nothing waits for the journal, but not for ever: what is lost of an answer is asked for again."""
        deadline = time.monotonic() + _LEAVING_S
        while self._producers.writer.backlog.bytes and time.monotonic() < deadline:
            time.sleep(_FLUSH_LOOK_S)

    def _again_and_again(self, *tasks: Callable[[], None]) -> None:
        while not self._draining.wait(_LOOK_S):
            try:
                for task in tasks:
                    task()
            except TalkaboutError as error:
                log.warning("leases are not looked after: %s", error)
            except Exception:  # the edge of the worker: without this thread no answer would be adopted any more
                log.exception("leases are not looked after")

    def _renew(self) -> None:
        """Renew our leases that are due; of many those that were not renewed for the longest time.

        The shortest are due at each look, the longer ones when a third of what they last longer has gone.
        """
        running = self._producers.running()
        ours = {*running, *self._producers.coming()}
        for answer in self._renewed.keys() - ours:
            del self._renewed[answer]
        self._renewed |= dict.fromkeys(ours - self._renewed.keys(), 0.0)
        lease_s = self._producers.lease_s()
        before = time.monotonic() - (lease_s - LEASE_S) / 3
        due = list(islice((answer for answer, at in self._renewed.items() if at <= before), RENEWED_AT_ONCE))
        if due:
            held = self._journal.renew(self._producers.owner, {stream_of(answer) for answer in due}, lease_s)
            for answer in due:
                del self._renewed[answer]  # what is renewed goes to the end
                if stream_of(answer) in held:
                    self._renewed[answer] = time.monotonic()
                elif answer in running:
                    running[answer].leave()

    def _stop_abandoned(self) -> None:
        """Stop answers that nobody has read for the time that the operator gives them."""
        if time.monotonic() < self._look_at_readers:
            return
        self._look_at_readers = time.monotonic() + self._abandon_after_s / 10
        for answer, producer in self._producers.running().items():
            if self._is_unread(stream_of(answer), producer.began_at):
                log.info("answer %s is abandoned", answer)
                producer.stop()
        for stream, durable in self._completions.running().items():
            if self._is_unread(stream, durable.began_at):
                log.info("completion %s is abandoned", durable.id)
                durable.stop(UpstreamStopped("nobody reads it"))

    def _is_unread(self, stream: str, began_at: float) -> bool:
        if self._follower.readers(stream):
            return False
        last = self._journal.last_read(stream) or 0.0
        return time.time() - max(last, began_at, self._follower.left_at(stream)) > self._abandon_after_s

    def _adopt_orphans(self) -> None:
        try:
            orphans = self._journal.orphans(_ORPHANS_AT_ONCE)
        except JournalError:
            # Nobody could renew a lease meanwhile: whoever lives gets the time to.
            self._adopt_from = time.monotonic() + LEASE_S
            raise
        for stream in [] if self._retiring or time.monotonic() < self._adopt_from else orphans:
            self._take_on(stream)

    def _sweep(self) -> None:
        """Now and then adopt what the database has as running and the journal has forgotten, lease and all."""
        if self._retiring or time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + _SWEEP_S
        for answer in self._producers.store.unfinished(_ORPHANS_AT_ONCE):
            self._take_on(stream_of(answer))

    def _take_on(self, stream: str) -> None:
        """Adopt what nobody holds; what fails with one of them must not keep the others waiting."""
        try:
            if stream.startswith(completions.PREFIX):
                self._completions.adopt(stream)
                return
            with self._producers.holding(stream.removeprefix("answer:")) as mine:
                if mine:
                    self.adopt(stream)
        except TalkaboutError as error:
            log.warning("%s is not adopted: %s", stream, error)
        except Exception:  # the edge of one adoption
            log.exception("%s is not adopted", stream)

    def _end(self, row: AnswerRow) -> None:
        """Write the terminal event that a killed worker has left out, if it has."""
        stream = stream_of(row.id)
        newest = self._journal.read(stream, self._journal.bounds(stream)[1] - 1, 1)
        if newest and newest[0].final:
            self._journal.release(stream, self._producers.owner)
            return
        pen = self._take_up(row)
        note_end(pen.answer, row)
        pen.end(row.state)

    def _give_up(self, row: AnswerRow, why: TalkaboutError) -> None:
        pen = self._take_up(row)
        self._producers.settle(pen, "interrupted" if pen.answer.chars else "failed", why)

    def _take_up(self, row: AnswerRow) -> Pen:
        pen = self._producers.pen(take_up(self._journal, row))
        pen.answer.open()
        return pen
