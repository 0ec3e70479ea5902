"""Request bodies, read within bounds of size and time."""

from __future__ import annotations

import io
import json
import math
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from relay.loop import after
from web.current import this_request
from web.fields import Fields
from web.services import services

_JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_MAX_FORM_FIELDS = 100
_PASSED_OVER_BYTES = 8 << 20
_PASSED_OVER_S = 2.0


class Upload(NamedTuple):
    """Hold a file as it came."""

    name: str
    data: bytes


def json_fields(more_bytes: int = 0) -> Fields:
    """Read the body as a JSON object, which may be so much longer than most. Raises 400, 413 or 415."""
    body = _json(more_bytes)
    return Fields(_object_of(body, orjson.loads), body)


def json_object() -> dict[str, Any]:
    """Read the body as a JSON object that can be passed on as it came: long integers, half surrogate pairs and all.

    Raises 400, 413 or 415.
    """
    return _object_of(_json(0), lambda body: json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite))


def _json(more_bytes: int) -> bytes:
    here = this_request()
    if here.environ.get("CONTENT_TYPE") != _JSON and here.mimetype != _JSON:
        raise UnsupportedMediaType("Expected Content-Type: application/json.")
    return _read(here, more_bytes)


def _object_of(body: bytes, loads: Callable[[bytes], Any]) -> dict[str, Any]:
    try:
        value = loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest("The body is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def form_fields() -> Fields:
    """Read an HTML form in either encoding; files in it are passed over. Raises 400, 413 or 415."""
    return form_and_files(0)[0]


def form_and_files(more_bytes: int) -> tuple[Fields, list[Upload]]:
    """Read an HTML form and the files in it, which may take so many bytes more. Raises 400, 413 or 415."""
    here = this_request()
    if here.mimetype not in FORMS:
        raise UnsupportedMediaType(f"Expected Content-Type: {' or '.join(FORMS)}.")
    body = _read(here, more_bytes)
    try:
        form, files = _multipart(here, body) if here.mimetype == FORMS[1] else (_urlencoded(body), [])
    except ValueError as exc:
        raise BadRequest("The form is broken or has too many fields.") from exc
    return Fields(form), files


def _urlencoded(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS))


def _multipart(here: Request, body: bytes) -> tuple[dict[str, str], list[Upload]]:
    parser = FormDataParser(lambda *_, **__: io.BytesIO(), max_form_parts=_MAX_FORM_FIELDS, silent=False)
    _, form, files = parser.parse(io.BytesIO(body), here.mimetype, len(body), here.mimetype_params)
    # A field for files in which nothing was chosen sends one without a name.
    found = [Upload(each.filename, each.read()) for _, each in files.items(multi=True) if each.filename]
    return form.to_dict(), found


def _read(here: Request, more_bytes: int) -> bytes:
    """Read the whole body; one more byte than allowed tells a chunked body that is too long from one that just fits."""
    settings = services().settings
    limit = settings.max_body_bytes + more_bytes
    length = here.content_length
    environ = here.environ
    if (length or 0) > limit:
        _pass_over(environ, length or 0)
        raise RequestEntityTooLarge
    seconds = settings.upload_timeout_s if more_bytes else settings.body_timeout_s
    cancel = _hang_up_in_time(environ.get("gunicorn.socket"), seconds)
    try:
        data: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except (OSError, ParseException) as exc:  # gunicorn: too late, the client went away, or a bad chunk
        raise BadRequest("The body could not be read.") from exc
    finally:
        cancel()
    if len(data) > limit:
        raise RequestEntityTooLarge
    return data


def _pass_over(environ: Mapping[str, Any], length: int) -> None:
    """Take in a body that is refused, within bounds: a connection that is closed on unread bytes is reset.

    Then the refusal would be lost, and a proxy would say 502 instead.
    """
    if length > _PASSED_OVER_BYTES:
        return
    cancel = _hang_up_in_time(environ.get("gunicorn.socket"), _PASSED_OVER_S)
    with suppress(OSError, ParseException):
        while environ["wsgi.input"].read(65_536):
            pass
    cancel()


def _hang_up_in_time(connection: socket.socket | None, seconds: float) -> Callable[[], object]:
    """Bound how long a body may take: gunicorn waits for ever, and only so many requests can wait."""
    if connection is None:
        return bool
    return after(seconds, partial(_hang_up, connection))


def _hang_up(connection: socket.socket) -> None:
    """Let whoever reads from it find its end; the answer can still be written."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
