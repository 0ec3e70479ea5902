"""What the views work with, made once by create_app()."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app

from answers.channels import Channels
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
from relay.errors import Draining, NotFound, TooManyAnswers, UpstreamError
from relay.passthrough import relay
from relay.pipe import fill, to_reader
from relay.settings import Settings
from web.news import tell_of_answer
from web.streams import Source, Stream, Streams

log = logging.getLogger(__name__)


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
        if self.settings.log_prompts:
            log.info("prompt", extra={"answer": where[2], "prompt": prompt})
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
        if self.settings.log_prompts:
            log.info("prompt", extra={"prompt": prompt})
        call = upstream.call(request_body(name, [{"role": "user", "content": prompt}], self.settings.max_tokens))
        pipe = to_reader(self.settings)
        pipe.on_abandon(lambda _: call.stop())
        stream = self.streams.admit(pipe)
        try:
            stream.before(call.open)
        except UpstreamError as error:
            self.producers.measures.of(upstream.name, self.catalog.label(name)).errors[error.code] += 1
            raise
        fill(pipe, lambda: relay(call, pipe, self.settings.max_event_bytes))
        return stream

    def drain(self) -> None:
        """Hand what this worker writes and whom it serves over to the other workers."""
        self.streams.refuse()
        self.recovery.drain()
        self.streams.drain()
        self.follower.close()


def services() -> Services:
    """Take the services of the current application."""
    here: Services = current_app.extensions["talkabout"]
    return here
