"""What whoever runs the server asks of it: does it live, is it ready, what is it doing."""

from __future__ import annotations

import hmac

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from relay.errors import UpstreamUnreachable
from web.current import this_request
from web.metrics import ANSWERED, Report, everything
from web.readiness import Check, ask_all
from web.services import Services, services
from web.users import bearer, callers, current_caller

ops = Blueprint("ops", __name__)


def init_app(app: Flask) -> None:
    """Serve the three endpoints and count every request."""
    app.register_blueprint(ops)
    app.extensions["talkabout_checks"] = _checks(app.extensions["talkabout"])
    app.extensions["talkabout_report"] = Report(app.extensions["talkabout"])
    app.after_request(_count)


def _count(response: Response) -> Response:
    ANSWERED[this_request().endpoint or "none", response.status_code] += 1
    return response


@ops.get("/healthz")
def healthz() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@ops.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Its journal, its database and at least one upstream answer in time, and it is not being replaced.

    A balancer asks with `?upstream=off`: a model server that is down is no reason to take every talkabout away.
    """
    streams = services().streams
    without = request.args.get("upstream") == "off"
    checks = current_app.extensions["talkabout_checks"]
    why_not = ask_all({name: check for name, check in checks.items() if not (without and name == "upstream")})
    parts = {name: not why for name, why in why_not.items()}
    parts["accepting"] = not streams.draining and len(streams) < streams.max_streams
    detail = {"detail": why_not["database"]} if why_not["database"] else {}
    ready = all(parts.values())
    return jsonify(status="ready" if ready else "not ready", **parts, **detail), 200 if ready else 503


def _checks(here: Services) -> dict[str, Check]:
    def upstream() -> None:
        if not here.catalog.ready():
            raise UpstreamUnreachable("no upstream answers")

    return {"journal": Check(here.journal.check), "database": Check(here.store.check), "upstream": Check(upstream)}


@ops.get("/metrics")
def metrics() -> Response:
    """Prometheus metrics over all workers."""
    _refuse_who_may_not_see()
    report: Report = current_app.extensions["talkabout_report"]
    report.carry()  # the other workers' numbers are a second old at most
    return Response(everything(), content_type=CONTENT_TYPE_LATEST)


def _refuse_who_may_not_see() -> None:
    """Let the scraper in by its own token, if it has one, and else whoever is somebody: it names no user."""
    wanted, challenge = services().settings.metrics_token, WWWAuthenticate("bearer")
    if wanted:
        if not hmac.compare_digest(bearer().encode(errors="replace"), wanted.encode()):
            raise Unauthorized("The token of TALKABOUT_METRICS_TOKEN is needed.", www_authenticate=challenge)
    elif callers() is not None and not current_caller().user:
        raise Unauthorized("A valid token is needed.", www_authenticate=challenge)
