"""The article's channels: one event stream per user, which anything may publish to."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from relay.errors import BadEventField
from web.body import json_fields
from web.event_stream import headers_alone
from web.fields import FieldError
from web.services import services
from web.users import require_user

channel = Blueprint("channel", __name__)

CUTS = "cuts"  # the journal's stream of keys whose connections are to be torn


@channel.get("/sse/connect/<user_id>")
def connect(user_id: str) -> Response:
    """Follow a user's channel; `Last-Event-ID` (header or query) replays what was missed."""
    require_user(user_id)
    if request.method == "HEAD":
        return headers_alone()
    here = services()
    last = request.headers.get("Last-Event-ID") or request.args.get("last_event_id")
    return here.streams.admit(here.channels.subscribe(user_id, last), resumable=True, user=user_id).response()


@channel.post("/sse/send/<user_id>")
def send(user_id: str) -> tuple[Response, int]:
    """Publish `data` to every open connection of a user, on every worker."""
    require_user(user_id)
    fields = json_fields()
    data = fields.as_json("data")
    event = fields.values.get("event")
    if event is not None and not isinstance(event, str):
        raise FieldError("event", "The field event must be a string.")
    try:
        published = services().channels.publish(user_id, data, event)
    except BadEventField as exc:
        raise FieldError("event", "The field event must not be empty nor contain a line break or NUL.") from exc
    return jsonify(id=published), 202


@channel.post("/playground/cut")
def cut() -> tuple[Response, int]:
    """Tear the connection that was opened with `?cut=<key>`, whichever worker holds it."""
    key = json_fields().text("cut", 64)
    services().channels.announce(CUTS, key)
    return jsonify(cut=key), 202
