"""OpenAI's API, for any of its clients (CONTRACT section 5): what they send and get goes through as it is."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import Counter

from answers.tree import new_id
from relay import tally
from relay.catalog import UnknownModel
from relay.demo_model import CREATED
from relay.errors import ReaderGone, UpstreamTimeout
from relay.passthrough import full
from relay.tally import OnEnd
from relay.upstream import Call
from web.body import json_object
from web.fields import FieldError
from web.services import services
from web.streams import headers_alone
from web.users import current_user

_ID = re.compile(r"([0-9a-fA-F-]{36}):([0-9]{1,18})")

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
    if seen := _ID.fullmatch(request.headers.get("Last-Event-ID", "")):
        return _events(seen[1], int(seen[2]))
    body = json_object()
    streamed, durable = _flag(body, "stream"), request.headers.get("Talkabout-Durable", "").lower() == "true"
    here, user, (call, on_end) = services(), current_user(), _asked(body)
    if durable and not streamed:
        raise FieldError("stream", "A completion that is durable has to be streamed.")
    if durable:
        return _events(here.durable(call, user, on_end), None)
    if streamed:
        return here.pass_on(call, user, full, on_end).response()
    try:
        reply = here.whole(call, user)
    except (ReaderGone, UpstreamTimeout):  # the model was asked, and has written nobody knows what
        on_end(None, None, 0)
        raise
    on_end(*tally.of_reply(reply))
    return Response(reply, content_type=call.kind)


@v1.get("/chat/completions/<id_>/events")
def events(id_: str) -> Response:
    """Follow a durable completion from behind the last event seen, or from its beginning."""
    last = request.headers.get("Last-Event-ID") or request.args.get("last_event_id", "")
    seen = _ID.fullmatch(last)
    return _events(id_, int(seen[2]) if seen and seen[1].lower() == id_.lower() else None)


@v1.post("/chat/completions/<id_>/stop")
def stop(id_: str) -> Response:
    """Stop a durable completion, wherever it is written; again and again the same."""
    closed = services().completions.stop(current_user(), id_)
    return jsonify(id=id_, object="chat.completion.stopped", upstream_closed=closed)


def _events(id_: str, after: int | None) -> Response:
    here, user = services(), current_user()
    pipe = here.completions.follow(user, id_, after)
    headers = {"X-Answer-Id": id_, "Content-Location": f"/v1/chat/completions/{id_}/events"}
    if pipe is None:
        return Response(status=204, headers=headers)
    if request.method == "HEAD":
        pipe.abandon(ReaderGone("only the headers are wanted"))
        return headers_alone()
    return here.streams.admit(pipe, user=user).response(headers=headers)


def _asked(body: dict[str, Any]) -> tuple[Call, OnEnd]:
    """Prepare the very same request for the model server, and what is to be done at its end.

    Only the model's name is the server's own. One that writes on for clients that have gone gets a name for the request
    too, by which it is given up.
    """
    wanted = body.get("model")
    if wanted is not None and not isinstance(wanted, str):
        raise FieldError("model", "The field model must be a string.")
    upstream, name = services().catalog.find(wanted)
    body = {**body, "model": name}
    if not upstream.names_requests():
        return upstream.call(body), _count
    body.setdefault("request_id", new_id())
    call = upstream.call(body)

    def give_up(prompt: int | None, completion: int | None, chars: int) -> None:
        _count(prompt, completion, chars)
        if not call.ended:
            upstream.abort(name, str(body["request_id"]))

    return call, give_up


def _count(prompt: int | None, completion: int | None, _chars: int) -> None:
    """Count a completion that has ended."""
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
