"""How much of a model's context a prompt takes, by its size: nobody here has the model's tokenizer.

Natural text, in any language, has between three and eight bytes of UTF-8 a token in the usual vocabularies. So a prompt
of more than eight bytes for each token of the context surely does not fit and is refused; what lies between is left to
the server, which counts. The answer gets what a token of three bytes leaves of the context, but at least an eighth.
Images are not counted.
"""

from __future__ import annotations

from typing import Any

_MOST_BYTES = 8
_LIKELY_BYTES = 3
_LEAST_SHARE = 8
_LENGTHS = ("max_tokens", "max_completion_tokens")


def prompt_bytes(body: dict[str, Any]) -> int:
    """Count the bytes of the texts that a request gives the model to read."""
    messages = body.get("messages")
    listed = messages if isinstance(messages, list) else ()  # the server says what is wrong with anything else
    said = [message.get("content") for message in listed if isinstance(message, dict)]
    texts = [text for content in said for text in _texts(content)]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def fits(size: int, context: int) -> bool:
    """Tell if a prompt of so many bytes may fit into so many tokens; 0 tokens: nobody said how many there are."""
    return not context or size <= context * _MOST_BYTES


def capped(body: dict[str, Any], size: int, context: int) -> dict[str, Any]:
    """Ask for no longer an answer than there is likely to be room for behind a prompt of so many bytes.

    There are servers (vLLM) that refuse what prompt and answer together may take too much for.
    """
    room = max(context - size // _LIKELY_BYTES, context // _LEAST_SHARE, 1)
    over = {name: room for name in _LENGTHS if isinstance(body.get(name), int) and body[name] > room}
    return {**body, **over} if context and over else body


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return [text for text in parts if isinstance(text, str)]
