"""The encoder against the tables of tests/conformance, and what it refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from relay.errors import BadEventField
from relay.sse import PING, Decoder, Event, WholeLines, encode
from tests.sse_tables import PEERS, LineRecorder, chunkings, decode, expected, table


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
