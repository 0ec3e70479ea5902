"""The decoder against the tables of tests/conformance, and what the tables leave open."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

from relay.errors import EventTooLong
from relay.sse import Decoder, Event, WholeLines
from tests.sse_tables import HERE, LD, PEERS, WPT, LineRecorder, chunkings, decode, expected, table, unpack

BEHAVIOURS = json.loads((HERE / LD).read_text(encoding="utf-8"))["behaviours"]
# A wrong Content-Type is refused by whoever opens the connection; the decoder never sees those bytes.
DECODER_CASES = [
    p
    for p in table(PEERS, "decoder") + table(LD, "decoder") + table(WPT)
    if not p.values[0].get("expect_connection_failure")
]


@pytest.mark.parametrize("case", DECODER_CASES)
def test_decoder_gives_the_expected_events_in_every_chunking(case: dict[str, Any]) -> None:
    want = expected(case["expected_events"])
    for chunks in chunkings(unpack(case["chunks"])):
        decoder = LineRecorder(case.get("initial_last_event_id") or "")
        assert decode(chunks, decoder) == want
        assert case.get("expected_comments") in (None, decoder.comments())
        if "expected_last_event_id" in case:  # the LaunchDarkly table does not say
            assert (decoder.retry, decoder.last_event_id) == (case["expected_retry"], case["expected_last_event_id"])


@pytest.mark.parametrize("case", table(LD, "decoder-generated"))
def test_decoder_takes_events_of_many_megabytes_if_the_bound_allows(case: dict[str, Any]) -> None:
    recipe = case["generate"]
    text = random.Random(5).randbytes(recipe["length"] // 2 + 1).hex()[: recipe["length"]]
    wire = base64.b64decode(recipe["prefix_b64"]) + text.encode() + base64.b64decode(recipe["suffix_b64"])
    for size in (-(-len(wire) // recipe["writes"]), 16_384):
        chunks = [wire[i : i + size] for i in range(0, len(wire), size)]
        assert decode(chunks, Decoder(1 << 24)) == [Event(text)]


@pytest.mark.parametrize("path", sorted((HERE / "recorded").glob("*.sse")), ids=lambda p: p.stem)
def test_decoder_reads_recorded_streams_in_every_chunking(path: Path) -> None:
    wire = path.read_bytes()
    want = [Event(line[6:]) for line in wire.decode().split("\n") if line]
    assert want[-1].data == "[DONE]"
    assert all(decode(chunks) == want for chunks in chunkings([wire]))


@pytest.mark.parametrize("case", [c for c in table(WPT) if c.values[0].get("reconnect")])
def test_a_reconnection_begins_with_the_id_that_the_first_connection_left(case: dict[str, Any]) -> None:
    first = Decoder()
    first.feed(base64.b64decode(case["bytes"]))
    assert first.last_event_id == (case["reconnect"]["expected_request_last_event_id"] or "")
    if "server_then_sends" in case["reconnect"]:
        second = Decoder(last_event_id=first.last_event_id)
        got = second.feed(base64.b64decode(case["reconnect"]["server_then_sends"]))
        assert got == expected(case["reconnect"]["second_connection_events"])


@pytest.mark.parametrize("case", [pytest.param(b, id=b["name"]) for b in BEHAVIOURS if "first_connection_b64" in b])
def test_an_id_survives_a_drop_but_an_unfinished_block_does_not(case: dict[str, Any]) -> None:
    first = Decoder()
    first.feed(base64.b64decode(case["first_connection_b64"]))
    if "expected_last_event_id_header" in case:
        assert first.last_event_id == (case["expected_last_event_id_header"] or "")
    else:
        second = Decoder(last_event_id=first.last_event_id)
        got = second.feed(base64.b64decode(case["second_connection_b64"]))
        assert got == expected(case["expected_second_events"])


@pytest.mark.parametrize("case", table(PEERS, "line-splitter"))
def test_lines_are_split_alike_by_the_decoder_and_the_relay(case: dict[str, Any]) -> None:
    for chunks in chunkings(unpack(case["chunks"])):
        relay, decoder = WholeLines(), LineRecorder()
        whole = [relay.feed(chunk) for chunk in chunks]
        lines = [line.decode() for part in [*whole, relay.rest] for line in part.splitlines()]
        assert lines == case["expected_lines"]
        assert b"".join(whole) + relay.rest == b"".join(chunks)
        decode([*chunks, b"\n"], decoder)  # the decoder drops what no line end closes
        assert decoder.seen[: len(lines)] == case["expected_lines"]


def test_an_overlong_pending_line_is_an_error_for_good() -> None:
    case = next(c.values[0] for c in table(PEERS, "limit") if c.id.endswith("pending line"))
    first, second = unpack(case["chunks"])
    decoder = Decoder(case["limit"])
    assert decoder.feed(first) == []
    for chunk in (second, b"\n\n", b"data: hello\n\n"):
        with pytest.raises(EventTooLong):
            decoder.feed(chunk)


@pytest.mark.parametrize("case", [c for c in table(PEERS, "limit") if not c.id.endswith("pending line")])
def test_past_the_bound_nothing_is_kept_and_only_a_new_decoder_goes_on(case: dict[str, Any]) -> None:
    for chunks in chunkings(unpack(case["chunks"])):
        decoder = Decoder(case["limit"])
        with pytest.raises(EventTooLong):
            decode(chunks, decoder)
        assert not any(v for v in vars(decoder).values() if isinstance(v, (bytearray, str)))
    assert Decoder(16).feed(b"data: hello\n\n") == [Event("hello")]


# ---- what the tables leave open --------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", ["12 ", "+1", "-1", "1.5", "0x10", "", "\u0661", "9" * 5000])
def test_a_retry_that_is_no_plausible_number_is_ignored(digits: str) -> None:
    decoder = Decoder()
    decoder.feed(f"retry: {digits}\n".encode())
    assert decoder.retry is None


def test_an_event_does_not_wait_for_the_byte_behind_its_last_cr() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\r") == [Event("a")]
    assert decoder.feed(b"\ndata: b\r\n\r") == [Event("b")]


def test_the_relay_keeps_a_cr_back_until_it_knows_that_no_lf_follows() -> None:
    lines = WholeLines()
    assert [lines.feed(c) for c in (b"a\r", b"\n", b"b\r", b"c", b"\r\r")] == [b"", b"a\r\n", b"", b"b\r", b"c\r"]
    assert lines.rest == b"\r"


@pytest.mark.parametrize("wire", [b"ok\r\n: 345678\r\n: 3456789\n", b": 3456789", b"data: 789"])
@pytest.mark.parametrize("kind", [Decoder, WholeLines])
def test_a_line_over_the_bound_is_refused_in_every_chunking_and_for_good(
    kind: type[Decoder] | type[WholeLines], wire: bytes
) -> None:
    for chunks in chunkings([wire]):
        reader = kind(8)
        with pytest.raises(EventTooLong):
            [reader.feed(chunk) for chunk in chunks]
        with pytest.raises(EventTooLong):
            reader.feed(b"ok\n")
        assert not any(v for v in vars(reader).values() if isinstance(v, bytearray))


def test_an_event_of_short_lines_is_refused_when_together_they_are_over_the_bound() -> None:
    for chunks in chunkings([b"data: ab\ndata: cd\ndata: ef\n\n"]):
        with pytest.raises(EventTooLong):
            decode(chunks, Decoder(8))
    assert decode([b"data: ab\ndata: cd\n\n"], Decoder(8)) == [Event("ab\ncd")]


def test_a_line_at_the_bound_is_taken_in_every_chunking() -> None:
    for chunks in chunkings([b"data: 78\r\n\r\n"]):
        assert decode(chunks, Decoder(8)) == [Event("78")]
        assert b"".join(map(WholeLines(8).feed, chunks)) == b"data: 78\r\n\r\n"
