"""The branches of a conversation: which way leads to a message, and through it, and what are its other versions."""

from __future__ import annotations

import pytest

from answers.branches import Message, through, upto, versions
from relay.errors import NotFound

# Two questions at the root; the first has two answers, and the first of those was gone on with last.
#   q1 ─ a1 ─ q3 ─ a3
#      └ a2
#   q2 ─ b1
MADE = [("q1", None), ("a1", "q1"), ("a2", "q1"), ("q2", None), ("b1", "q2"), ("q3", "a1"), ("a3", "q3")]
TREE: list[Message] = [{"id": id_, "parent": parent} for id_, parent in MADE]


def ids(way: list[Message]) -> str:
    return " ".join(each["id"] for each in way)


@pytest.mark.parametrize(
    ("message", "way"),
    [
        (None, "q1 a1 q3 a3"),
        ("q1", "q1 a1 q3 a3"),
        ("a1", "q1 a1 q3 a3"),
        ("a2", "q1 a2"),
        ("q2", "q2 b1"),
        ("a3", "q1 a1 q3 a3"),
    ],
)
def test_the_branch_through_a_message_goes_on_to_the_newest_below_it(message: str | None, way: str) -> None:
    assert ids(through(TREE, message)) == way


@pytest.mark.parametrize(("message", "way"), [("q1", "q1"), ("a1", "q1 a1"), ("b1", "q2 b1")])
def test_the_branch_up_to_a_message_ends_with_it(message: str, way: str) -> None:
    assert ids(upto(TREE, message)) == way


def test_the_newest_below_a_message_need_not_be_below_the_newest_that_follows_it() -> None:
    assert ids(through([*TREE[:3], *TREE[5:]], "q1")) == "q1 a1 q3 a3"


def test_an_empty_conversation_has_an_empty_branch() -> None:
    assert through([]) == []


@pytest.mark.parametrize("message", ["", "q9"])
def test_a_message_that_is_not_there_is_not_found(message: str) -> None:
    for way in (upto, through):
        with pytest.raises(NotFound):
            way(TREE, message)


def test_versions_of_each_other_follow_the_same_message() -> None:
    assert versions(TREE) == {None: ["q1", "q2"], "q1": ["a1", "a2"], "a1": ["q3"], "q2": ["b1"], "q3": ["a3"]}


def test_a_branch_of_any_length_is_found() -> None:
    chain: list[Message] = [{"id": str(i), "parent": str(i - 1) if i else None} for i in range(5000)]
    assert len(through(chain, "0")) == 5000
