"""Errors under /v1, in the shape that OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import orjson
from flask import Response, request

from relay.errors import UpstreamRefused
from web.statuses import retry_after

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_OUR_KEY_IS_WRONG = (401, 407)  # which is the operator's business, and not that of whoever asks


def is_openai() -> bool:
    """Tell if this request is one of OpenAI's API, whether there is such a route or not."""
    return request.path == "/v1" or request.path.startswith("/v1/")


def error_response(status: int, message: str, param: str | None = None, code: str | None = None) -> Response:
    """Make the response of an error; `param` names the field that is wrong."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": param, "code": code or _CODES.get(status)}
    return Response(orjson.dumps({"error": error}), status, mimetype="application/json")


def refused(error: UpstreamRefused) -> Response:
    """Pass on what the model server refuses: its status where the caller can do something about it, and its words."""
    status = _passed_on(error.status)
    said = _openai_shaped(error.said) if status == error.status else None
    if said is None:
        response = error_response(status, error.public, code=error.code)
    else:
        response = Response(orjson.dumps(said), status, mimetype="application/json")
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    else:
        response.headers.update(retry_after(status))
    return response


def _passed_on(status: int) -> int:
    is_callers = 400 <= status < 500 and status not in _OUR_KEY_IS_WRONG
    return status if is_callers or status in (503, 504) else 502


def _openai_shaped(body: bytes) -> dict[str, Any] | None:
    """Read an error of OpenAI's shape, with null for what it leaves out; None if it is none."""
    said: Any = None
    with suppress(orjson.JSONDecodeError):
        said = orjson.loads(body)
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    return {**said, "error": {"type": "invalid_request_error", "param": None, "code": None, **error}}
