"""The document that an export in JSON is, read back: what is wrong with it is named, and nothing of it is trusted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from answers.imports import MAX_MESSAGES, Document
from answers.tables import messages
from answers.tree import NEW_ANSWER, now_us
from relay.chat import clean, counts
from web.conversation_fields import conversation_fields
from web.fields import FieldError, Fields
from web.file_documents import read_files

_ENDED = ("complete", "stopped", "interrupted", "failed")
_NAME_CHARS = 256
_MOST = (1 << 31) - 1  # what every database takes as a whole number
_FASTEST = 1e12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 253_402_300_799_000_000  # the year 9999
_NOTHING = dict.fromkeys(messages.c.keys())


def read_document(fields: Fields, max_tokens: int) -> Document:
    """Read a whole conversation; a bound of tokens that is not allowed here becomes `max_tokens`.

    Raises FieldError, which names a message's field as in `messages[3].role`.
    """
    asked = fields.whole("max_tokens", 1, _MOST)
    fields.values["max_tokens"] = min(asked, max_tokens) if asked else None
    given = conversation_fields(fields, no_title="")
    title = given.pop("title", "")
    found = fields.values.get("messages")
    if not isinstance(found, list) or len(found) > MAX_MESSAGES:
        raise FieldError("messages", f"The field messages must be a list of at most {MAX_MESSAGES} messages.")
    return Document(title, given, _when(fields), _messages(found))


def _messages(found: list[Any]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    unanswered: dict[str, int] = {}
    for number, message in enumerate(found):
        if not isinstance(message, dict):
            raise FieldError(f"messages[{number}]", f"messages[{number}] must be an object.")
        try:
            row = _message(Fields(message), rows)
        except FieldError as exc:
            raise FieldError(f"messages[{number}].{exc.field}", f"messages[{number}]: {exc.detail}") from exc
        rows[row["id"]] = row
        if row["role"] == "user":
            unanswered[row["id"]] = number
        else:
            unanswered.pop(row["parent"], None)
    for number in unanswered.values():
        raise FieldError(f"messages[{number}]", f"messages[{number}] is a prompt without an answer.")
    return list(rows.values())


def _message(fields: Fields, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    id_, role, parent = fields.text("id", _NAME_CHARS), fields.values.get("role"), fields.values.get("parent")
    if id_ in before:
        raise FieldError("id", "The field id must not be that of another message.")
    if role not in ("user", "assistant"):
        raise FieldError("role", "The field role must be user or assistant.")
    follows = before.get(parent) if isinstance(parent, str) else None
    follows_role = follows["role"] if follows else None
    if (parent is not None and follows is None) or follows_role not in _MAY_FOLLOW[role]:
        raise FieldError("parent", f"The field parent must be the id of {_BEFORE[role]} that stands before it.")
    row = {**_NOTHING, "id": id_, "parent": parent, "role": role, "created_us": _when(fields)}
    if role == "assistant":
        return {**row, **_answer(fields)}
    return {**row, "content": fields.text("content", _MOST), "files": read_files(fields.values.get("files"))}


_MAY_FOLLOW = {"user": (None, "assistant"), "assistant": ("user",)}
_BEFORE = {"user": "an answer", "assistant": "a prompt"}


def _answer(fields: Fields) -> dict[str, Any]:
    state, usage, content = fields.values.get("state"), fields.values.get("usage"), _said(fields, "content")
    if state == "running":  # it does not run here
        state = "interrupted" if content else "failed"
    if state not in _ENDED:
        raise FieldError("state", f"The field state must be one of {', '.join(_ENDED)}.")
    if not isinstance(usage, (dict, type(None))):
        raise FieldError("usage", "The field usage must be an object.")
    return {
        **NEW_ANSWER,
        "model": fields.text("model", _NAME_CHARS),
        "state": state,
        "content": content,
        "reasoning": _said(fields, "reasoning"),
        "finish_reason": _said(fields, "finish_reason") or None,
        "usage": counts(usage),
        "chars": len(content),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "ttft_ms": fields.whole("ttft_ms", 0, _MOST),
        "tokens_per_s": fields.number("tokens_per_s", 0, _FASTEST),
        "error": _said(fields, "error") or None,
    }


def _said(fields: Fields, name: str) -> str:
    """Take a text as it is, blank or not; null means absent, which is empty."""
    value = fields.values.get(name)
    if not isinstance(value, (str, type(None))):
        raise FieldError(name, f"The field {name} must be a string.")
    return clean(value or "")


def _when(fields: Fields) -> int:
    """Take the moment `created`, in microseconds; without one, now."""
    given = fields.values.get("created")
    try:
        when = now_us() if given is None else (datetime.fromisoformat(given) - _EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):  # no text; no time, or none with an offset
        when = -1
    if not 0 <= when <= _LATEST_US:
        raise FieldError("created", "The field created must be a time since 1970, as 2026-01-31T12:00:00Z.")
    return when
