"""What a durable completion has said so far, and whether a second request can go on with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answers.begun import Begun
from answers.entries import Entry
from relay import tally
from relay.chat import DONE
from tests.misbehaviours import CALL, LOGPROBS, TEXT, choice, event, events, opening, usage

HELLO: dict[str, Any] = {"model": "mock", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
ROLE = event({"role": "assistant", "content": ""})
WORD = event({"content": "Silence "})


def begun(*blocks: bytes, last: int | None = None) -> Begun:
    """Keep some events, each as an entry."""
    entries = [Entry("s", seq, block) for seq, block in enumerate(blocks, 1)]
    return Begun(entries, len(entries) if last is None else last)


def chunk(block: bytes) -> str:
    return block.decode().removeprefix("data: ").strip()


def test_a_text_is_gone_on_with() -> None:
    kept = begun(*opening())
    assert kept.text == TEXT and not kept.finished
    assert kept.rest_of(HELLO) == HELLO
    assert begun(*events()[:-1]).finished


def test_it_is_measured_as_it_was_when_it_was_written() -> None:
    blocks = opening()
    kept = begun(*blocks)
    assert kept.size == sum(map(len, blocks))
    assert kept.said == sum(len(block.decode()) - len("data: \n\n") + tally.AROUND for block in blocks)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"logprobs": True},
        {"guided_regex": "a+"},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "Well,"}]},
        {"messages": "x"},
    ],
)
def test_what_shapes_a_text_cannot_be_kept_to_by_its_second_half(more: dict[str, Any]) -> None:
    asked = HELLO | more
    assert begun(ROLE, WORD).rest_of(asked) is None
    assert begun().rest_of(asked) == asked


def test_what_means_nothing_is_in_nobody_s_way() -> None:
    more = {"tools": [], "response_format": {"type": "text"}, "n": 1, "logprobs": False, "temperature": 0, "stop": "#"}
    assert begun(ROLE, WORD).rest_of(HELLO | more) == HELLO | more


@pytest.mark.parametrize(
    "said",
    [
        event({"role": "assistant", "reasoning_content": "Hm."}),
        event({"tool_calls": [{"index": 0, **CALL}]}),
        event({"refusal": "No."}),
        choice(1, {"content": "another"}),
        choice(0, {"content": "Hi"}, logprobs=LOGPROBS),
        b"event: odd\n" + WORD,
        b"data: no JSON\n\n",
        b"data: 5\n\n",
    ],
)
def test_what_was_said_beside_text_cannot_be_gone_on_with(said: bytes) -> None:
    assert begun(ROLE, said, WORD).rest_of(HELLO) is None


@pytest.mark.parametrize("last", [1, 3])
def test_of_what_the_journal_has_lost_nobody_goes_on(last: int) -> None:
    assert begun(ROLE, WORD, last=last).rest_of(HELLO) is None


def test_while_nothing_is_said_the_same_is_asked_again() -> None:
    tools = HELLO | {"tools": [CALL]}
    assert begun(ROLE).rest_of(tools) == tools
    assert begun(ROLE).rest_of(HELLO | {"n": 2}) is None  # the roles of some choices were said
    assert begun(ROLE).rest_of(None) is None


def test_no_more_is_asked_for_than_is_left() -> None:
    kept = begun(ROLE, *[WORD] * 7)
    assert kept.rest_of(HELLO | {"max_tokens": 10, "max_completion_tokens": 5}) == HELLO | {
        "max_tokens": 3,
        "max_completion_tokens": 1,
    }


def test_the_rest_is_told_as_one_completion_with_what_was_said() -> None:
    kept = begun(ROLE, WORD)
    other: dict[str, Any] = {"id": "c2", "created": 2, "model": "another"}
    assert kept.joined(chunk(event({"role": "assistant", "content": ""}, **other))) == ""
    assert kept.joined(chunk(event({"content": " "}, **other))) == ""  # it was shown, and not sent
    joined = json.loads(kept.joined(chunk(event({"role": "assistant", "content": "is"}, **other))))
    assert joined == json.loads(chunk(event({"content": "is"})))
    last = json.loads(kept.joined(chunk(event({}, "stop", **other))))
    assert (last["id"], last["choices"][0]["finish_reason"]) == ("c1", "stop")
    assert json.loads(kept.joined(chunk(usage())))["usage"]
    assert kept.joined(DONE) == DONE and kept.joined("no JSON") == "no JSON"


def test_where_nothing_was_said_chunks_stay_as_they_are() -> None:
    assert [begun().joined(chunk(block)) for block in events()] == [chunk(block) for block in events()]
