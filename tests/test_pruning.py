"""Pruning: what is old or too much goes, in the time between other things, and trouble with it troubles nobody."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from answers.pruning import Pruning
from answers.sqlite_journal import SqliteJournal
from relay.errors import DatabaseError
from relay.settings import Settings


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db")
    yield journal
    journal.close()


def publish(journal: SqliteJournal, count: int) -> None:
    for stream in ("a", "b"):
        for _ in range(count):
            journal.publish(stream, lambda seq: b"x" * 10_000, 10_000)
    time.sleep(0.02)


def test_what_is_older_than_the_operator_wants_goes(journal: SqliteJournal) -> None:
    publish(journal, 3)
    Pruning(journal, Settings(journal_keep_s=0.01, channel_keep_s=0.01)).look()
    assert journal.bounds("a") == (4, 3)


def test_the_longer_of_two_times_counts_for_all(journal: SqliteJournal) -> None:
    publish(journal, 3)
    Pruning(journal, Settings(journal_keep_s=0.01)).look()
    Pruning(journal, Settings(channel_keep_s=0.01)).look()
    assert journal.bounds("a") == (1, 3)


def test_past_its_size_the_journal_loses_its_oldest(journal: SqliteJournal) -> None:
    publish(journal, 150)
    pruning = Pruning(journal, Settings(journal_max_bytes=1 << 20))
    for _ in range(10):
        pruning.look()
    assert journal.bounds("a")[0] > 1 and journal.bounds("b")[0] <= journal.bounds("b")[1]


def test_it_rests_for_a_while_when_nothing_was_left(journal: SqliteJournal) -> None:
    pruning = Pruning(journal, Settings(journal_keep_s=0.01, channel_keep_s=0.01))
    pruning.look()
    publish(journal, 3)
    pruning.look()
    assert journal.bounds("a") == (1, 3)


def test_a_journal_that_is_locked_is_pruned_later(
    journal: SqliteJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(journal, 3)
    lock = sqlite3.connect(tmp_path / "journal.db")
    lock.execute("BEGIN IMMEDIATE")
    Pruning(journal, Settings(journal_keep_s=0.01, channel_keep_s=0.01)).look()
    lock.close()
    assert "old events stay for now" in caplog.text and journal.bounds("a") == (1, 3)


def test_deleted_conversations_go_as_long_as_there_are_some(journal: SqliteJournal) -> None:
    left = [True, True, False]
    pruning = Pruning(journal, Settings(), lambda: left.pop(0))
    for _ in range(5):
        pruning.look()
    assert left == []


def test_a_database_that_is_away_is_pruned_later(journal: SqliteJournal, caplog: pytest.LogCaptureFixture) -> None:
    def purge() -> bool:
        raise DatabaseError("away")

    Pruning(journal, Settings(), purge).look()
    assert "deleted conversations and files stay for now: away" in caplog.text
