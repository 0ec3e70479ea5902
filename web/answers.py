"""Answers: begun once, read by anyone of the user's, from any worker, as often as one likes (CONTRACT section 3)."""

from __future__ import annotations

import re
import uuid

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import NotFound

from answers.answer import stream_of
from answers.store import AnswerRow
from answers.tree import ROOT
from web.accept import wants_events
from web.body import json_fields
from web.current import this_request
from web.event_stream import headers_alone
from web.fields import FieldError, Fields
from web.services import services
from web.users import current_caller, current_user

answers = Blueprint("answers", __name__)

_ID = re.compile(r"([0-9a-fA-F-]{36}):([0-9]{1,18})")
_NAME_CHARS = 256


@answers.post("/api/answers")
def create() -> Response | tuple[Response, int]:
    """Begin an answer, or attach to the one that has the same id, or that `Last-Event-ID` names."""
    if seen := _ID.fullmatch(this_request().environ.get("HTTP_LAST_EVENT_ID", "")):
        return _events(own(seen[1]))
    fields = json_fields()
    here = services()
    row = here.begin(
        current_caller(),
        fields.text("prompt", here.settings.max_prompt_chars),
        _optional(fields, "model"),
        conversation=_optional(fields, "conversation"),
        parent=ROOT if fields.values.get("parent") == ROOT else _optional(fields, "parent"),
        answer=_uuid_field(fields),
        files=fields.names("files", _NAME_CHARS),
    )
    return _accepted(row)


@answers.get("/api/answers/<answer>/events")
def events(answer: str) -> Response:
    """Follow an answer's journal from behind the last event seen, or from its beginning."""
    row = own(answer)
    if request.method == "HEAD":
        return headers_alone()
    return _events(row)


@answers.get("/api/answers/<answer>")
def show(answer: str) -> Response:
    """Show an answer as it is now."""
    row = own(answer)
    now = services().readers.as_it_is(row)
    return jsonify(
        answer=now.id,
        conversation=now.conversation,
        model=now.model,
        state=now.state,
        content=now.content,
        reasoning=now.reasoning,
        finish_reason=now.finish_reason,
        usage=now.usage,
        chars=now.chars,
        sha256=now.sha256,
        ttft_ms=now.ttft_ms,
        tokens_per_s=now.tokens_per_s,
    )


@answers.post("/api/answers/<answer>/stop")
def stop(answer: str) -> Response:
    """Stop an answer, wherever it is written, and say how it ended; again and again the same."""
    row = services().producers.stop(own(answer))
    closed = row.state != "running"
    return jsonify(state=row.state, upstream_closed=closed, close_ms=row.close_ms or 0, chars=row.chars)


@answers.post("/api/answers/<answer>/continue")
def go_on(answer: str) -> Response | tuple[Response, int]:
    """Take an answer up again where its text ends; the stream tells what is new."""
    row = own(answer)
    last = services().journal.bounds(stream_of(row.id))[1]
    return _accepted(services().go_on(current_caller(), row), after=last)


def _accepted(row: AnswerRow, after: int = 0) -> Response | tuple[Response, int]:
    if wants_events():
        return services().follow(row, after).response(headers=identity(row))
    body = jsonify(answer=row.id, conversation=row.conversation, events=_events_path(row))
    body.headers.update(identity(row))
    return body, 202


def _events(row: AnswerRow) -> Response:
    """Stream what comes behind the last event seen; 204 tells whoever has seen the end to stay away."""
    last = request.headers.get("Last-Event-ID") or request.args.get("last_event_id", "")
    after = _seq(last, row)
    if after is not None and services().readers.has_seen_the_end(row, after):
        return Response(status=204, headers=identity(row))
    return services().follow(row, after).response(headers=identity(row))


def _seq(last_event_id: str, row: AnswerRow) -> int | None:
    """Take the seq out of an id; 0 if there is none, None if it is not one of this answer's."""
    if not last_event_id:
        return 0
    seen = _ID.fullmatch(last_event_id)
    return int(seen[2]) if seen and seen[1].lower() == row.id else None


def identity(row: AnswerRow) -> dict[str, str]:
    """Name the answer in the headers of whatever responds with it."""
    return {"X-Answer-Id": row.id, "Content-Location": _events_path(row)}


def _events_path(row: AnswerRow) -> str:
    return f"/api/answers/{row.id}/events"


def own(answer: str) -> AnswerRow:
    """Find an answer of the current user's; what is another's does not exist, nor what is deleted."""
    row = services().store.answer(answer.lower())
    if row is None or row.user != current_user() or row.within.deleted_us is not None:
        raise NotFound("There is no such answer.")
    return row


def _optional(fields: Fields, name: str) -> str | None:
    return fields.text(name, _NAME_CHARS) if fields.values.get(name) is not None else None


def _uuid_field(fields: Fields) -> str | None:
    given = _optional(fields, "answer")
    try:
        return str(uuid.UUID(given)) if given else None
    except ValueError as exc:
        raise FieldError("answer", "The field answer must be a UUID.") from exc
