"""What is read from an OpenAI-compatible server's chunks, on recorded streams and on the wires of several servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.chat import Delta, clean, parse, request_body
from relay.errors import UpstreamFailed, UpstreamNotAStream
from relay.sse import Decoder

KEYS = st.sampled_from(
    ["error", "message", "choices", "index", "delta", "content", "reasoning", "refusal", "finish_reason", "usage"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
RECORDED = Path(__file__).parent / "conformance" / "recorded"


def chunk(delta: object = None, **choice: object) -> str:
    return json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, **choice}]})


def answer(wire: bytes) -> list[Delta | None]:
    return [parse(event.data) for event in Decoder().feed(wire)]


def text(deltas: list[Delta | None]) -> str:
    return "".join(delta.content for delta in deltas if delta)


def first_choice_by_hand(wire: bytes, *names: str) -> str:
    chunks = [json.loads(line[6:]) for line in wire.decode().split("\n") if line.startswith("data: {")]
    deltas = [c["delta"] for one in chunks for c in one["choices"] if c["index"] == 0]
    return "".join(delta.get(name) or "" for delta in deltas for name in names)


# ---- the request -----------------------------------------------------------------------------------------------------


def test_a_request_always_streams_bounds_its_length_and_asks_for_usage() -> None:
    body = request_body("m", [{"role": "user", "content": "hi"}], 64)
    assert (body["stream"], body["max_tokens"], body["stream_options"]) == (True, 64, {"include_usage": True})
    assert (body["model"], body["messages"]) == ("m", [{"role": "user", "content": "hi"}])
    assert "temperature" not in body


def test_a_system_prompt_goes_first_and_a_temperature_is_asked_for_even_if_it_is_nought() -> None:
    body = request_body("m", [{"role": "user", "content": "hi"}], 64, "Be brief.", 0.0)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert body["temperature"] == 0


# ---- recorded streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.sse")), ids=lambda p: p.stem)
def test_recorded_answers_come_out_whole(path: Path) -> None:
    wire = path.read_bytes()
    deltas = answer(wire)
    assert deltas[-1] is None
    assert text(deltas) == first_choice_by_hand(wire, "content", "refusal")
    assert [d.finish_reason for d in deltas if d and d.finish_reason] in (["stop"], ["length"], ["tool_calls"])


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.sse")), ids=lambda p: p.stem)
def test_recorded_usage_comes_once_and_unaltered(path: Path) -> None:
    [usage] = [delta.usage for delta in answer(path.read_bytes()) if delta and delta.usage]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}


# ---- the wires of several servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "delta"),
    [
        (chunk({"role": "assistant", "content": None}, finish_reason=None), Delta()),  # llama.cpp, Xinference
        (chunk({"role": "assistant"}), Delta()),  # dasllama: no finish_reason key at all
        (chunk({"content": "Hi"}), Delta("Hi")),
        (chunk({"content": ""}, finish_reason="stop"), Delta(finish_reason="stop")),  # Xinference's last
        (chunk({}, finish_reason="length"), Delta(finish_reason="length")),  # llama.cpp's last
        (chunk(None, finish_reason=""), Delta()),
        (chunk({"reasoning_content": "hm", "content": None}), Delta(reasoning="hm")),
        (chunk({"reasoning": "hm"}), Delta(reasoning="hm")),
        (chunk({"reasoning": "hm", "reasoning_content": "hm"}), Delta(reasoning="hm")),
        (chunk({"content": None, "refusal": "No."}), Delta("No.")),
        ('{"choices": [], "usage": {"total_tokens": 3}}', Delta(usage={"total_tokens": 3})),
        ('{"choices": [], "usage": null, "error": null, "timings": {}}', Delta()),
        ('{"choices": [{"delta": {"content": "no index"}}]}', Delta("no index")),
        ('{"choices": [{"index": null, "delta": {"content": "null"}}]}', Delta("null")),
        ('{"choices": [{"index": null, "delta": {"role": "assistant", "content": "null"}}]}', Delta("null")),
    ],
)
def test_each_server_is_understood(data: str, delta: Delta) -> None:
    assert parse(data) == delta


def test_two_events_in_one_chunk_with_usage_behind_the_last() -> None:
    wire = f'data: {chunk({}, finish_reason="length")}\n\ndata: {{"choices":[],"usage":{{"total_tokens":9}}}}\n\n'
    assert answer((wire + "data: [DONE]\n\n").encode()) == [
        Delta(finish_reason="length"),
        Delta(usage={"total_tokens": 9}),
        None,
    ]


def test_crlf_frames_with_pings_between_them_are_read() -> None:
    wire = f": ping - 2026-11-22 11:54:43+00:00\r\n\r\ndata: {chunk({'content': 'É'})}\r\n\r\ndata: [DONE]\r\n\r\n"
    assert answer(wire.encode()) == [Delta("É"), None]


def test_only_the_first_of_several_choices_counts() -> None:
    other = '{"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}'
    both = '{"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]}'
    assert (parse(other), parse(both)) == (Delta(), Delta("a"))


@pytest.mark.parametrize(
    "error", ["The chat completion request failed.", {"message": "boom", "code": 500}, {}, "", [1]]
)
def test_an_error_in_the_stream_is_an_error(error: object) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        parse(json.dumps({"error": error}))
    assert str(caught.value) in ("The chat completion request failed.", "boom", "no message")
    assert caught.value.public == "The model server reported an error."


def test_an_error_beside_choices_is_an_error_unless_it_is_empty() -> None:
    assert parse('{"error": "", "choices": [{"delta": {"content": "a"}}]}') == Delta("a")
    with pytest.raises(UpstreamFailed, match="boom"):
        parse('{"error": {"message": "boom"}, "choices": []}')


@pytest.mark.parametrize(
    "data",
    ["", "hello", "<html>", "[]", "1", "null", '"text"', "{", '{"a": NaN}', "[" * 100_000, '{"a":' * 5000, "\ud800"],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_json_object_is_no_stream(data: str) -> None:
    with pytest.raises(UpstreamNotAStream):
        parse(data)


@pytest.mark.parametrize(
    "choices", [None, 1, "x", {}, [None], [[]], [{"index": 0}], [{"delta": "x"}], [{"delta": {"content": 5}}]]
)
def test_parts_of_the_wrong_type_count_as_empty(choices: object) -> None:
    assert parse(json.dumps({"choices": choices})) == Delta()


def test_usage_is_numbers_and_groups_of_numbers_only() -> None:
    deep: Any = {"a": {"b": {"c": 1}, "n": 2}, "total_tokens": 3, "who": "x\0", "cost": 0.5, "none": None}
    assert parse(json.dumps({"usage": deep})) == Delta(usage={"a": {"n": 2}, "total_tokens": 3, "cost": 0.5})


# ---- text that cannot be carried -------------------------------------------------------------------------------------


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        orjson.loads(chunk({"content": "a\ud83d"}))
    assert parse(chunk({"content": "a\ud83d"})) == Delta("a\ufffd")


def test_a_whole_surrogate_pair_is_its_character() -> None:
    assert parse(r'{"choices": [{"delta": {"content": "\ud83d\ude00"}}]}') == Delta("😀")


def test_nul_is_dropped_from_content_and_reasoning() -> None:
    assert parse(chunk({"content": "a\0b", "reasoning": "\0c"})) == Delta("ab", "c")


@given(st.text(st.characters() | st.sampled_from("\0\ud800\udbff\udc00\udfff")))
@settings(deadline=None)
def test_clean_text_can_always_be_carried_and_clean_text_stays(dirty: str) -> None:
    cleaned = clean(dirty)
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned == clean(cleaned)
    assert len(cleaned) == len(dirty) - dirty.count("\0")


@given(st.recursive(LEAVES, lambda parts: st.lists(parts) | st.dictionaries(KEYS, parts)))
@settings(deadline=None)
def test_any_json_gives_a_delta_or_one_of_two_errors(value: object) -> None:
    try:
        delta = parse(json.dumps(value))
    except (UpstreamFailed, UpstreamNotAStream):
        return
    assert delta is not None
    orjson.dumps(delta._asdict())
