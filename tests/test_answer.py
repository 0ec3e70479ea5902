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
    return json.loads(Decoder().feed(answer.take()[-1].block)[0].data)


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
