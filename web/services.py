"""What the views work with, made once by create_app()."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from answers.accounts import Charged
from answers.asked import Asked
from answers.quotas import Charge
from answers.readers import TextOf
from answers.store import AnswerRow
from answers.tree import new_id
from relay.attachments import estimate
from relay.chat import request_body
from relay.errors import Draining, NotFound, TalkaboutError, TooManyAnswers
from relay.limit_errors import LimitReached
from relay.passthrough import Shape, brief, read_whole, relay
from relay.pipe import Pipe, fill, to_reader
from relay.route import Route
from relay.route_errors import UpstreamBusy
from relay.tally import OnEnd
from relay.upstream import Call
from web.callers import Caller
from web.current import this_app
from web.news import tell_of_answer
from web.parts import Parts
from web.streams import Source, Stream

log = logging.getLogger(__name__)

_COMES_WITHIN_S = (0.05, 0.2)


class Services(Parts):
    """What it takes to ask a model, and to read what it answers."""

    def begin(
        self, caller: Caller, prompt: str, model: str | None, files: tuple[str, ...] = (), **more: str | None
    ) -> AnswerRow:
        """Begin an answer, or find the one that has the given id `answer` already; `conversation`, `parent` as given.

        Raises UnknownModel, NotFound, Conflict, FileError for files that cannot come with it, TooManyAnswers if as
        many as one user, or token, may have are being written, LimitReached, and UpstreamBusy if its queue is full.
        """
        if self.streams.draining:
            raise Draining
        self.recovery.start()
        given = more.get("answer")
        where = (more.get("conversation"), more.get("parent"), given or new_id(), files)
        if given and (known := self.store.answer(given)):
            if known.within.deleted_us is not None:
                raise NotFound(f"the conversation of {given} is deleted")
            return self.producers.begin(caller.user, prompt, known.model, *where, caller.token)
        try:
            if not self.room.take(caller.user):
                raise TooManyAnswers(f"{self.room.limit} are being written for this user")
            upstream, name = self.catalog.find(model)
            upstream.expect_room()
            of_files = self.files.check(caller.user, files, self.catalog.takes_images(name)) if files else 0
            self._log_prompt(prompt, answer=where[2])
            with self._place(caller, where[2]), self._charging(caller, estimate(prompt) + of_files, where[2]) as charge:
                row = self.producers.begin(caller.user, prompt, name, *where, caller.token, charge)
        except (TooManyAnswers, LimitReached, UpstreamBusy):
            if given and self._comes(given):
                return self.begin(caller, prompt, model, files, **more)
            raise
        self.quotas.give_back(charge, row.charged)
        tell_of_answer(self.channels, row, "changed" if more.get("conversation") else "created")
        return row

    def _comes(self, answer: str) -> bool:
        """Tell if an answer is there, or is about to be: the same may have been asked for at the same moment."""
        for pause_s in _COMES_WITHIN_S:
            if self.store.answer(answer):
                return True
            time.sleep(pause_s)
        return self.store.answer(answer) is not None

    def go_on(self, caller: Caller, row: AnswerRow) -> AnswerRow:
        """Take an answer up again where its text ends.

        Raises Conflict if it runs or is complete, TooManyAnswers, and LimitReached.
        """
        with self._place(caller, row.id), self._charging(caller, estimate(row.content), row.id) as charge:
            return self.producers.go_on(row, caller.token, charge)

    def follow(self, row: AnswerRow, after: int | None = 0) -> Stream:
        """Take a reader of an answer on."""
        pipe = self.readers.follow(row, after)
        return self.streams.admit(pipe, resumable=True, user=row.user)

    def text(
        self, row: AnswerRow, ending: Callable[[dict[str, Any]], str], wrap: Callable[[TextOf], Source] | None = None
    ) -> Stream:
        """Take a reader of an answer's text on; `ending` puts into words why a text broke off.

        Without `wrap` the upstream must have accepted the question first, and AnswerFailed is raised if it did not.
        """
        text = TextOf(self.readers.follow(row, 0), ending)
        stream = self.streams.admit(wrap(text) if wrap else text, user=row.user)
        if wrap is None:
            stream.before(text.accepted)
        return stream

    def lines(self, caller: Caller, prompt: str, model: str | None) -> Stream:
        """Begin an answer as the upstream's own lines, for this request alone. Raises as `pass_on` and `charged` do."""
        route, name = self.catalog.find(model)
        body = request_body(name, [{"role": "user", "content": prompt}], self.settings.max_tokens)
        self._log_prompt(prompt)
        with self.charged(caller, route, name, estimate(prompt)) as charged:
            on_end = self.counting(route, charged)
            return self.pass_on(route.call(body, user=caller.user), caller.user, on_end=on_end)

    def pass_on(self, call: Call, user: str = "", shape: Shape = brief, on_end: OnEnd | None = None) -> Stream:
        """Ask for a streamed completion, to be passed on as it comes. Raises UpstreamError if that is refused."""
        stream, pipe = self._admit(call, user)
        stream.before(call.open)
        fill(pipe, lambda: relay(call, pipe, self.settings.max_event_bytes, shape, on_end))
        return stream

    def whole(self, call: Call, user: str) -> bytes:
        """Ask for a completion that is no stream, and wait for all of it, or until the client goes.

        Raises UpstreamError, and ReaderGone.
        """
        stream, pipe = self._admit(call, user)
        body = b""

        def read() -> None:
            nonlocal body
            body = read_whole(call, self.settings.max_reply_bytes)

        stream.before(read)
        pipe.close()  # so that what is over is not stopped
        stream.leave()
        return body

    def durable(self, id: str, asked: Asked, route: Route, call: Call, leave: Callable[[], None]) -> None:
        """Ask for a streamed completion that outlives whoever reads it.

        Raises UpstreamError if that is refused, and TooManyAnswers.
        """
        user = asked.account.user
        self.recovery.start()
        self.completions.refuse_too_many(user)
        stream, pipe = self._admit(call, user)  # until it has an id, it ends with this request
        stream.before(call.open)
        pipe.close()
        try:
            self.completions.begin(id, asked, route, call, leave)
        finally:
            stream.leave()

    def _admit(self, call: Call, user: str) -> tuple[Stream, Pipe]:
        pipe = to_reader(self.settings)
        pipe.on_abandon(lambda _: call.stop())
        return self.streams.admit(pipe, user=user), pipe

    def charged(self, caller: Caller, route: Route, model: str, tokens: int) -> AbstractContextManager[Charged]:
        """Charge a request that is no answer and begins in the block; `tokens`: of its prompt, about."""
        return self.accounts.charged(caller.user, caller.token, caller.limits, route, model, tokens)

    def counting(self, route: Route, charged: Charged) -> OnEnd:
        """Make what is called at the end of a request that was charged."""
        account = charged.account

        def on_end(prompt: int | None, completion: int | None, chars: int, error: TalkaboutError | None = None) -> None:
            charged.leave()
            self.accounts.count(account, prompt, completion, chars)
            self.accounts.failed(route, account.model, error)

        return on_end

    def _log_prompt(self, prompt: str, **of: str) -> None:
        if self.settings.log_prompts:
            log.info("prompt", extra={**of, "prompt": prompt})

    def _place(self, caller: Caller, name: str) -> AbstractContextManager[None]:
        return self.places.taken(caller.token, caller.limits.answers_at_once, name)

    def _charging(self, caller: Caller, tokens: int, answer: str = "") -> AbstractContextManager[Charge | None]:
        return self.quotas.charging(caller.user, caller.token, caller.limits, tokens, answer)

    def drain(self) -> None:
        """Hand what this worker writes and whom it serves over to the other workers."""
        self.streams.refuse()
        self.recovery.drain(self.settings.drain_s)
        self.streams.drain()
        self.follower.close()
        self.usage.close()


def services() -> Services:
    """Take the services of the current application."""
    here: Services = this_app().extensions["talkabout"]
    return here
