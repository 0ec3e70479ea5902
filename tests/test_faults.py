"""Every row of the table in docs/reliability.md with a few answers: nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import FAULTS, Fault, try_out
from tests.faults.trial import Row

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
