"""What is asked of an OpenAI-compatible model server, and what a chunk of its answer says.

Servers differ in what they leave out, so a chunk is read leniently: what is missing, null or of another type counts as
empty. Only what is no JSON object at all, or says that it is an error, raises.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import orjson

from relay.errors import UpstreamFailed, UpstreamNotAStream

DONE = "[DONE]"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DETAIL_CHARS = 500


class Delta(NamedTuple):
    """Hold what one chunk adds to the first choice; `usage` is the server's own count of tokens."""

    content: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None


def request_body(
    model: str, messages: list[dict[str, Any]], max_tokens: int, system: str = "", temperature: float | None = None
) -> dict[str, Any]:
    """Build the body of a streamed chat completion; a system prompt goes first, a temperature only if there is one.

    `max_tokens` is always sent: there are servers that write to the end of the context without it, and one that goes on
    writing for a client that has gone.
    """
    body = {
        "model": model,
        "messages": [{"role": "system", "content": system}, *messages] if system else messages,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return body if temperature is None else {**body, "temperature": temperature}


def parse(data: str) -> Delta | None:
    """Read the data of one event of a streamed completion; None is the end, `[DONE]`.

    A refusal is text for the reader as the answer is. Raises UpstreamFailed for an error reported in the stream,
    UpstreamNotAStream for data that is no JSON object.
    """
    if data.strip() == DONE:
        return None
    try:
        chunk = orjson.loads(data)
    except ValueError:
        chunk = _load_anyway(data)
    if content := _only_content(chunk):
        return Delta(content)  # nearly always
    if not isinstance(chunk, dict):
        raise UpstreamNotAStream(f"expected a JSON object, got {data[:_DETAIL_CHARS]!r}")
    if "error" in chunk and (chunk["error"] or "choices" not in chunk):
        raise UpstreamFailed(_reason(chunk["error"]))
    choice, usage = _first_choice(chunk.get("choices")), chunk.get("usage")
    delta = _dict(choice.get("delta"))
    return Delta(
        _text(delta, "content") or _text(delta, "refusal"),
        _text(delta, "reasoning_content") or _text(delta, "reasoning"),
        _text(choice, "finish_reason") or None,
        counts(usage),
    )


def _only_content(chunk: Any) -> str:
    """Return the text of a chunk that says nothing else and is as it should be; of any other none."""
    try:
        (choice,) = chunk["choices"]
        delta = choice["delta"]
        content = delta["content"]
        if choice.get("index") or choice.get("finish_reason") or chunk.get("usage") or chunk.get("error"):
            return ""
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    return content if type(content) is str and len(delta) == 1 and "\0" not in content else ""


def clean(text: str) -> str:
    """Return text that UTF-8 and every database can carry: lone surrogates become U+FFFD, NULs go."""
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", ""))


def counts(usage: object) -> dict[str, Any] | None:
    """Take of a count of tokens the numbers and groups of numbers: readers are given nothing deeper or wider."""
    if not usage:
        return None
    found = {name: _numbers(value) if isinstance(value, dict) else value for name, value in _dict(usage).items()}
    return {name: value for name, value in found.items() if isinstance(value, (int, float, dict))} or None


def _load_anyway(data: str) -> object:
    # orjson refuses the escape of half a surrogate pair, which a model stopped inside an emoji does send. The standard
    # library reads it; written out and mended, orjson takes it: so every chunk has passed the same strict reader.
    try:
        return orjson.loads(_LONE_SURROGATE.sub("\ufffd", json.dumps(json.loads(data), ensure_ascii=False)))
    except (ValueError, RecursionError) as exc:
        raise UpstreamNotAStream(f"expected JSON, got {data[:_DETAIL_CHARS]!r}") from exc


def _reason(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return message[:_DETAIL_CHARS] if message and isinstance(message, str) else "no message"


def _first_choice(choices: object) -> dict[str, Any]:
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if isinstance(value, (int, float))}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(holder: dict[str, Any], name: str) -> str:
    # No lone surrogate has come through orjson.
    value = holder.get(name)
    return value.replace("\0", "") if value and isinstance(value, str) else ""
