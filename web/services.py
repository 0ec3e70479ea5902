"""What the views work with, made once by create_app()."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app

from answers.channels import Channels
from answers.completions import Completions
from answers.files import Files
from answers.follow import Follower
from answers.hidden import Hidden
from answers.imports import Imports
from answers.intake import Intake
from answers.journal import Journal
from answers.producers import Producers
from answers.readers import Readers, TextOf
from answers.recovery import Recovery
from answers.room import Room
from answers.shares import Shares
from answers.store import AnswerRow, Store
from answers.tree import new_id
from relay.catalog import Catalog
from relay.chat import request_body
from relay.errors import Draining, NotFound, TooManyAnswers
from relay.passthrough import Shape, brief, read_whole, relay
from relay.pipe import Pipe, fill, to_reader
from relay.settings import Settings
from relay.tally import OnEnd
from relay.upstream import Call
from web.news import tell_of_answer
from web.streams import Source, Stream, Streams


@dataclass(frozen=True)
class Services:
    """The parts of one application, and what it takes to ask a model."""

    settings: Settings
    catalog: Catalog
    streams: Streams
    journal: Journal
    follower: Follower
    channels: Channels
    store: Store
    files: Files
    intake: Intake
    hidden: Hidden
    imports: Imports
    shares: Shares
    room: Room
    producers: Producers
    completions: Completions
    recovery: Recovery
    readers: Readers

    def begin(
        self, user: str, prompt: str, model: str | None, files: tuple[str, ...] = (), **more: str | None
    ) -> AnswerRow:
        """Begin an answer, or find the one that has the given id `answer` already; `conversation`, `parent` as given.

        Raises UnknownModel, NotFound, Conflict, FileError for files that cannot come with it, and TooManyAnswers
        if as many as one user may have are being written.
        """
        if self.streams.draining:
            raise Draining
        self.recovery.start()
        given = more.get("answer")
        where = (more.get("conversation"), more.get("parent"), given or new_id(), files)
        if given and (known := self.store.answer(given)):
            if known.within.deleted_us is not None:
                raise NotFound(f"the conversation of {given} is deleted")
            return self.producers.begin(user, prompt, known.model, *where)
        if not self.room.take(user):
            raise TooManyAnswers(f"{self.room.limit} are being written for this user")
        _, name = self.catalog.find(model)
        if files:
            self.files.check(user, files, self.catalog.takes_images(name))
        row = self.producers.begin(user, prompt, name, *where)
        change = "changed" if more.get("conversation") else "created"
        tell_of_answer(self.channels, row, change)
        return row

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

    def lines(self, prompt: str, model: str | None) -> Stream:
        """Begin an answer as the upstream's own lines, for this request alone. Raises UpstreamError if it refuses."""
        upstream, name = self.catalog.find(model)
        body = request_body(name, [{"role": "user", "content": prompt}], self.settings.max_tokens)
        return self.pass_on(upstream.call(body))

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

    def durable(self, call: Call, user: str, on_end: OnEnd) -> str:
        """Ask for a streamed completion that outlives whoever reads it; return its id.

        Raises UpstreamError if that is refused, and TooManyAnswers.
        """
        self.recovery.start()
        self.completions.refuse_too_many(user)
        stream, pipe = self._admit(call, user)  # until it has an id, it ends with this request
        stream.before(call.open)
        pipe.close()
        stream.leave()
        return self.completions.begin(user, call, on_end)

    def _admit(self, call: Call, user: str) -> tuple[Stream, Pipe]:
        pipe = to_reader(self.settings)
        pipe.on_abandon(lambda _: call.stop())
        return self.streams.admit(pipe, user=user), pipe

    def drain(self) -> None:
        """Hand what this worker writes and whom it serves over to the other workers."""
        self.streams.refuse()
        self.completions.drain(self.settings.drain_s)
        self.recovery.drain()
        self.streams.drain()
        self.follower.close()


def services() -> Services:
    """Take the services of the current application."""
    here: Services = current_app.extensions["talkabout"]
    return here
