"""How much a completion was, told from some of its blocks, the last among them: nothing is parsed while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from relay.errors import TalkaboutError


class OnEnd(Protocol):
    """What is called when a completion has ended, however."""

    def __call__(
        self, prompt: int | None, completion: int | None, chars: int, error: TalkaboutError | None = None
    ) -> None:
        """Take the upstream's count of tokens, None where it gave none, about how many characters, and what failed."""


BLOCKS_AT_THE_END = 32  # enough of a stream to tell it, where these alone are kept
_MOST = 10**12  # tokens; a count beyond it is none
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
AROUND = len(b"data: \n\n")
_DATA = (b"data: {", b"data:{")


def of_stream(blocks: Sequence[bytes], size: int) -> tuple[int | None, int | None, int]:
    """Tell it by some of a stream's blocks, the last ones among them, and its whole size in bytes.

    Of the blocks that are not given, those that hold text are taken as typical.
    """
    usage: dict[str, Any] = {}
    chars = of_texts = others = 0
    for line in [line for block in blocks for line in block.splitlines() if line.startswith(_DATA)]:
        document = line[line.index(b"{") :]
        if chunk := _read(document):
            if isinstance(found := chunk.get("usage"), dict):
                usage = found
            if said := _chars(chunk):
                chars += said
                of_texts += len(document) + AROUND
            else:
                others += len(document) + AROUND
    if sum(map(len, blocks)) < size:  # there were more
        chars = round(chars * (size - others) / (of_texts or 1))
    return tokens_in(usage.get("prompt_tokens")), tokens_in(usage.get("completion_tokens")), chars


def of_reply(body: bytes) -> tuple[int | None, int | None, int]:
    """Tell it by the whole of a reply that is no stream."""
    block = b"data: " + body.translate(None, b"\r\n")
    return of_stream([block], len(block))


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        chunk: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return chunk


def _chars(chunk: dict[str, Any]) -> int:
    """Count the characters that a chunk adds, to whatever: text, reasoning, the arguments of tools."""
    chars = 0
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():  # one call for each of 32 chunks, not one for each part
        part = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if isinstance(part, dict):
            texts = [text for name, text in part.items() if name in _TEXTS and type(text) is str]
            if "tool_calls" in part:
                texts += _arguments(part["tool_calls"])
            chars += len("".join(texts))
    return chars


def _arguments(tools: Any) -> list[str]:
    functions = objects([called.get("function") for called in objects(tools)])
    return [text for function in functions if type(text := function.get("arguments")) is str]


def objects(values: Any) -> list[dict[str, Any]]:
    """Take the objects of what should be a list of them; none if it is something else."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def tokens_in(value: Any) -> int | None:
    """Take a model server's count of tokens for what it is; None if it can be none."""
    return value if type(value) is int and 0 <= value <= _MOST else None
