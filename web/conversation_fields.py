"""What a request may say of a conversation."""

from __future__ import annotations

from answers.conversations import MAX_SYSTEM_CHARS, MAX_TITLE_CHARS, Changes
from web.fields import Fields
from web.services import services

_HOTTEST = 2.0  # the highest temperature that OpenAI's API knows


def conversation_fields(fields: Fields, no_title: str | None = None) -> Changes:
    """Take those that are given; `no_title` says what a title may be that is none. Raises FieldError."""
    given: Changes = {}
    if "title" in fields.values:
        given["title"] = fields.text("title", MAX_TITLE_CHARS, no_title)
    if "pinned" in fields.values:
        given["pinned"] = fields.flag("pinned")
    if "system" in fields.values:
        given["system"] = fields.text("system", MAX_SYSTEM_CHARS, default="")
    if "temperature" in fields.values:
        given["temperature"] = fields.number("temperature", 0, _HOTTEST)
    if "max_tokens" in fields.values:
        given["max_tokens"] = fields.whole("max_tokens", 1, services().settings.max_tokens)
    return given
