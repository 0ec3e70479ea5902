"""What the small answers of model servers say: errors, lists of models, Retry-After."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time
from typing import Any, NamedTuple

import orjson

from relay.abilities import takes_images
from relay.errors import UpstreamNotAStream

_LONGEST_S = 86_400.0  # that a server can ask to wait
_TOO_LONG = (b"exceed_context_size_error", b"context_length_exceeded", b"context length is")  # the last: vLLM


def bounded(pieces: Iterator[bytes], most: int) -> bytes:
    """Join pieces until they are `most` bytes; what comes after that is not asked for."""
    body = bytearray()
    while len(body) < most and (piece := next(pieces, b"")):
        body += piece
    return bytes(body[:most])


def too_long(body: bytes) -> bool:
    """Tell if an error's body says that the prompt does not fit into the model's context."""
    return any(mark in body for mark in _TOO_LONG)


def retry_after(text: str) -> float | None:
    """Read the header in both of its forms, a number of seconds and a date; None if it is neither."""
    with suppress(ValueError):
        seconds = float(text)
        return min(max(0.0, seconds), _LONGEST_S) if isfinite(seconds) else None
    with suppress(ValueError):
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - time()), _LONGEST_S)
    return None


class Listed(NamedTuple):
    """What a list of models says: their ids, the first one's owner, which of them take images, what each runs on."""

    ids: list[str]
    owner: str
    seeing: frozenset[str]
    engines: dict[str, str]


def model_list(body: bytes) -> Listed:
    """Read the answer to GET /models; raises UpstreamNotAStream."""
    whole: Any = None
    with suppress(orjson.JSONDecodeError):
        whole = orjson.loads(body)
    lists = [whole.get("data"), whole.get("models")] if isinstance(whole, dict) else [whole]
    listed = next(filter(None, lists), [] if isinstance(whole, dict) else whole)
    if not isinstance(listed, list):
        raise UpstreamNotAStream(f"expected a list of models as JSON, got {body[:80]!r}")
    items = _items(listed)
    owner = items[0].get("owned_by") if items else ""
    seeing = frozenset(_model_id(item) for each in lists for item in _items(each) if takes_images(item))
    engines = {_model_id(item): engine for item in items if isinstance(engine := item.get("model_engine"), str)}
    ids = [found for item in items if (found := _model_id(item))]
    return Listed(ids, owner if isinstance(owner, str) else "", seeing, engines)


def _items(listed: object) -> list[dict[str, Any]]:
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _model_id(item: dict[str, Any]) -> str:
    # OpenAI says `id`; llama.cpp's second list and Ollama's own say `model` or `name`.
    found = item.get("id") or item.get("model") or item.get("name")
    return found if isinstance(found, str) else ""
