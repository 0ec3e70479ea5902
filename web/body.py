"""Request bodies, read within bounds of size and time."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qsl

import orjson
from flask import current_app, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from relay.loop import after
from web.fields import Fields
from web.services import services

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_MAX_FORM_FIELDS = 100


def json_fields() -> Fields:
    """Read the body as a JSON object. Raises 400, 413 or 415."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Expected Content-Type: application/json.")
    try:
        body = _read()
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest("The body is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return Fields(value, body)


def form_fields() -> Fields:
    """Read an HTML form in either encoding; files in it are passed over. Raises 400, 413 or 415."""
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType(f"Expected Content-Type: {' or '.join(FORMS)}.")
    body = _read()
    try:
        return Fields(_multipart(body) if request.mimetype == "multipart/form-data" else _urlencoded(body))
    except ValueError as exc:
        raise BadRequest("The form is broken or has too many fields.") from exc


def _urlencoded(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS))


def _multipart(body: bytes) -> dict[str, str]:
    parser = FormDataParser(max_form_parts=_MAX_FORM_FIELDS, silent=False)
    _, form, files = parser.parse(io.BytesIO(body), request.mimetype, len(body), request.mimetype_params)
    for file in files.values():
        file.close()
    return form.to_dict()


def _read() -> bytes:
    """Read the whole body; one more byte than allowed tells a chunked body that is too long from one that just fits."""
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    length = request.content_length
    if (length or 0) > limit:
        raise RequestEntityTooLarge
    environ = request.environ
    cancel = _hang_up_in_time(environ.get("gunicorn.socket"))
    try:
        data: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except (OSError, ParseException) as exc:  # gunicorn: too late, the client went away, or a bad chunk
        raise BadRequest("The body could not be read.") from exc
    finally:
        cancel()
    if len(data) > limit:
        raise RequestEntityTooLarge
    return data


def _hang_up_in_time(connection: socket.socket | None) -> Callable[[], object]:
    """Bound how long a body may take: gunicorn waits for ever, and only so many requests can wait."""
    if connection is None:
        return bool
    return after(services().settings.body_timeout_s, partial(_hang_up, connection))


def _hang_up(connection: socket.socket) -> None:
    """Let whoever reads from it find its end; the answer can still be written."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
