"""Going on from a begun text: how each kind of server is asked, and a seam without a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.continuation import CONTINUE_FINAL_MESSAGE, NONE, PREFILL, Seam, continued, style_of

BODY = {"model": "m", "messages": [{"role": "user", "content": "q"}]}


@pytest.mark.parametrize(
    ("owner", "style"),
    [("llamacpp", PREFILL), ("library", PREFILL), ("vllm", CONTINUE_FINAL_MESSAGE), ("openai", NONE), ("", NONE)],
)
def test_a_server_is_known_by_the_owner_of_its_models(owner: str, style: str) -> None:
    assert style_of(owner) == style


def test_the_kept_text_is_the_assistants_beginning_without_its_last_blanks() -> None:
    asked = continued(BODY, "Once upon \n", PREFILL)
    assert asked["messages"] == [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Once upon"}]
    assert "continue_final_message" not in asked and len(BODY["messages"]) == 1


def test_vllm_is_told_to_go_on_with_it() -> None:
    asked = continued(BODY, "Once", CONTINUE_FINAL_MESSAGE)
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize("kept", ["", " ", "\n"])
def test_without_a_text_the_question_is_asked_as_it_is(kept: str) -> None:
    assert continued(BODY, kept, PREFILL) == BODY


@pytest.mark.parametrize(
    ("kept", "pieces", "joined"),
    [
        ("Once ", [" upon"], "Once upon"),
        ("Once", [" upon"], "Once upon"),
        ("Once\n\n", ["\n", "\n", "upon"], "Once\n\nupon"),
        ("Once ", ["upon"], "Once upon"),
        ("Once\n\n", ["\nupon"], "Once\n\nupon"),
        ("", [" upon"], " upon"),
        ("  ", ["   ", "upon"], "   upon"),
    ],
)
def test_blanks_at_the_seam_are_shown_once(kept: str, pieces: list[str], joined: str) -> None:
    seam = Seam(kept)
    assert kept + "".join(map(seam.join, pieces)) == joined


@given(st.text(" \nab", max_size=12), st.data())
def test_a_text_that_is_cut_anywhere_is_whole_again(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    kept = text[:cut]
    rest = text[len(kept.rstrip()) :]  # what a server says that goes on where it was asked to
    seam = Seam(kept)
    assert kept + "".join(map(seam.join, rest)) == text
