"""The limit of answers per user: kept, without counting them each time."""

from __future__ import annotations

import threading

import pytest

from answers import room
from answers.room import Room


class Running:
    """Count what runs as the database does, and how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.looks = 0

    def __call__(self, _user: str) -> int:
        self.looks += 1
        return self.count


@pytest.fixture
def running() -> Running:
    return Running()


def test_one_worker_never_begins_more_than_the_limit(running: Running) -> None:
    here = Room(100, running)
    while here.take("user"):
        running.count += 1
    assert running.count == 100
    running.count -= 1
    assert here.take("user")


def test_far_from_the_limit_it_is_not_counted_each_time(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "COUNTED_FOR_S", 3600.0)
    here = Room(1000, running)
    for _ in range(200):
        assert here.take("user")
    assert running.looks == 1


def test_what_other_workers_begin_is_seen_after_a_while(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "COUNTED_FOR_S", 0.05)
    here = Room(1000, running)
    assert here.take("user")
    running.count = 1000
    threading.Event().wait(0.1)
    assert not here.take("user")


def test_each_user_has_a_limit_of_their_own(running: Running) -> None:
    counts = {"one": 3, "other": 0}
    here = Room(3, counts.__getitem__)
    assert not here.take("one") and here.take("other")


def test_users_that_are_gone_are_forgotten(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "COUNTED_FOR_S", 3600.0)
    monkeypatch.setattr(room, "_USERS", 2)
    here = Room(1000, running)
    for user in ("a", "b", "c", "a"):
        assert here.take(user)
    assert running.looks == 4
