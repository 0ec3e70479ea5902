"""What whoever runs the server asks of it: does it live, is it ready, what is it doing."""

from __future__ import annotations

import hmac
from functools import cache

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from relay.errors import UpstreamUnreachable
from web.metrics import Report, everything
from web.readiness import Check, ask_all
from web.services import Services, services
from web.users import bearer

ops = Blueprint("ops", __name__)

REQUESTS = Counter("talkabout_requests", "Requests by endpoint and status.", ["endpoint", "status"])
_requests = cache(REQUESTS.labels)


def init_app(app: Flask) -> None:
    """Serve the three endpoints and count every request."""
    app.register_blueprint(ops)
    app.extensions["talkabout_checks"] = _checks(app.extensions["talkabout"])
    app.extensions["talkabout_report"] = Report(app.extensions["talkabout"])
    app.after_request(_count)


def _count(response: Response) -> Response:
    _requests(request.endpoint or "none", response.status_code).inc()
    return response


@ops.get("/healthz")
def healthz() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@ops.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Its journal, its database and the preferred upstream answer in time, and it is not being replaced."""
    streams = services().streams
    why_not = ask_all(current_app.extensions["talkabout_checks"])
    parts = {name: not why for name, why in why_not.items()}
    parts["accepting"] = not streams.draining and len(streams) < streams.max_streams
    detail = {"detail": why_not["database"]} if why_not["database"] else {}
    ready = all(parts.values())
    return jsonify(status="ready" if ready else "not ready", **parts, **detail), 200 if ready else 503


def _checks(here: Services) -> dict[str, Check]:
    def upstream() -> None:
        if not here.catalog.ready():
            raise UpstreamUnreachable("the preferred upstream does not answer")

    return {"journal": Check(here.journal.check), "database": Check(here.store.check), "upstream": Check(upstream)}


@ops.get("/metrics")
def metrics() -> Response:
    """Prometheus metrics over all workers; where a token of their own is set, for whoever has that one."""
    wanted = services().settings.metrics_token
    if wanted and not hmac.compare_digest(bearer().encode(errors="replace"), wanted.encode()):
        raise Unauthorized(
            "The token of TALKABOUT_METRICS_TOKEN is needed.", www_authenticate=WWWAuthenticate("bearer")
        )
    report: Report = current_app.extensions["talkabout_report"]
    report.carry()  # the other workers' numbers are a second old at most
    return Response(everything(), content_type=CONTENT_TYPE_LATEST)
