"""What whoever runs the server asks of it: does it live, is it ready, what is it doing."""

from __future__ import annotations

import hmac
import logging
from functools import cache

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from answers.store import Store
from relay.errors import DatabaseError, JournalError
from web.metrics import Report, everything
from web.services import services
from web.users import bearer

log = logging.getLogger(__name__)

ops = Blueprint("ops", __name__)

REQUESTS = Counter("talkabout_requests", "Requests by endpoint and status.", ["endpoint", "status"])
_requests = cache(REQUESTS.labels)


def init_app(app: Flask) -> None:
    """Serve the three endpoints and count every request."""
    app.register_blueprint(ops)
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
    """Its journal, its database and the preferred upstream answer, and it is not being replaced."""
    here = services()
    why_not = _database_fails(here.store)
    parts = {
        "journal": _journal_answers(),
        "database": why_not is None,
        "upstream": here.catalog.ready(),
        "accepting": not here.streams.draining and len(here.streams) < here.streams.max_streams,
    }
    ready = all(parts.values())
    detail = {"detail": why_not} if why_not else {}
    return jsonify(status="ready" if ready else "not ready", **parts, **detail), 200 if ready else 503


def _journal_answers() -> bool:
    try:
        services().journal.check()
    except JournalError:
        return False
    return True


def _database_fails(store: Store) -> str | None:
    try:
        store.check()
    except DatabaseError as error:
        log.warning("not ready: %s", error)
        return error.public
    return None


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
