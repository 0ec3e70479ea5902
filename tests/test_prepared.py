"""What the database is asked for one answer: each statement is made once, and few are needed."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, event, insert, select, update

from answers.database import Database
from answers.migrate import migrate
from answers.prepared import Prepared
from answers.store import Outcome, Store
from answers.tables import conversations, messages
from answers.tree import ROOT, is_id, new_id
from answers.usage import Spent
from relay.errors import DatabaseError
from relay.settings import Settings

OUTCOME: Outcome = {"content": "hello", "reasoning": "", "usage": {"completion_tokens": 2}, "chars": 5, "error": None}


@pytest.fixture
def said(tmp_path: Path) -> Iterator[tuple[Store, list[str]]]:
    """Keep answers in SQLite, and list what the database is told, by its first word."""
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    told: list[str] = []

    def listen(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(lambda statement: told.append(statement.split()[0]))

    with closing(Database(settings)) as database:
        event.listen(database.engine, "connect", listen)
        yield Store(database), told


def test_an_answer_begins_with_one_look_and_three_rows(said: tuple[Store, list[str]]) -> None:
    store, told = said
    store.begin("user", "hello", "poem")
    assert [word for word in told if word != "PRAGMA"] == ["BEGIN", "SELECT", *["INSERT"] * 3, "COMMIT"]


def test_an_answer_is_settled_and_counted_with_three_changes(said: tuple[Store, list[str]]) -> None:
    store, told = said
    first, row = (store.begin("user", "hello", "poem")[0] for _ in range(2))
    store.settle(first.id, "complete", Spent(1, 1), **OUTCOME)  # counts the first of that day
    told.clear()
    store.settle(row.id, "complete", Spent(1, 1), **OUTCOME)
    assert told == ["BEGIN", "UPDATE", "UPDATE", "UPDATE", "COMMIT"]


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_returned_without_a_look_is_what_a_look_finds(store: Store, user: str, deep: bool) -> None:
    first, _ = store.begin(user, "a", "poem")
    begun, _ = store.begin(user, "b", "poem", first.conversation, first.id if deep else ROOT)
    assert begun == store.answer(begun.id) and begun.within == store.conversations.find(user, begun.conversation)
    settled = store.settle(begun.id, "interrupted", **OUTCOME)
    assert settled == store.answer(begun.id) and settled.within == store.conversations.find(user, begun.conversation)
    again = store.reopen(begun.id)
    assert again == store.answer(begun.id) and again.within == store.conversations.find(user, begun.conversation)


def test_a_statement_runs_as_it_would_without_being_prepared(database: Database, user: str) -> None:
    row = {"id": new_id(), "user": user, "title": "100 % %s :x ? 愿", "created_us": 1, "changed_us": 2}
    add = Prepared(insert(conversations), *row)
    find = select(conversations).where(conversations.c.user == bindparam("owner"))
    rename = update(conversations).where(conversations.c.user == bindparam("owner")).returning(conversations.c.title)
    assert database.write(lambda transaction: add.run(transaction, **row)) == []
    prepared = database.read(lambda transaction: Prepared(find).first(transaction, owner=user))
    assert prepared == database.query(lambda connection: connection.execute(find, {"owner": user}).first())
    assert database.write(lambda transaction: Prepared(rename, "title").run(transaction, owner=user, title="x")) == [
        ("x",)
    ]


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": 2, "details": {"愿": [1.5, None]}}])
def test_json_goes_through_a_prepared_statement_and_back(store: Store, user: str, usage: dict[str, Any] | None) -> None:
    row, _ = store.begin(user, "x", "poem")
    assert store.settle(row.id, "complete", usage=usage).usage == usage
    found = store.answer(row.id)
    assert found and found.usage == usage
    assert store.conversations.get(user, row.conversation)[1][1]["usage"] == usage


def test_what_a_prepared_statement_violates_is_a_database_error(database: Database, user: str) -> None:
    row = {"id": new_id(), "conversation": new_id(), "position": 1, "role": "user", "content": "", "created_us": 1}
    add = Prepared(insert(messages), *row)
    with pytest.raises(DatabaseError, match=r"(?i)foreign.?key"):
        database.write(lambda transaction: add.run(transaction, **row))


def test_ids_are_uuids_that_follow_each_other_in_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert all(map(is_id, ids)) and len(set(ids)) == 1000
    milliseconds = [uuid.UUID(each).int >> 80 for each in ids]
    assert milliseconds == sorted(milliseconds) and abs(milliseconds[-1] / 1000 - time.time()) < 60
