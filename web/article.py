"""The article's endpoints, its paths kept letter for letter; docs/article.md maps each to the article's code."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, request

from relay.emitter import SseEmitter
from relay.errors import Draining, ReaderError
from relay.pipe import fill
from relay.poem import POEM
from web.accept import wants_events
from web.answers import identity
from web.body import FORMS, form_fields, json_fields
from web.event_stream import headers_alone
from web.fields import Fields
from web.recital import Recital
from web.services import services
from web.users import current_caller

article = Blueprint("article", __name__)


@article.post("/talkeAbouttestSseEmitter")
def talke_about_test_sse_emitter() -> Response:
    """Recite the poem through an SseEmitter, a character an event, then `stop`."""
    here = services()
    json_fields().text("prompt", here.settings.max_prompt_chars)
    emitter = SseEmitter(
        max_bytes=here.settings.reader_buffer_bytes,
        reader_timeout_s=here.settings.reader_timeout_s,
        heartbeat_s=here.settings.heartbeat_s,
        timeout_s=here.settings.total_timeout_s,
    )
    stream = here.streams.admit(emitter.pipe)
    delay_s = here.settings.poem_delay_ms / 1000
    fill(emitter.pipe, lambda: _recite(emitter, delay_s))
    return stream.response()


def _recite(emitter: SseEmitter, delay_s: float) -> None:
    with suppress(ReaderError, Draining):  # the emitter has ended by itself then
        for character in POEM:
            emitter.send(character)
            time.sleep(delay_s)
        emitter.send("stop")
        emitter.complete()


@article.route("/talkeAbouttestEvent", methods=["GET", "POST"])
def talke_about_test_event() -> Response:
    """Recite the poem straight into the response: `open`, a JSON object a character, `done`."""
    here = services()
    _prompt_from_anywhere().text("prompt", here.settings.max_prompt_chars, default="")
    if request.method == "HEAD":
        return headers_alone()
    return here.streams.admit(Recital(here.settings.poem_delay_ms / 1000)).response()


def _prompt_from_anywhere() -> Fields:
    if request.method == "POST" and request.mimetype == "application/json":
        return json_fields()
    return form_fields() if request.method == "POST" and request.mimetype in FORMS else Fields(request.args.to_dict())


@article.post("/talkeAbout")
def talke_about() -> Response:
    """Pass the model server's own event stream on, line by line, unaltered."""
    prompt, model = _question("prompt")
    return services().lines(current_caller(), prompt, model).response()


@article.post("/stream")
def stream() -> Response:
    """Answer the prompt `name` as raw text or, where the client accepts one, as an event stream.

    The answer is one like any other: it goes on when this connection is lost, and is read again under its id.
    """
    prompt, model = _question("name")
    here = services()
    row = here.begin(current_caller(), prompt, model)
    if wants_events():
        return here.follow(row).response(headers=identity(row))
    return here.text(row, _ending).response("text/plain", headers=identity(row))


def _question(field: str) -> tuple[str, str | None]:
    fields = json_fields()
    prompt = fields.text(field, services().settings.max_prompt_chars)
    return prompt, fields.text("model", 256, default="") or None


def _ending(error: dict[str, Any]) -> str:
    """Say in the text itself that it broke off: raw text has no other way once its headers are sent."""
    return f"\n\n[{error['message']}]\n"
