"""What the terminal event of an answer says of it, whatever the upstream said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answers.answer import Answer
from relay.chat import Delta
from relay.sse import Decoder


def done(*deltas: Delta) -> Any:
    answer = Answer("a", "c", "m")
    answer.append(list(deltas))
    answer.done("complete")
    return json.loads(Decoder().feed(answer.new[-1].block)[0].data)


@pytest.mark.parametrize("counted", [{"text": 5}, None, True, 7, 2.5])
def test_an_odd_count_of_tokens_takes_nobody_the_end(counted: object) -> None:
    said = done(Delta("hi"), Delta(usage={"completion_tokens": counted}))
    assert (said["state"], said["usage"]) == ("complete", {"completion_tokens": counted})


def test_an_answer_without_a_word_has_no_times() -> None:
    said = done(Delta(finish_reason="stop"))
    assert (said["chars"], said["ttft_ms"], said["tokens_per_s"]) == (0, None, None)


def test_one_token_has_no_rate() -> None:
    assert done(Delta("hi"))["tokens_per_s"] is None
    assert done(Delta("hi"), Delta(" you"))["tokens_per_s"] > 0


def test_thirty_pieces_of_one_kind_are_one_event() -> None:
    answer = Answer("a", "c", "m")
    answer.phase("writing")
    answer.new = []
    answer.append([Delta(str(number)) for number in range(30)])
    (entry,) = answer.new
    (event,) = Decoder().feed(entry.block)
    assert json.loads(event.data) == {"content": "".join(map(str, range(30)))}
    assert json.loads(event.data)["content"] == answer.content


def test_pieces_of_mixed_kinds_are_one_event_for_each_run() -> None:
    answer = Answer("a", "c", "m")
    thought, said = Delta(reasoning="t"), Delta("s")
    answer.append([thought] * 10 + [said] * 5 + [Delta()] + [said] * 4 + [thought] * 2 + [Delta("s", "t")])
    got = [event for entry in answer.new for event in Decoder().feed(entry.block)]
    texts = [json.loads(event.data) for event in got if event.event == "message"]
    assert texts == [{"reasoning": "t" * 10}, {"content": "s" * 9}, {"reasoning": "ttt"}, {"content": "s"}]
    phases = [json.loads(event.data)["phase"] for event in got if event.event == "phase"]
    assert phases == ["thinking", "writing"] * 2


def test_pieces_that_say_nothing_are_no_event() -> None:
    answer = Answer("a", "c", "m")
    answer.append([Delta(), Delta(finish_reason="stop"), Delta(usage={"completion_tokens": 1})])
    assert answer.new == [] and answer.finish_reason == "stop"
