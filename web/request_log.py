"""One line of the log for each request, and the id by which its other lines are found."""

from __future__ import annotations

import hashlib
import logging
import time
from functools import partial

from flask import Flask, Response

from relay import request_id
from web.current import this_request

log = logging.getLogger(__name__)

_BEGAN = "talkabout.began"
_USER_CHARS = 12
QUIET = {"static", "ops.healthz", "ops.readyz", "ops.metrics"}


def init_app(app: Flask) -> None:
    """Give every request its id, before anything else looks at it, and say how it went."""
    app.before_request(_begin)
    app.after_request(_answer)


def _begin() -> None:
    environ = this_request().environ
    environ[_BEGAN] = time.monotonic()
    request_id.current.set(request_id.accept(environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", "")))


def _answer(response: Response) -> Response:
    """Name the request in its response, and say how it went once that is written: a stream lasts as long as it does."""
    request = this_request()
    origin = request_id.current.get().id
    response.headers.add(request_id.HEADER, origin)
    level = logging.DEBUG if request.endpoint in QUIET else logging.INFO
    if log.isEnabledFor(level):
        facts = {
            "request": origin,
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else "none",  # an address may have a secret in it
            "status": response.status_code,
            "user": pseudonym(request.environ.get("talkabout.user", "")),
            "answer": response.headers.get("X-Answer-Id", ""),
        }
        response.call_on_close(partial(_say, level, request.environ[_BEGAN], facts))
    return response


def _say(level: int, began: float, facts: dict[str, object]) -> None:
    said = {name: value for name, value in facts.items() if value != ""}
    log.log(level, "request", extra={**said, "ms": round((time.monotonic() - began) * 1000, 1)})


def pseudonym(user: str) -> str:
    """Name a user by a digest: the same each time, and nothing that stands in a cookie or a mailbox."""
    return hashlib.sha256(user.encode()).hexdigest()[:_USER_CHARS] if user else ""
