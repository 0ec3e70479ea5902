"""Which requests are traced, and what is told of each; web/otel.py makes spans of it, where traces are wanted.

Without OTEL_EXPORTER_OTLP_ENDPOINT no request comes by here, and nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request

from relay import request_id, spans
from relay.settings import Settings
from web.request_log import QUIET, pseudonym
from web.tracer import tracer

_SPAN = "talkabout.span"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def init_app(app: Flask, settings: Settings) -> None:
    """Trace requests if traces are wanted; to be called behind what gives requests their ids. Raises SettingError."""
    make = tracer(settings)
    app.extensions["talkabout_traces"] = traces = make and make(settings)
    spans.tell(traces)
    if traces is not None:
        app.before_request(_begin)
        app.after_request(_answer)


def _begin() -> None:
    """Begin a span for a request that somebody may look for; its address may hold a secret, its route does not."""
    if request.endpoint in QUIET:
        return
    method = request.method if request.method in _METHODS else "_OTHER"
    route = request.url_rule.rule if request.url_rule else ""
    facts = {"method": method, "route": route, "scheme": request.scheme}
    origin = request_id.current.get()
    name = f"{'HTTP' if method == '_OTHER' else method} {route}".rstrip()
    span = request.environ[_SPAN] = current_app.extensions["talkabout_traces"](spans.SERVER, name, origin, **facts)
    request_id.current.set(span.origin)


def _answer(response: Response) -> Response:
    """Say how it went; the span ends when the response is written, and a stream's lasts as long as it does."""
    span: spans.Span | None = request.environ.get(_SPAN)
    if span is not None:
        span.tell(
            status=response.status_code,
            request=request_id.current.get().id,
            user=pseudonym(request.environ.get("talkabout.user", "")),
            token=g.caller.token if "caller" in g else "",
            answer=response.headers.get("X-Answer-Id", ""),
        )
        response.call_on_close(span.end)
    return response
