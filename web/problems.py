"""Errors before a stream: problem documents (RFC 9457) for programs, a page for people."""

from __future__ import annotations

import http
import logging
from urllib.parse import quote

import orjson
from flask import Flask, Response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from relay import request_id
from relay.catalog import UnknownModel
from relay.errors import BadUserId, Draining, TalkaboutError, UpstreamRefused
from relay.file_errors import FileError
from relay.limit_errors import LimitReached
from web.accept import is_lost, wants_page
from web.fields import FieldError
from web.i18n import messages
from web.openai_errors import error_response, is_openai, refused
from web.statuses import retry_after, status_of

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Make every error of this application a problem document."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(FieldError, _field)
    app.register_error_handler(UnknownModel, _unknown_model)
    app.register_error_handler(BadUserId, _bad_user_id)
    app.register_error_handler(FileError, _file)
    app.register_error_handler(Draining, _draining)
    app.register_error_handler(UpstreamRefused, _refused)
    app.register_error_handler(TalkaboutError, _ours)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, detail: str, **more: str) -> Response:
    """Make the response of an error: a page for a browser that wants one, else application/problem+json.

    `more` are further members of the problem document, as `field` or `code`. Under /v1 it has OpenAI's shape.
    """
    title = http.HTTPStatus(status).phrase
    if is_openai():
        response = error_response(status, detail, more.get("field"), more.get("code"))
    elif wants_page() or is_lost():
        said = messages("problem.").get(f"problem.{more.get('code')}")
        response = Response(render_template("error.html", status=status, detail=detail, said=said), status)
    else:
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
        body["request_id"] = request_id.current.get().id
        response = Response(orjson.dumps(body), status, mimetype="application/problem+json")
    response.headers.update(retry_after(status))
    return response


def _http(error: HTTPException) -> Response:
    response = problem(error.code or 500, error.description or "")
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def _field(error: FieldError) -> Response:
    return problem(422, error.detail, field=error.field)


def _unknown_model(error: UnknownModel) -> Response:
    if is_openai():
        return problem(404, f"The model {str(error)!r} does not exist.", field="model", code="model_not_found")
    return problem(422, error.public, field="model", code=error.code)


def _bad_user_id(error: BadUserId) -> Response:
    return problem(422, error.public, field="user_id", code=error.code)


def _file(error: FileError) -> Response:
    field = "file" if request.blueprint == "files" else "files"
    return problem(status_of(error), error.public, field=field, code=error.code)


def _draining(error: Draining) -> AnyResponse:
    """Send a reader to another worker, as this one closes the connection: any other status ends an EventSource."""
    if request.method != "GET":
        return _ours(error)
    query = request.query_string.decode("latin-1")
    return redirect(quote(request.root_path + request.path) + (f"?{query}" if query else ""), 307)


def _refused(error: UpstreamRefused) -> Response:
    if not is_openai():
        return _ours(error)
    log.warning("%s: %s", type(error).__name__, error)
    return refused(error)


def _ours(error: TalkaboutError) -> Response:
    log.warning("%s: %s", type(error).__name__, error)
    limit = {"limit": error.limit} if isinstance(error, LimitReached) else {}
    response = problem(status_of(error), error.public, code=error.code, **limit)
    response.headers.update(retry_after(response.status_code, error.wait_s))
    return response


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error in %s %s", request.method, request.endpoint, exc_info=error)
    return problem(500, "Something went wrong on the server.")
