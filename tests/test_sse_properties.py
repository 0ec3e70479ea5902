"""The decoder and the encoder against generated input, beside a reference that reads the standard word by word."""

from __future__ import annotations

import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import EventTooLong
from relay.sse import Decoder, Event, WholeLines, encode

RUN = settings(max_examples=400, deadline=None)
BITS = [
    b"data",
    b"data: ",
    b"data:",
    b"event: ",
    b"id: ",
    b"id",
    b"retry: 7",
    b": ",
    b":",
    b" ",
    b"x",
    b"\0",
    b"\xef\xbb\xbf",
]
BITS += [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    "é…😀".encode(),
    b"\xf0\x9f",
    b"\xff",
    "\u2028".encode(),
    b"data: {}\n\n",
    b"data: several\n\ndata: \n\ndata: events\n\n",
]
WIRES = st.lists(st.sampled_from(BITS) | st.binary(max_size=4), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(0, 120), max_size=12)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\r\n\0\u2028 :"), max_size=60)
NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n"), min_size=1, max_size=20)
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)


def cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(c, len(wire)) for c in cuts), len(wire)]
    return [wire[a:b] for a, b in pairwise(edges)]


def reference(wire: bytes) -> tuple[list[Event], str, int | None]:
    """Decode a whole stream as the standard tells it: text first, then lines, then fields."""
    events, last_id, id_buffer, retry, event_type, data = [], "", "", None, "", ""
    lines = re.split("\r\n|\r|\n", wire.decode("utf-8", "replace").removeprefix("\ufeff"))
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            last_id = id_buffer
            if data:
                events.append(Event(data[:-1], event_type or "message", last_id))
            event_type = data = ""
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            event_type = value
        elif name == "id" and "\0" not in value:
            id_buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, last_id, retry


@RUN
@given(WIRES, CUTS)
def test_any_bytes_in_any_chunking_decode_as_the_reference_does(wire: bytes, cuts: list[int]) -> None:
    decoder = Decoder()
    events = [event for chunk in cut(wire, cuts) for event in decoder.feed(chunk)]
    assert (events, decoder.last_event_id, decoder.retry) == reference(wire)


def first_error(wire: bytes, chunks: list[bytes], bound: int) -> bool:
    """Feed it all; return if the bound was passed, having checked what the decoder held in between."""
    decoder = Decoder(bound)
    for chunk in chunks:
        try:
            decoder.feed(chunk)
        except EventTooLong:
            return True
        finally:
            held = [len(v) for v in vars(decoder).values() if isinstance(v, (bytes, bytearray, str))]
            assert max(held) <= bound
    return False


@RUN
@given(WIRES, CUTS, st.integers(1, 24))
def test_the_bound_is_kept_and_passed_alike_in_every_chunking(wire: bytes, cuts: list[int], bound: int) -> None:
    whole = first_error(wire, [wire], bound)
    assert first_error(wire, cut(wire, cuts), bound) == whole
    assert first_error(wire, [wire[i : i + 1] for i in range(len(wire))], bound) == whole


@RUN
@given(TEXTS, st.none() | NAMES, st.none() | IDS, st.none() | st.integers(0, 10**9), CUTS)
def test_what_is_encoded_is_decoded(
    data: str, event: str | None, id: str | None, retry: int | None, cuts: list[int]
) -> None:
    decoder = Decoder()
    events = [e for chunk in cut(encode(data, event, id, retry), cuts) for e in decoder.feed(chunk)]
    assert events == [Event(re.sub("\r\n|\r", "\n", data), event or "message", id or "")]
    assert decoder.retry == retry


@RUN
@given(st.lists(st.text(max_size=20), max_size=8))
def test_no_text_can_end_its_block_or_begin_a_field(texts: list[str]) -> None:
    wire = b"".join(map(encode, texts))
    assert wire.count(b"\n\n") == len(Decoder().feed(wire)) == len(texts)
    assert all(line.startswith(b"data: ") for line in wire.split(b"\n") if line)


@RUN
@given(WIRES, CUTS)
def test_whole_lines_come_out_unaltered_and_end_where_lines_end(wire: bytes, cuts: list[int]) -> None:
    lines = WholeLines()
    parts = [lines.feed(chunk) for chunk in cut(wire, cuts)]
    assert b"".join(parts) + lines.rest == wire
    assert all(part.endswith((b"\n", b"\r")) for part in parts if part)
    splits = [len(b"".join(parts[: i + 1])) for i in range(len(parts))]
    assert not any(wire[at - 1 : at + 1] == b"\r\n" for at in splits if at)


def test_memory_stays_bounded_while_a_line_never_ends_and_is_given_back() -> None:
    decoder, piece = Decoder(1 << 16), b"x" * 64
    tracemalloc.start()
    try:
        with pytest.raises(EventTooLong):
            while True:
                decoder.feed(piece)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 16
    assert now < 1 << 15


def test_a_long_line_in_tiny_pieces_is_joined_once() -> None:
    wire = b"data: " + b"x" * 300_000 + b"\n\n"
    chunks = [wire[i : i + 3] for i in range(0, len(wire), 3)]
    decoder, lines = Decoder(), WholeLines()
    assert [e for c in chunks for e in decoder.feed(c)] == [Event("x" * 300_000)]
    assert b"".join(map(lines.feed, chunks)) == wire
