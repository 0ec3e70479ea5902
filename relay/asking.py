"""How a completion is asked for, and which replies to that are taken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from relay.body import Reply, pieces
from relay.errors import UpstreamBroken, UpstreamNotAStream, UpstreamRefused, UpstreamTimeout
from relay.line import Line, Timeouts
from relay.replies import bounded, retry_after, too_long
from relay.reply_errors import UpstreamNotJson

SHORT_S = 5.0  # for what is small: an error's body, the list of models
MAX_ERROR_BYTES = 65_536

_SHORTEST = 4  # what is shorter would be found in any words
_STREAM = "text/event-stream"
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json")
_ADDRESS = re.compile(rb"\b(?:\d{1,3}\.){3}\d{1,3}\b|\blocalhost\b|https?://")


def is_streamed(body: dict[str, Any]) -> bool:
    """Tell if a request asks for an event stream; else the reply is one JSON document."""
    return bool(body.get("stream"))


def written(body: dict[str, Any]) -> bytes:
    """Write a request's body; what orjson has no words for (long integers, half a surrogate pair) goes the long way."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return _written_anyway(body)


def _written_anyway(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":")).encode()
    except RecursionError as exc:
        raise UpstreamRefused(400, "the request is nested too deeply") from exc


def time_for(body: dict[str, Any], timeouts: Timeouts) -> Timeouts:
    """Give the limits of a request: a reply that is no stream begins only when all of it has been written."""
    return timeouts if is_streamed(body) else replace(timeouts, first_byte=timeouts.total)


def hides(key: str, base_url: str) -> Callable[[bytes], bool]:
    """Make what tells if a text holds the key, or an address of the network behind us: nobody outside may read that."""
    address = urlsplit(base_url)
    parts = (key, address.hostname, address.username, address.password)
    secrets = [secret.encode() for secret in parts if secret and len(secret) >= _SHORTEST]
    return lambda text: bool(_ADDRESS.search(text)) or any(secret in text for secret in secrets)


def check(reply: Reply, line: Line, streamed: bool, is_hidden: Callable[[bytes], bool]) -> None:
    """Raise UpstreamRefused for any status but 200, UpstreamNotAStream or UpstreamNotJson for another kind of body."""
    if reply.status != 200:
        said = _error_body(reply, line)
        pause = retry_after(reply.headers.get("retry-after", ""))
        refused = UpstreamRefused(reply.status, "POST /chat/completions", pause, too_long(said))
        refused.said = b"" if is_hidden(said) else said
        raise refused
    kind = reply.headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    if streamed and plain != _STREAM:
        raise UpstreamNotAStream(f"expected text/event-stream, got {kind[:100]!r}")
    if not streamed and not _JSON.fullmatch(plain):
        raise UpstreamNotJson(f"expected application/json, got {kind[:100]!r}")


def _error_body(reply: Reply, line: Line) -> bytes:
    line.hurry(SHORT_S)
    with suppress(UpstreamBroken, UpstreamTimeout):
        return bounded(pieces(reply.body), MAX_ERROR_BYTES)
    return b""
