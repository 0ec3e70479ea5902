"""What a durable completion has said so far, read back from the journal, and how another request goes on with it.

Only plain text can be gone on with: what a model would have said next to tools, several choices or a schema cannot be
taken up in its middle. While nothing is said yet, whatever was asked can be asked again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import orjson

from answers.entries import Entry
from relay import tally
from relay.chat import DONE
from relay.continuation import Seam
from relay.sse import Decoder, Event
from relay.tally import objects

# What a request may hold without shaping the text in ways that its second half could not keep to; and what it may say
# of that if it means nothing by it. Any other field may mean anything.
_HARMLESS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "repetition_penalty",
        "logit_bias",
        "user",
        "metadata",
        "store",
    ]
)
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "tools": (None, []),
    "functions": (None, []),
    "response_format": (None, {"type": "text"}),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
}
_LENGTHS = ("max_tokens", "max_completion_tokens")
_HEAD = ("id", "created", "model", "system_fingerprint")  # the same in each chunk of a completion


class Begun:
    """Read a stream's entries, which should be those from 1 to `last`."""

    def __init__(self, entries: Sequence[Entry], last: int) -> None:
        self.size = sum(len(entry.block) for entry in entries)
        self.said = 0  # as relay.tally measures it
        self.finished = False
        self._pieces: list[str] = []
        self._head: dict[str, Any] = {}
        self._is_plain = [entry.seq for entry in entries] == list(range(1, last + 1))
        decoder = Decoder(sys.maxsize)  # what we have written is bounded as a whole
        for entry in entries:
            for event in decoder.feed(entry.block):
                self.said += len(event.data) + tally.AROUND
                self._read(event)
        self.text = "".join(self._pieces)
        self._is_empty = not entries
        self._seam = Seam(self.text)

    def rest_of(self, body: dict[str, Any] | None) -> dict[str, Any] | None:
        """Give the request to go on with, behind the text so far; None if it cannot be gone on with."""
        if body is None or not self._is_plain:
            return None
        if not self.text:
            return body if self._is_empty or body.get("n") in (None, 1) else None
        return _shortened(body, len(self._pieces)) if _is_plain(body) else None

    def joined(self, data: str) -> str:
        """Write a chunk of the rest as one of the whole; nothing if it says nothing new."""
        chunk = _chunk(data)
        if self._is_empty or "choices" not in chunk:
            return data
        deltas = [delta for choice in objects(chunk["choices"]) for delta in objects([choice.get("delta")])]
        for delta in deltas:
            delta.pop("role", None)  # clients join what is said twice
            if isinstance(delta.get("content"), str):
                delta["content"] = self._seam.join(delta["content"])
        finished = any(choice.get("finish_reason") for choice in objects(chunk["choices"]))
        if deltas and not (finished or chunk.get("usage") or any(any(delta.values()) for delta in deltas)):
            return ""
        return orjson.dumps(chunk | self._head).decode()

    def _read(self, event: Event) -> None:
        chunk = _chunk(event.data)
        self._head = self._head or {name: chunk[name] for name in _HEAD if name in chunk}
        self._is_plain &= event.event == "message" and isinstance(chunk.get("choices"), list)
        for choice in objects(chunk.get("choices")):
            self._is_plain &= not (choice.get("index") or choice.get("logprobs"))
            self.finished |= bool(choice.get("finish_reason"))
            for delta in objects([choice.get("delta")]):
                text = delta.get("content") or ""
                others = any(value for name, value in delta.items() if name not in ("role", "content"))
                self._is_plain &= isinstance(text, str) and not others
                self._pieces += [text] if text and isinstance(text, str) else []


def chars_of(entries: Sequence[Entry]) -> int:
    """Tell how many characters these entries have said, about."""
    last = [entry.block for entry in entries[-tally.BLOCKS_AT_THE_END :]]
    return tally.of_stream(last, Begun(entries, len(entries)).said)[2]


def _is_plain(body: dict[str, Any]) -> bool:
    """Tell if a request is answered by text alone, and does not end with words of the assistant's already."""
    unusual = body.keys() - _HARMLESS
    messages = [message for message in objects(body.get("messages")) if message.get("role")]
    return all(body[name] in _NEUTRAL.get(name, ()) for name in unusual) and (
        bool(messages) and messages[-1]["role"] != "assistant"
    )


def _shortened(body: dict[str, Any], pieces: int) -> dict[str, Any]:
    """Ask for no more than is left of an answer's length: a piece was a token, or more."""
    return body | {name: max(1, body[name] - pieces) for name in _LENGTHS if type(body.get(name)) is int}


def _chunk(data: str) -> dict[str, Any]:
    try:
        chunk = {} if data.strip() == DONE else orjson.loads(data)
    except orjson.JSONDecodeError:
        chunk = {}
    return chunk if isinstance(chunk, dict) else {}
