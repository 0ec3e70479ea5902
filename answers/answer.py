"""One answer as the numbered events of its journal, each with the id `<answer>:<seq>`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from answers.entries import Entry
from answers.usage import Spent, counted
from relay.attachments import estimate
from relay.chat import Delta
from relay.errors import TalkaboutError
from relay.sse import RETRY_MS, Decoder, encode, encode_line

_PHASE_OF = {"content": "writing", "reasoning": "thinking"}


def stream_of(answer: str) -> str:
    """Name the journal's stream of an answer."""
    return f"answer:{answer}"


def reset_block(answer: str, seq: int, content: str, reasoning: str) -> bytes:
    """Write the event that replaces all the text up to a seq."""
    data = orjson.dumps({"content": content, "reasoning": reasoning}).decode()
    return encode(data, "reset", f"{answer}:{seq}", RETRY_MS)


class Answer:
    """What an answer is so far; its methods add events to those that are `new`."""

    def __init__(self, answer: str, conversation: str, model: str) -> None:
        self.answer = answer
        self.conversation = conversation
        self.model = model
        self.max_chars = sys.maxsize  # of text; what is longer is cut
        self.seq = 0
        self.new: list[Entry] = []  # the events that nobody has taken yet, each encoded once
        self.is_lost = False  # the journal has not all of its text
        self.chars = 0
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.ttft_ms: int | None = None
        self.before = (0, 0)  # what it had when this run of it began: characters of text and of reasoning
        self._asked_behind = (0, 0)  # the same, when the model was asked the last time
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._phase = ""
        self._deltas = 0
        self._began = time.monotonic()
        self._first_token: float | None = None
        self._stream = stream_of(answer)
        self._id = answer.encode()

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self._content)

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return "".join(self._reasoning)

    @property
    def sha256(self) -> str:
        """The digest of the text so far, in UTF-8."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def restore(self, entries: Iterable[Entry]) -> bool:
        """Become what these events of the journal say, to go on behind them; false if that is not the whole text."""
        decoder = Decoder()
        is_whole = False
        for entry in entries:
            self.seq = entry.seq
            is_whole |= entry.seq == 1
            for event in decoder.feed(entry.block):
                data = orjson.loads(event.data)
                if event.event == "reset":
                    is_whole = True
                    self._forget()
                if event.event in ("message", "reset"):
                    self._keep("content", data.get("content", ""))
                    self._keep("reasoning", data.get("reasoning", ""))
        return is_whole

    def open(self) -> None:
        """Say what must be known before anything else: `open`, always with seq 1, and what the journal has lost."""
        if not self.seq:
            self._add({"answer": self.answer, "conversation": self.conversation, "model": self.model}, "open", RETRY_MS)
        if self.is_lost:
            self.reset(keep=True)

    def phase(self, name: str) -> None:
        """Enter a phase, unless it is the one that runs."""
        if name != self._phase:
            self._phase = name
            self._add({"phase": name}, "phase")

    def asked(self) -> None:
        """Note that the model is asked now for what follows; its own count of tokens will be of that alone."""
        self.usage, self._asked_behind = None, (self.chars, len(self.reasoning))

    def spent(self) -> Spent:
        """Say what this run has cost: as the model server counted it, if it counted the whole run, else estimated."""
        said = counted(self.usage) if self._asked_behind == self.before else None
        if said and said.completion:
            return said
        content, reasoning, (chars, thoughts) = self.content, self.reasoning, self.before
        new = estimate(content[chars:]) + estimate(reasoning[thoughts:])
        return said if said and not new else Spent(estimate(content[:chars]), new, estimated=True)

    def append(self, deltas: list[Delta]) -> None:
        """Take over what the model wrote: what came together becomes one event, where it is of one kind."""
        texts: list[tuple[str, str]] = []
        for content, reasoning, finish_reason, usage in deltas:
            if finish_reason:
                self.finish_reason = finish_reason
            if usage:
                self.usage = usage
            if reasoning:
                texts.append(("reasoning", reasoning))
            if content:
                texts.append(("content", content))
        self._deltas += len(texts)
        if len(texts) == 1:
            self._text(*texts[0])
            return
        for kind, run in groupby(texts, itemgetter(0)):
            self._text(kind, "".join([text for _, text in run]))

    def reset(self, *, keep: bool) -> None:
        """Say the whole text again, or with `keep` off begin anew with none."""
        if not keep:
            self._forget()
        self._add({"content": self.content, "reasoning": self.reasoning}, "reset")

    def done(self, state: str, error: TalkaboutError | None = None, facts: dict[str, Any] | None = None) -> None:
        """End: the terminal event, with which a reader can prove that it has everything; `facts` if they are known."""
        data = {"state": state, **(facts or self.facts())}
        if error is not None:
            data["error"] = {"code": error.code, "message": error.public, "retriable": error.retriable}
        self._add(data, "done", final=True)

    def facts(self) -> dict[str, Any]:
        """What the terminal event says of the text, and the database keeps."""
        return {
            "finish_reason": self.finish_reason,
            "usage": self.usage,
            "chars": self.chars,
            "sha256": self.sha256,
            "ttft_ms": self.ttft_ms,
            "tokens_per_s": self._tokens_per_s(),
        }

    def _tokens_per_s(self) -> float | None:
        """Rate of the tokens after the first, by the upstream's own count where it gives one, else one a delta."""
        counted = (self.usage or {}).get("completion_tokens")
        tokens = counted if counted and isinstance(counted, (int, float)) else self._deltas
        seconds = time.monotonic() - (self._first_token or self._began)
        return round((tokens - 1) / seconds, 1) if self._deltas and tokens > 1 and seconds > 0 else None

    def _text(self, kind: str, text: str) -> None:
        if kind == "content" and len(text) > self.max_chars - self.chars:
            text = text[: max(self.max_chars - self.chars, 0)]
        if not text:
            return
        if self._phase != _PHASE_OF[kind]:
            self.phase(_PHASE_OF[kind])
        if self._first_token is None:
            self._first_token = time.monotonic()
            self.ttft_ms = round((self._first_token - self._began) * 1000)
        self._keep(kind, text)
        self.seq += 1
        block = encode_line(orjson.dumps({kind: text}), b"%b:%d" % (self._id, self.seq))
        self.new.append(Entry(self._stream, self.seq, block))

    def _keep(self, kind: str, text: str) -> None:
        if kind == "reasoning":
            self._reasoning.append(text)
        elif text:
            self._content.append(text)
            self.chars += len(text)

    def _forget(self) -> None:
        self._content, self._reasoning, self.chars = [], [], 0

    def _add(
        self, data: dict[str, Any], event: str | None = None, retry: int | None = None, final: bool = False
    ) -> None:
        self.seq += 1
        block = encode(orjson.dumps(data).decode(), event, f"{self.answer}:{self.seq}", retry)
        self.new.append(Entry(self._stream, self.seq, block, final))
