"""What whoever runs the server asks of it: does it live, is it ready, what is it doing."""

from __future__ import annotations

import logging
import os
from functools import cache

from flask import Blueprint, Flask, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from answers.store import Store
from relay.errors import DatabaseError, JournalError
from web.services import services

log = logging.getLogger(__name__)

ops = Blueprint("ops", __name__)

REQUESTS = Counter("talkabout_requests", "Requests by endpoint and status.", ["endpoint", "status"])
_requests = cache(REQUESTS.labels)


def init_app(app: Flask) -> None:
    """Serve the three endpoints and count every request."""
    app.register_blueprint(ops)
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
    """Its journal, its database and at least one upstream answer, and it is not being replaced.

    A balancer asks with `?upstream=off`: a model server that is down is no reason to take every talkabout away.
    """
    here = services()
    why_not = _database_fails(here.store)
    parts = {
        "journal": _journal_answers(),
        "database": why_not is None,
        "accepting": not here.streams.draining and len(here.streams) < here.streams.max_streams,
    }
    if request.args.get("upstream") != "off":
        parts["upstream"] = here.catalog.ready()
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
    """Prometheus metrics over all workers (of this process alone where there is no shared folder for them)."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
