"""OpenAI's API, for any of its clients (CONTRACT section 5): what they send and get goes through as it is."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, jsonify, request

from answers.asked import Asked
from answers.tree import new_id
from relay import tally
from relay.access_errors import AccessEnded
from relay.attachments import prompt_tokens
from relay.catalog import UnknownModel
from relay.demo_model import CREATED
from relay.errors import Draining, ReaderGone, TalkaboutError, UpstreamTimeout
from relay.passthrough import full
from relay.reply_errors import ReplyTooLong
from relay.route import Route
from relay.tally import OnEnd
from relay.upstream import Call
from web.body import json_object
from web.event_stream import headers_alone
from web.fields import FieldError
from web.services import services
from web.users import current_caller, current_user

_ID = re.compile(r"([0-9a-fA-F-]{36}):([0-9]{1,18})")

# The model was asked, and has written nobody knows what, when one of these breaks a request off.
_LEFT = (ReaderGone, UpstreamTimeout, AccessEnded, Draining, ReplyTooLong)

v1 = Blueprint("v1", __name__, url_prefix="/v1")


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
    if durable and not streamed:
        raise FieldError("stream", "A completion that is durable has to be streamed.")
    wanted = body.get("model")
    if wanted is not None and not isinstance(wanted, str):
        raise FieldError("model", "The field model must be a string.")
    here, caller = services(), current_caller()
    route, name = here.catalog.find(wanted)
    with here.charged(caller, route, name, prompt_tokens(body.get("messages"))) as charged:
        id_, body = new_id(), {**body, "model": name}
        call, on_end = _asked(route, body, caller.user, id_, here.counting(route, charged))
        try:
            if not streamed:
                return _whole(call, caller.user, on_end)
            if not durable:
                return here.pass_on(call, caller.user, full, on_end).response()
            here.durable(id_, Asked(charged.account, body), route, call, charged.leave)
        except _LEFT:
            on_end(None, None, 0)
            raise
    try:
        return _events(id_, None)
    except TalkaboutError:
        here.completions.stop(caller.user, id_)  # whose id nobody was told
        raise


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


def _whole(call: Call, user: str, on_end: OnEnd) -> Response:
    reply = services().whole(call, user)
    response = Response(reply, content_type=call.kind)
    response.call_on_close(lambda: on_end(*tally.of_reply(reply)))  # which may have to wait for the database
    return response


def _asked(route: Route, body: dict[str, Any], user: str, id_: str, count: OnEnd) -> tuple[Call, OnEnd]:
    """Prepare a request for a model server, and what is to be done at its end.

    Where a server writes on for clients that have gone, the request is given up by its id.
    """
    call = route.call(body, user=user, request_id=id_)

    def give_up(prompt: int | None, completion: int | None, chars: int, error: TalkaboutError | None = None) -> None:
        count(prompt, completion, chars, error)
        if not call.ended:
            route.abort(str(body["model"]), id_)

    return call, give_up


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise FieldError(name, f"The field {name} must be true or false.")
    return bool(value)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "talkabout"}
