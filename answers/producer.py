"""A producer: what asks a model for one answer and writes it into the journal. No request owns it.

running ──the upstream says so──────────────> complete
   ├──stop() by a user, or nobody reads────> stopped
   ├──the upstream fails: asked again from the kept text, three times at most
   │      └──it cannot go on, or not again──> interrupted, or failed if there is no text
   ├──hand_over(): this worker drains───────> still running; another worker adopts it
   └──another producer has written──────────> still running, elsewhere
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from answers.measures import Measures
from answers.pen import Pen
from relay import request_id, spans
from relay.answer_errors import AnswerTooLong, Replaced
from relay.chat import Delta
from relay.completion import Completion, read_to_end
from relay.continuation import NONE, Seam
from relay.errors import TalkaboutError, UpstreamBroken, UpstreamError, UpstreamStopped
from relay.loop import spawn
from relay.upstream import Call

log = logging.getLogger(__name__)

MAX_ADOPTIONS = 3
PAUSES_S = (0.1, 0.4, 1.0)


class Ask(NamedTuple):
    """How an answer's upstream is asked: `call(kept)` for what follows the kept text.

    `style` tells how it goes on with one; it may wait for the server to say what it is. `abort` is for servers that
    write on when their client has gone; it raises nothing. `upstream` and `model` are for whoever counts.
    """

    call: Callable[[str], Call]
    abort: Callable[[], None]
    style: Callable[[], str]
    max_event_bytes: int
    max_chars: int
    upstream: str = ""
    model: str = ""


class Producer:
    """Write one answer to its end; `run` in a thread of its own, the rest from any thread.

    `adopted` counts an adoption and returns how many there were; `settle` keeps how it ended and writes the terminal
    event.
    """

    def __init__(
        self,
        pen: Pen,
        ask: Ask,
        adopted: Callable[[], int],
        settle: Callable[[Pen, str, TalkaboutError | None, int | None], None],
        measures: Measures | None = None,
    ) -> None:
        self.answer = pen.answer
        self.behind = pen.answer.seq  # what the journal had when it began
        self.ended = threading.Event()
        self.began_at = time.time()
        self._ask = ask
        self.answer.max_chars = ask.max_chars
        self._pen = pen
        self._adopted = adopted
        self._settle = settle
        self._asked_by = request_id.current.get()  # of the request that begins it
        self._measures = measures or Measures()
        self._tally = self._measures.of(ask.upstream, ask.model)
        self._who = {"answer": pen.answer.answer, "upstream": ask.upstream, "model": ask.model}
        self._span: spans.Span | None = None
        self._heard_at = 0.0  # when the newest token came
        self._call: Call | None = None
        self._stopped_at: float | None = None
        self._left = threading.Event()  # handed over, or written elsewhere: no end of ours
        self._wakes = threading.Event()

    def stop(self) -> None:
        """End the answer as `stopped`, at any moment; returns at once."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._say("answer is being stopped")
        self._interrupt()

    def leave(self) -> None:
        """Write nothing more: another producer goes on."""
        self._left.set()
        self._pen.drop()
        self._interrupt()

    def run(self, recovering: bool, adopted: bool = False) -> None:
        """Write the answer, from its beginning or from what is kept of it; `adopted`: no user has asked for that."""
        self._span = spans.begin(spans.ANSWER, self._ask.model, self._asked_by, **self._who)
        request_id.current.set(self._span.origin if self._span else self._asked_by)
        try:
            self._say("answer adopted" if adopted else "answer begun")
            state, error = self._attempts(recovering, adopted)
            if self._left.is_set():
                self._say("answer handed over", logging.DEBUG)
                return
            if error is not None:
                log.warning("%s: %s", type(error).__name__, error)
                if self._span:
                    self._span.fail(error)
            close_ms = None if self._stopped_at is None else round((time.monotonic() - self._stopped_at) * 1000)
            self._settle(self._pen, state, error, close_ms)
            self._tally.ended[state] += 1
            chars, seconds = self.answer.chars, round(time.time() - self.began_at, 3)
            self._say("answer ended", state=state, chars=chars, ttft_ms=self.answer.ttft_ms, seconds=seconds)
        except Replaced:
            log.info("answer %s is written elsewhere", self.answer.answer)
        except Exception:  # the edge of an answer: its lease is given up, so that another producer ends it
            log.exception("answer %s: producer failed", self.answer.answer)
        finally:
            if self._span:
                self._span.end()
            self.ended.set()

    def _attempts(self, recovering: bool, adopted: bool) -> tuple[str, TalkaboutError | None]:
        if adopted:
            begins_anew = self.answer.chars and self._ask.style() == NONE
            self._ask.abort()  # it may still be writing for the worker that is gone
            if begins_anew:
                return "interrupted", UpstreamBroken("adopted, and this model server would begin anew")
        while True:
            try:
                self._attempt(recovering)
            except Replaced:
                raise
            except TalkaboutError as error:
                if self._stopped_at is not None:
                    return "stopped", None
                if isinstance(error, UpstreamError):
                    self._measures.of(error.upstream or self._ask.upstream, self._ask.model).errors[error.code] += 1
                if self._left.is_set() or not self._may_go_on(error):
                    return ("interrupted" if self.answer.chars else "failed"), error
                recovering = True
            else:
                return "complete", None

    def _attempt(self, recovering: bool) -> None:
        """Ask once, and write what comes, to its end."""
        kept = self.answer.content
        if recovering:
            self.answer.phase("recovering")
            if not kept and self.answer.reasoning:
                self.answer.reset(keep=False)  # a thought cannot be gone on with
            self._flush()
        self.answer.asked()
        call = self._call = self._ask.call(kept)
        if self._stopped_at is not None or self._left.is_set():
            raise UpstreamStopped("stopped")
        try:
            call.open()
            if not recovering:
                self.answer.phase("waiting")
                self._flush()
            self._read(call, Seam(kept))
            usage = self.answer.usage or {}
            spans.count(call.span, usage.get("prompt_tokens"), usage.get("completion_tokens"))
        except Exception:
            call.close()
            spawn(self._ask.abort)  # nobody waits until a busy server answers that
            raise
        if call.ended:
            call.close()
        else:
            spawn(partial(read_to_end, call))

    def _read(self, call: Call, seam: Seam) -> None:
        """Write what comes, to its end: in the event loop, as long as the journal takes it without waiting."""
        completion = Completion(self._ask.max_event_bytes)

        def take(piece: bytes) -> bool:
            some: list[Delta] = []
            try:
                completion.feed(piece, some)
            finally:
                self._append(some, seam)
            return completion.done or self._left.is_set() or not self._pen.offer()

        while call.read(take):
            self._flush()
            if completion.done:
                return
        if not completion.is_whole:
            raise call.cut()

    def _append(self, some: list[Delta], seam: Seam) -> None:
        if some:
            if seam.left:
                some = [delta._replace(content=seam.join(delta.content)) for delta in some]
            self.answer.append(some)
            self._note_pace(len(some))
            if self.answer.chars >= self._ask.max_chars:
                raise AnswerTooLong(f"{self.answer.chars} characters")

    def _note_pace(self, tokens: int) -> None:
        """Measure the time to the first token, and between the others; those that come together share theirs."""
        if self._heard_at:
            now = time.monotonic()
            self._tally.between_tokens.observe((now - self._heard_at) / tokens, tokens)
            self._heard_at = now
        elif self.answer.ttft_ms is not None:
            self._heard_at = time.monotonic()
            self._tally.first_token.observe(self.answer.ttft_ms / 1000)
            self._say("answer's first token", logging.DEBUG, ttft_ms=self.answer.ttft_ms)

    def _may_go_on(self, error: TalkaboutError) -> bool:
        """Tell if asking again can help, and count it; a refusal before the first word is told at once."""
        begun = bool(self.answer.chars or self.answer.reasoning)
        if isinstance(error, AnswerTooLong) or not begun or (self.answer.chars and self._ask.style() == NONE):
            return False
        self._pen.hold()
        tries = self._adopted()
        if tries > MAX_ADOPTIONS:
            return False
        log.warning("answer %s: %s; trying again", self.answer.answer, error)
        self._wakes.wait(PAUSES_S[tries - 1])
        return not self._left.is_set()

    def _flush(self) -> None:
        if not self._left.is_set():
            self._pen.write()

    def _say(self, event: str, level: int = logging.INFO, **more: spans.Fact | None) -> None:
        """Note a moment of the answer's life; never what is in it."""
        log.log(level, event, extra={**self._who, "request": self._asked_by.id, **more})
        if self._span:
            self._span.note(event, **more)

    def _interrupt(self) -> None:
        self._wakes.set()
        if self._call is not None:
            self._call.stop()
