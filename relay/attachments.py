"""Files that come with a question: what a model is given of them, and what they cost, about.

A text file stands before the question in the same message, named and between fences that nothing in it can close:

    File: notes.md
    ```
    …
    ```

An image goes along as an `image_url` part with a `data:` URL. A model that takes none is told that there was one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

Content = str | list[dict[str, Any]]  # of a message, as OpenAI's API has it

IMAGE_TOKENS = 1000  # about; model servers scale what is larger down

_BACKTICKS = re.compile("`{3,}")
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")
_LATIN_CHARS = 4  # a token


class Attached(NamedTuple):
    """Hold a file of a message: `text`, or `data` for an image."""

    name: str
    type: str
    text: str | None
    data: bytes | None


def estimate(text: str) -> int:
    """Estimate the tokens of a text: one a Chinese, Japanese or Korean character, one for four others.

    Tokenizers differ by a third and more, so this is shown as what it is: about.
    """
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // _LATIN_CHARS)


def estimate_of(chars: int) -> int:
    """Estimate the tokens of so many characters of which nothing else is known."""
    return -(-chars // _LATIN_CHARS)


def prompt_tokens(messages: object) -> int:
    """Estimate the tokens of a request's messages, whatever shape they have."""
    contents = (
        [each.get("content") for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    )
    parts = [part for content in contents for part in (content if isinstance(content, list) else [content])]
    return sum(_part_tokens(part) for part in parts)


def _part_tokens(part: object) -> int:
    if isinstance(part, str):
        return estimate(part)
    text = part.get("text") if isinstance(part, dict) else None
    return estimate(text) if isinstance(text, str) else IMAGE_TOKENS if isinstance(part, dict) else 0


def with_files(prompt: str, files: Sequence[Attached]) -> Content:
    """Put files before a prompt. An image without its data is only named."""
    blocks = [_block(file) for file in files]
    text = "\n\n".join([*blocks, prompt])
    images = [file for file in files if file.data is not None]
    if not images:
        return text
    return [*map(_image, images), {"type": "text", "text": text}]


def joined(before: Content, after: Content) -> Content:
    """Make one message's content of two."""
    if isinstance(before, str) and isinstance(after, str):
        return f"{before}\n\n{after}"
    return [*_parts(before), *_parts(after)]


def _block(file: Attached) -> str:
    if file.data is not None:
        return f"Image: {file.name}"
    if file.text is None:
        return f"Image: {file.name} (not shown to this model)"
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(file.text))])
    return f"File: {file.name}\n{fence}\n{file.text}\n{fence}"


def _image(file: Attached) -> dict[str, Any]:
    data = base64.b64encode(file.data or b"").decode()
    return {"type": "image_url", "image_url": {"url": f"data:{file.type};base64,{data}"}}


def _parts(content: Content) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]
