"""Every row of the table in docs/reliability.md with a few answers: nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from relay.sse import Event
from tests.faults.cluster import Cluster
from tests.faults.faults import FAULTS, Fault, try_out
from tests.faults.readers import Reader
from tests.faults.trial import Row, Verdict, difference

ANSWERS = 4
DELAY_MS = 8


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    """Start the set-ups when the first row needs them."""
    with contextlib.ExitStack() as open_:

        class Started(dict[str, Cluster]):
            def __missing__(self, setup: str) -> Cluster:
                folder = tmp_path_factory.mktemp(setup.replace(" ", "-"))
                self[setup] = open_.enter_context(Cluster(setup, folder, DELAY_MS))
                return self[setup]

        yield Started()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}, {fault.setup}")
def test_a_fault_loses_nothing_doubles_nothing_and_leaves_nothing_hanging(
    clusters: dict[str, Cluster], fault: Fault
) -> None:
    row = Row(fault.name, fault.setup, fault.may_ask)
    try_out(clusters[fault.setup], fault, ANSWERS, row)
    assert len(row.verdicts) == ANSWERS
    assert row.complaints() == []


# --- what counts must be able to find something -----------------------------------------------------------------------

ANSWER = "0"


def reader_of(*events: Event) -> Reader:
    reader = Reader([], ANSWER, patience_s=0, silence_s=0)
    for event in events:
        reader.take(event)
    return reader


def message(seq: int, text: str) -> Event:
    return Event(json.dumps({"content": text}), id=f"{ANSWER}:{seq}")


@pytest.mark.parametrize(
    ("text", "lost", "doubled"),
    [
        ("0123456789", 0, 0),
        ("012356789", 1, 0),
        ("01234456789", 0, 1),
        ("01234", 5, 0),
        ("", 10, 0),
        ("012x456789", 1, 1),
    ],
)
def test_lost_and_doubled_characters_are_counted(text: str, lost: int, doubled: int) -> None:
    assert difference("0123456789", text) == (lost, doubled)


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2,), (1, 2, 1)])
def test_a_reader_notes_a_seq_that_is_not_the_next_one(seqs: tuple[int, ...]) -> None:
    assert reader_of(*(message(seq, "x") for seq in seqs)).problems


def test_a_reader_notes_a_text_that_the_end_does_not_prove() -> None:
    done = Event(json.dumps({"chars": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}), "done", f"{ANSWER}:3")
    assert reader_of(message(1, "ab"), message(2, "c"), done).unproven() == []
    assert len(reader_of(message(1, "ab"), message(2, "d"), done).unproven()) == 1
    assert reader_of(message(1, "abc")).unproven() == ["it never ended"]


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"doubled": 1}, {"hanging": True}, {"asked": 3}, {"problems": ["?"]}])
def test_a_row_with_one_answer_that_is_not_whole_is_not_good(wrong: dict[str, Any]) -> None:
    good = Verdict(ANSWER, lost=0, doubled=0, hanging=False, asked=2, resets=0, went_on_s=0.0, problems=[])
    assert Row("", "", 2, [good]).is_good
    assert not Row("", "", 2, [good, replace(good, **wrong)]).is_good
