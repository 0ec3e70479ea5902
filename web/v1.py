"""OpenAI's API, for any of its clients (CONTRACT section 5): what they send and get goes through as it is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify
from prometheus_client import Counter

from relay import tally
from relay.catalog import UnknownModel
from relay.demo_model import CREATED
from relay.upstream import Call
from web.body import json_object
from web.fields import FieldError
from web.openai_errors import error_in_stream
from web.services import services
from web.users import current_user

v1 = Blueprint("v1", __name__, url_prefix="/v1")

COMPLETIONS = Counter("talkabout_completions", "Completions under /v1 that have ended.")
TOKENS = Counter("talkabout_completion_tokens", "Their tokens, where the model server counts them.", ["kind"])


@v1.get("/models")
def models() -> Response:
    """List the models that can be asked."""
    return jsonify(object="list", data=[_model(name) for name in services().catalog.models()])


@v1.get("/models/<path:model>")
def model(model: str) -> Response:
    """Show one of them."""
    if model not in services().catalog.models():
        raise UnknownModel(model)
    return jsonify(_model(model))


@v1.post("/chat/completions")
def complete() -> Response:
    """Ask the model that is named, or the default one, and pass on what it says."""
    body = json_object()
    streamed = _flag(body, "stream")
    here, user, call = services(), current_user(), _call(body)
    if streamed:
        return here.pass_on(call, user, error_in_stream, _count).response()
    reply = here.whole(call, user)
    _count(*tally.of_reply(reply))
    return Response(reply, content_type=call.kind)


def _call(body: dict[str, Any]) -> Call:
    """Prepare the very same request for the model server; only the model's name is its own."""
    wanted = body.get("model")
    if wanted is not None and not isinstance(wanted, str):
        raise FieldError("model", "The field model must be a string.")
    upstream, name = services().catalog.find(wanted)
    return upstream.call({**body, "model": name})


def _count(prompt: int | None, completion: int | None, _chars: int) -> None:
    """Count a completion when it has ended."""
    COMPLETIONS.inc()
    TOKENS.labels("prompt").inc(prompt or 0)
    TOKENS.labels("completion").inc(completion or 0)


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise FieldError(name, f"The field {name} must be true or false.")
    return bool(value)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "talkabout"}
