"""The tables of tests/conformance, every way to cut a stream into chunks, and a decoder that shows its comments."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.sse import Decoder, Event

HERE = Path(__file__).parent / "conformance"
LARGE = 8192


def table(name: str, *kinds: str) -> list[Any]:
    cases = json.loads((HERE / name).read_text(encoding="utf-8"))["cases"]
    return [pytest.param(c, id=c["name"]) for c in cases if not kinds or c["kind"] in kinds]


PEERS = "peer-decoder-cases.json"
LD = "ld-contract-cases.json"
WPT = "wpt-eventsource.json"


class LineRecorder(Decoder):
    """Keep each line as the decoder sees it: comments are lines that it skips."""

    def __init__(self, last_event_id: str = "") -> None:
        super().__init__(last_event_id=last_event_id)
        self.seen: list[str] = []

    def lines(self, chunk: bytes) -> list[bytes]:
        lines = super().lines(chunk)
        self.seen += [line.decode("utf-8", "replace") for line in lines]
        return lines

    def comments(self) -> list[str]:
        return [line[1:] for line in self.seen if line.startswith(":")]


def unpack(chunks: list[str]) -> list[bytes]:
    return [base64.b64decode(c) for c in chunks]


def chunkings(chunks: list[bytes]) -> Iterator[list[bytes]]:
    """As given, whole, byte by byte, cut at each position (large ones: at each position, many at once)."""
    whole = b"".join(chunks)
    yield chunks
    yield [whole]
    yield [whole[i : i + 1] for i in range(len(whole))]
    if len(whole) <= LARGE:
        yield from ([whole[:i], whole[i:]] for i in range(1, len(whole)))
    else:
        yield from ([whole[:i], *(whole[j : j + 61] for j in range(i, len(whole), 61))] for i in range(1, 62))


def decode(chunks: list[bytes], decoder: Decoder | None = None) -> list[Event]:
    decoder = decoder or Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def expected(events: list[dict[str, str]]) -> list[Event]:
    return [Event(e["data"], e["type"], e["lastEventId"]) for e in events]
