"""Every attack of SECURITY.md's table with a few tries: nothing is broken, and no honest user has noticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.__main__ import ATTACKS, try_out
from tests.attacks.outcome import Attack, Outcome
from tests.attacks.target import Target

MANY = 40


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Start what is attacked."""
    with Target(tmp_path_factory.mktemp("attacked"), streams=500) as started:
        yield started


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_breaks_nothing_and_no_honest_user_notices(target: Target, attack: Attack) -> None:
    few = min(attack.size // 5, MANY)
    row = try_out(target, attack, few)
    assert row.outcome.tried >= few
    assert row.complaints() == []


@pytest.mark.parametrize(("status", "served"), [(200, False), (302, False), (500, True), (502, True)])
def test_what_must_not_be_served_counts_as_broken(status: int, served: bool) -> None:
    outcome = Outcome()
    outcome.status(status, "x", served=served)
    assert outcome.broken == [f"{status} for x"]
