"""One answer as the numbered events of its journal, each with the id `<answer>:<seq>`."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import orjson

from relay.chat import Delta
from relay.errors import TalkaboutError
from relay.sse import RETRY_MS, encode


class Answer:
    """What an answer is so far; each method returns the event that tells its reader, encoded once."""

    def __init__(self, answer: str, model: str) -> None:
        self.answer = answer
        self.model = model
        self.seq = 0
        self.chars = 0
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self._hash = hashlib.sha256()
        self._phase = ""
        self._deltas = 0
        self._began = time.monotonic()
        self._first_token: float | None = None

    def open(self) -> bytes:
        """Begin: always the event with seq 1."""
        data = {"answer": self.answer, "conversation": None, "model": self.model}
        return self._event(data, "open", RETRY_MS)

    def phase(self, name: str) -> bytes:
        """Enter a phase; nothing if it is the one that runs."""
        if name == self._phase:
            return b""
        self._phase = name
        return self._event({"phase": name}, "phase")

    def append(self, deltas: list[Delta]) -> bytes:
        """Take over what the model wrote."""
        blocks = []
        for delta in deltas:
            self.finish_reason = delta.finish_reason or self.finish_reason
            self.usage = delta.usage or self.usage
            if delta.reasoning:
                blocks += [self.phase("thinking"), self._text("reasoning", delta.reasoning)]
            if delta.content:
                blocks += [self.phase("writing"), self._text("content", delta.content)]
        return b"".join(blocks)

    def done(self, state: str, error: TalkaboutError | None = None) -> bytes:
        """End: the terminal event, with which a reader can prove that it has everything."""
        data: dict[str, Any] = {
            "state": state,
            "finish_reason": self.finish_reason,
            "usage": self.usage,
            "chars": self.chars,
            "sha256": self._hash.hexdigest(),
            "ttft_ms": None if self._first_token is None else round((self._first_token - self._began) * 1000),
            "tokens_per_s": self._tokens_per_s(),
        }
        if error is not None:
            data["error"] = {"code": error.code, "message": error.public, "retriable": error.retriable}
        return self._event(data, "done")

    def _text(self, kind: str, text: str) -> bytes:
        self._deltas += 1
        if self._first_token is None:
            self._first_token = time.monotonic()
        if kind == "content":
            self.chars += len(text)
            self._hash.update(text.encode())
        return self._event({kind: text})

    def _tokens_per_s(self) -> float | None:
        """Rate of the tokens after the first, by the upstream's own count where it gives one, else one a delta."""
        counted = (self.usage or {}).get("completion_tokens")
        tokens = counted if counted and isinstance(counted, (int, float)) else self._deltas
        seconds = time.monotonic() - (self._first_token or self._began)
        return round((tokens - 1) / seconds, 1) if self._deltas and tokens > 1 and seconds > 0 else None

    def _event(self, data: dict[str, Any], event: str | None = None, retry: int | None = None) -> bytes:
        self.seq += 1
        return encode(orjson.dumps(data).decode(), event, f"{self.answer}:{self.seq}", retry)
