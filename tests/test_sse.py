"""The encoder and the decoder against the tables of tests/conformance, and what the tables leave open."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.errors import BadEventField, EventTooLong
from relay.sse import PING, Decoder, Event, WholeLines, encode

HERE = Path(__file__).parent / "conformance"
LARGE = 16_384


def table(name: str, *kinds: str) -> list[Any]:
    cases = json.loads((HERE / name).read_text(encoding="utf-8"))["cases"]
    return [pytest.param(c, id=c["name"]) for c in cases if not kinds or c["kind"] in kinds]


PEERS = "peer-decoder-cases.json"
LD = "ld-contract-cases.json"
WPT = "wpt-eventsource.json"
BEHAVIOURS = json.loads((HERE / LD).read_text(encoding="utf-8"))["behaviours"]
# A wrong Content-Type is refused by whoever opens the connection; the decoder never sees those bytes.
DECODER_CASES = [
    p
    for p in table(PEERS, "decoder") + table(LD, "decoder") + table(WPT)
    if not p.values[0].get("expect_connection_failure")
]


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


# ---- the encoder -----------------------------------------------------------------------------------------------------


def our_bytes(given: dict[str, Any]) -> bytes:
    """Write what a peer's encoder was asked for with ours: `sep` is always LF, comments are always PING."""
    if "raw" in given:
        return WholeLines().feed(given["raw"].encode())
    comment = PING if "comment" in given else b""
    if "data" not in given:
        return comment
    data = json.dumps(given["data"], separators=(",", ":")) if given.get("json") else given["data"]
    return comment + encode(data, **{k: given[k] for k in ("event", "id", "retry") if k in given})


def our_line(call: list[Any]) -> bytes:
    """Return the line of one of our blocks that matches a peer's call for a single field."""
    name, value = (*call, None)[:2]
    if name in ("comment", "dispatch"):
        return PING if name == "comment" else encode("x")[-1:]
    block = encode(json.dumps(value)) if name == "data" else encode("x", **{name: value})
    return next(line + b"\n" for line in block.split(b"\n") if line.startswith(name.encode()))


@pytest.mark.parametrize("case", table(PEERS, "encoder"))
def test_what_the_encoder_writes_decodes_to_what_the_table_says(case: dict[str, Any]) -> None:
    given = case["input"]
    ours = b"".join(map(our_line, given["calls"])) if "calls" in given else our_bytes(given)
    for wire in (ours, base64.b64decode(case["expected_bytes"])):
        for chunks in chunkings([wire]):
            decoder = LineRecorder()
            assert decode(chunks, decoder) == expected(case["decodes_to"])
            assert decoder.retry == case["decodes_to_retry"]
            assert len(decoder.comments()) == len(case["decodes_to_comments"])
    assert decoder.comments() == case["decodes_to_comments"]


@pytest.mark.parametrize("case", table(PEERS, "text-map"))
def test_line_ends_in_data_arrive_as_line_feeds_and_none_is_lost(case: dict[str, Any]) -> None:
    [event] = decode([encode(case["input"])])
    assert event.data == case["input"].replace("\r\n", "\n").replace("\r", "\n")
    assert event.data.rstrip("\n") == case["expected"]


def test_fields_stand_in_a_fixed_order_with_the_id_last() -> None:
    wire = encode("a\nb", event="open", id="x:1", retry=2000)
    assert wire == b"retry: 2000\nevent: open\ndata: a\ndata: b\nid: x:1\n\n"


@pytest.mark.parametrize("case", table("our-encoder.json"))
def test_the_encoder_writes_the_very_bytes_that_the_browser_tests_read(case: dict[str, Any]) -> None:
    assert encode(**case["given"]) == case["wire"].encode()
    for chunks in chunkings([case["wire"].encode()]):
        decoder = Decoder()
        assert decode(chunks, decoder) == expected([case["decodes_to"]])
        assert decoder.retry == case["decodes_to_retry"]


@pytest.mark.parametrize("event", ["", "a\nb", "a\rb", "a\r\nid: 1", "a\0"])
def test_an_event_name_that_cannot_be_carried_is_refused(event: str) -> None:
    with pytest.raises(BadEventField):
        encode("x", event=event)


@pytest.mark.parametrize("id", ["", "a b", "a\n", "1\ndata: x", "\0", "…", "é", "x" * 129])
def test_an_id_that_cannot_be_carried_is_refused(id: str) -> None:
    with pytest.raises(BadEventField):
        encode("x", id=id)


def test_a_retry_is_whole_milliseconds() -> None:
    with pytest.raises(BadEventField):
        encode("x", retry=-1)
    with pytest.raises(TypeError):
        encode("x", retry="1000")  # type: ignore[arg-type]


def test_a_lone_surrogate_becomes_a_question_mark_and_a_nul_stays() -> None:
    assert encode("a\ud83d\0") == b"data: a?\0\n\n"


def test_unicode_line_separators_are_no_line_ends() -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    assert encode(text).count(b"\n") == 2
    assert decode([encode(text)]) == [Event(text)]


def test_a_ping_is_one_comment_line_that_dispatches_nothing() -> None:
    decoder = LineRecorder()
    assert decode([b"data: a\n", PING, b"data: b\n\n", PING], decoder) == [Event("a\nb")]
    assert decoder.comments() == [" ping", " ping"]


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


def test_the_relay_refuses_a_line_over_its_bound_in_every_chunking_and_takes_one_at_it() -> None:
    for chunks in chunkings([b"ok\r\n12345678\r\n123456789\n"]):
        lines = WholeLines(8)
        with pytest.raises(EventTooLong):
            [lines.feed(chunk) for chunk in chunks]
        with pytest.raises(EventTooLong):
            lines.feed(b"ok\n")
        assert lines.rest == b""
    wire = b"12345678\r\n"
    assert all(b"".join(map(WholeLines(8).feed, chunks)) == wire for chunks in chunkings([wire]))
