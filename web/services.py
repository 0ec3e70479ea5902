"""What the views work with, made once by create_app()."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app

from answers import producer
from answers.answer import Answer
from answers.channel_journal import ChannelJournal as Journal
from answers.channels import Channels
from answers.store import Store
from relay.catalog import Catalog
from relay.chat import request_body
from relay.errors import TalkaboutError
from relay.passthrough import relay
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import PING
from relay.upstream import Call
from web.streams import Source, Stream, Streams


@dataclass(frozen=True)
class Services:
    """The parts of one application, and what it takes to ask a model."""

    settings: Settings
    catalog: Catalog
    streams: Streams
    journal: Journal
    channels: Channels
    store: Store

    def events(self, prompt: str, model: str | None) -> Stream:
        """Begin an answer as the event stream of CONTRACT section 3; its first event waits already."""
        call, name = self._call(prompt, model)
        answer = Answer(str(uuid.uuid4()), name)
        pipe = self._pipe(call, PING)
        stream = self.streams.admit(pipe)
        pipe.put(answer.open())
        producer.start(lambda: producer.write_events(answer, call, pipe, self.settings.max_event_bytes), pipe)
        return stream

    def text(
        self,
        prompt: str,
        model: str | None,
        ending: Callable[[TalkaboutError], str],
        wrap: Callable[[Pipe], Source] | None = None,
    ) -> Stream:
        """Begin an answer as UTF-8 text.

        `ending` is the sentence that a text gets which broke off. Without `wrap` the upstream must have accepted the
        request first, and its refusal is raised; with it the text streams into what `wrap` makes, and a refusal is told
        there.
        """
        call, _ = self._call(prompt, model)
        pipe = self._pipe(call)
        stream = self.streams.admit(wrap(pipe) if wrap else pipe)
        if wrap is None:
            stream.before(call.open)
        bound, opened = self.settings.max_event_bytes, wrap is None
        producer.start(lambda: producer.write_text(call, pipe, bound, ending, opened=opened), pipe)
        return stream

    def lines(self, prompt: str, model: str | None) -> Stream:
        """Begin an answer as the upstream's own lines. Raises UpstreamError if it refuses."""
        call, _ = self._call(prompt, model)
        pipe = self._pipe(call, PING)
        stream = self.streams.admit(pipe)
        stream.before(call.open)
        producer.start(lambda: relay(call, pipe, self.settings.max_event_bytes), pipe)
        return stream

    def _call(self, prompt: str, model: str | None) -> tuple[Call, str]:
        upstream, name = self.catalog.find(model)
        body = request_body(name, [{"role": "user", "content": prompt}], self.settings.max_tokens)
        return upstream.call(body), name

    def _pipe(self, call: Call, heartbeat: bytes = b"") -> Pipe:
        """Make the way to one reader; when it is abandoned, the upstream is stopped."""
        pipe = Pipe(
            max_bytes=self.settings.reader_buffer_bytes,
            reader_timeout_s=self.settings.reader_timeout_s,
            heartbeat_s=self.settings.heartbeat_s,
            heartbeat=heartbeat,
        )
        pipe.on_abandon(lambda _: call.stop())
        return pipe


def services() -> Services:
    """Take the services of the current application."""
    here: Services = current_app.extensions["talkabout"]
    return here
