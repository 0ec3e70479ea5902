"""The playground: the article's two browser clients, side by side: against its endpoints, and reading one journal."""

from __future__ import annotations

import shlex
from typing import NamedTuple
from urllib.parse import quote, urlencode

import orjson
from flask import Blueprint, render_template, request

from web.event_stream import EVENT_STREAM
from web.services import services
from web.users import current_user, remember_browser

playground = Blueprint("playground", __name__)

EXAMPLES = {"prompt": "什么是愛而不得?", "name": "Say hello.", "data": '{"content": "hello "}', "event": "note"}


class Endpoint(NamedTuple):
    """One row of what a client can reach; the scripts of the page read it from the chosen option.

    `fields` are the request's; `last` is the event (or, if `raw`, the data) that ends the answer, if anything does.
    """

    key: str
    method: str
    path: str
    fields: tuple[str, ...]
    accept: str = EVENT_STREAM
    last: str = "done"
    raw: bool = False


CHANNEL = Endpoint("channel", "GET", "/sse/connect/{user_id}", ("user_id",), last="")
POEM = Endpoint("poem", "GET", "/talkeAbouttestEvent", ("prompt",))
POSTED = (
    Endpoint("stream_events", "POST", "/stream", ("name",)),
    Endpoint("stream_text", "POST", "/stream", ("name",), "text/plain"),
    Endpoint("relay", "POST", "/talkeAbout", ("prompt",), last=""),
    Endpoint("emitter", "POST", "/talkeAbouttestSseEmitter", ("prompt",), last="stop", raw=True),
    Endpoint("poem", "POST", "/talkeAbouttestEvent", ("prompt",)),
    Endpoint("answer", "POST", "/api/answers", ("prompt",)),
    Endpoint("send", "POST", "/sse/send/{user_id}", ("user_id", "data", "event"), "application/json", last=""),
)
CLIENTS = {
    "event-source": ("EventSource", (POEM, CHANNEL)),
    "fetch": ("fetch + AbortController", (*POSTED, POEM, CHANNEL)),
}


@playground.get("/playground")
def page() -> str:
    """Show the two clients, and every endpoint as a line for curl."""
    remember_browser()
    examples = EXAMPLES | {"user_id": current_user()}
    origin = request.host_url.rstrip("/")
    lines = [(endpoint, curl(endpoint, origin, examples)) for endpoint in (CHANNEL, POEM, *POSTED)]
    models = services().catalog.models()
    return render_template("playground.html", clients=CLIENTS, examples=examples, lines=lines, models=models)


def curl(endpoint: Endpoint, origin: str, values: dict[str, str]) -> str:
    """Write a request for a POSIX shell, as the page's scripts do."""
    sent = {name: values[name] for name in endpoint.fields if f"{{{name}}}" not in endpoint.path}
    url = origin + endpoint.path.format(user_id=quote(values["user_id"], safe=""))
    words = [f"-H {shlex.quote(f'Accept: {endpoint.accept}')}"]
    if endpoint.method == "POST":
        words += ["-H 'Content-Type: application/json'", f"--data-raw {shlex.quote(_body(sent))}"]
    elif sent:
        url += f"?{urlencode(sent)}"
    return " \\\n  ".join(["curl -N", *words, shlex.quote(url)])


def _body(sent: dict[str, str]) -> str:
    decoded = {name: orjson.loads(text) if name == "data" else text for name, text in sent.items()}
    return orjson.dumps(decoded).decode()
