"""What was asked for, counted: every request once, however it ends and whoever ends it. On both databases."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from answers import usage as usage_module
from answers.database import Database
from answers.file_kinds import read_file
from answers.files import Files
from answers.hidden import Hidden
from answers.migrate import migrate
from answers.store import Store
from answers.usage import NOT_COUNTED, Row, Spent, Usage, counted, today
from relay.attachments import estimate
from relay.errors import DatabaseError
from relay.poem import POEM
from relay.settings import Settings
from tests.apps import client, here
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT, TOKENS
from tests.servers import Server
from tests.test_kept import says
from tests.test_producers import begun, until
from tests.test_store import at_once
from web.callers import Caller
from web.services import Services

ALL = ("user",)


@pytest.fixture
def usage(database: Database) -> Usage:
    return Usage(database, 400)


def used(usage: Usage, user: str) -> tuple[int, ...]:
    """Tell a user's requests, tokens read and written, and requests that were estimated."""
    rows = usage.rows(today(), today(), ALL, 10, user)
    return rows[0][1:] if rows else (0, 0, 0, 0)


def test_an_answer_is_counted_as_the_model_server_has_counted_it(store: Store, usage: Usage, user: str) -> None:
    row, _ = store.begin(user, "x", "poem", token="tok")
    assert used(usage, user) == (0, 0, 0, 0)
    store.settle(row.id, "complete", Spent(7, 5), content="ab")
    assert usage.rows(today(), today(), usage_module.NAMES, 10, user) == [
        Row((today().isoformat(), user, "poem", "tok"), 1, 7, 5, 0)
    ]


def test_an_answer_that_is_settled_again_is_counted_once(store: Store, usage: Usage, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    at_once(lambda: store.settle(row.id, "complete", Spent(7, 5)))
    store.settle(row.id, "interrupted", Spent(70, 50))
    assert used(usage, user) == (1, 7, 5, 0)


def test_answers_that_end_at_once_are_all_counted(store: Store, usage: Usage, user: str) -> None:
    rows = iter([store.begin(user, "x", "poem")[0] for _ in range(8)])
    at_once(lambda: store.settle(next(rows).id, "complete", Spent(7, 5)))
    assert used(usage, user) == (8, 56, 40, 0)


def test_what_nobody_counted_is_estimated_from_all_that_the_model_has_read(
    store: Store, usage: Usage, database: Database, user: str
) -> None:
    files = Files(database, Settings())
    file = files.add(user, read_file("a.txt", b"word " * 100, 1000, str))
    first, _ = store.begin(user, "four", "poem", files=(file.id,))
    store.settle(first.id, "complete", Spent(0, 0), content="eight888")
    store.conversations.change(user, first.conversation, system="twelve121212")
    second, _ = store.begin(user, "四字", "poem", first.conversation)
    store.settle(second.id, "stopped", Spent(0, 9, estimated=True))
    assert used(usage, user) == (2, 1 + file.tokens + 2 + 3 + 2, 9, 1)


def test_an_answer_that_failed_before_its_first_word_costs_a_request_and_no_token(
    store: Store, usage: Usage, user: str
) -> None:
    store.settle(store.begin(user, "x", "poem")[0].id, "failed", NOT_COUNTED)
    assert used(usage, user) == (1, 0, 0, 0)


def test_what_is_deleted_was_asked_for_all_the_same(store: Store, usage: Usage, database: Database, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    store.settle(row.id, "complete", Spent(7, 5))
    hidden = Hidden(database, 0)
    hidden.hide(user, row.conversation)
    until(lambda: not hidden.purge() and store.answer(row.id) is None)
    assert used(usage, user) == (1, 7, 5, 0)


@pytest.mark.parametrize("number", [None, -1, 1e30, 10**30, True, "4"])
def test_what_is_no_count_is_not_taken_for_one(number: object) -> None:
    assert counted({"prompt_tokens": 3, "completion_tokens": number}) is None and counted(None) is None


def test_rows_are_added_up_by_what_is_asked_for(usage: Usage, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for day, model, tokens in ((1, "a", 5), (1, "b", 70), (2, "a", 5), (9, "a", 1000)):
        monkeypatch.setattr(usage_module, "today", lambda day=day: date(2026, 1, day))
        usage.record(user, "", model, Spent(tokens, 1, day == 2))
    first, last = date(2026, 1, 1), date(2026, 1, 2)
    assert [row.name for row in usage.rows(first, last, ("day",), 9, user)] == [("2026-01-01",), ("2026-01-02",)]
    by_model = [Row(("b",), 1, 70, 1, 0), Row(("a",), 2, 10, 2, 1)]
    assert usage.rows(first, last, ("model",), 9, user) == by_model
    assert usage.rows(first, last, ("model",), 1, user) == by_model[:1]
    assert by_model[0].tokens == 71


def test_requests_are_in_the_database_within_moments_in_as_few_commits_as_it_takes(
    database: Database, usage: Usage, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "CARRY_S", 0.1)
    commits: list[object] = []
    real = database.write
    monkeypatch.setattr(database, "write", lambda work: commits.append(work) or real(work))
    for _ in range(30):
        usage.record(user, "", "poem", Spent(3, 2))
    another_worker = Usage(database, 400)
    until(lambda: used(another_worker, user) == (30, 90, 60, 0))
    assert 1 <= len(commits) <= 3


def test_what_the_database_does_not_take_is_written_when_it_is_back(
    database: Database, usage: Usage, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_work: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(database, "write", fails)
    usage.record(user, "", "poem", Spent(3, 2))
    with pytest.raises(DatabaseError):
        usage.carry()
    usage.close()  # says that it is lost, and keeps it as long as it lives
    usage.record(user, "", "poem", Spent(3, 2, estimated=True))
    monkeypatch.undo()
    assert used(usage, user) == (2, 6, 4, 1)


def test_names_are_kept_within_bounds_while_the_database_is_away(
    usage: Usage, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "_MOST_KEPT", 2)
    for model in ("a", "b", "c", "a"):
        usage.record(user, "", model, Spent(1, 1))
    first = today()
    assert usage.rows(first, first, ("model",), 9, user) == [Row(("a",), 2, 2, 2, 0), Row(("b",), 1, 1, 1, 0)]


def test_a_model_s_name_that_no_database_carries_costs_nobody_his_count(usage: Usage, user: str) -> None:
    for model in ("\ud800", "a\0b", "c" * 10_000, "fine"):
        usage.record(user, "", model, Spent(1, 1))
    rows = usage.rows(today(), today(), ("model",), 10, user)
    assert {row.name for row in rows} == {("\ufffd",), ("ab",), ("c" * 200,), ("fine",)}


@pytest.mark.parametrize("names", [("day",), ("model",), usage_module.NAMES])
def test_one_users_rows_are_found_without_those_of_all_others(tmp_path: Path, names: tuple[str, ...]) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    with closing(Database(settings)) as database:
        query = Usage(database, 400)._between(date(2026, 1, 1), date(2026, 2, 1), "me", names)
        asked = query.compile(database.engine, compile_kwargs={"literal_binds": True})
        plan = database.query(lambda connection: connection.execute(text(f"EXPLAIN QUERY PLAN {asked}")).all())
    assert "SEARCH usage USING INDEX ix_usage_user_day (user=? AND day>? AND day<?)" in str(plan)


def test_old_rows_are_deleted_some_at_a_time(database: Database, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Usage(database, 30)
    while kept.purge():  # other tests share the database
        pass
    now = today()
    for age in (40, 35, 31, 30, 0):
        monkeypatch.setattr(usage_module, "today", lambda age=age: now - timedelta(days=age))
        kept.record(user, "", "poem", Spent(1, 1))
    kept.carry()
    monkeypatch.setattr(usage_module, "_AT_ONCE", 3)
    assert kept.purge() and not kept.purge()
    assert len(kept.rows(date(2000, 1, 1), now, ("day",), 9, user)) == 2


@pytest.fixture
def worker(database_settings: Settings) -> Iterator[Services]:
    """Make a worker whose poem takes four seconds."""
    url, folder = database_settings.database_url, database_settings.data_dir
    with client(Settings(data_dir=folder, database_url=url, poem_delay_ms=10, embedded_model=False)) as web:
        yield here(web)
        here(web).store.close()


def test_a_continuation_costs_what_it_has_added(worker: Services) -> None:
    user = uuid.uuid4().hex
    row = begun(worker, user=user)
    says(worker, row, 20)
    row = worker.producers.stop(row)
    written = estimate(row.content)
    assert used(worker.usage, user) == (1, estimate("x"), written, 1)
    worker.go_on(Caller(user, "tok"), row)
    until(lambda: state_of(worker.store, row.id) == "complete")
    by_token = {each.name: each for each in worker.usage.rows(today(), today(), ("token",), 9, user)}
    rest, done = by_token[("tok",)], worker.store.answer(row.id)
    assert done and done.usage and done.content == POEM and rest.requests == 1
    assert (rest.prompt_tokens, rest.completion_tokens) == (
        done.usage["prompt_tokens"],
        done.usage["completion_tokens"],
    )


def state_of(store: Store, answer: str) -> str:
    row = store.answer(answer)
    assert row
    return row.state


def cost_of(worker: Services) -> tuple[int, ...]:
    """Ask the misbehaving server's model to the end; tell what that has cost."""
    user = uuid.uuid4().hex
    row = worker.begin(Caller(user), "x", "mock")
    until(lambda: state_of(worker.store, row.id) != "running")
    return used(worker.usage, user)


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("normal", (1, 3, len(TOKENS), 0)),
        ("finish-null", (1, 1, estimate(TEXT), 1)),
        ("500", (1, 0, 0, 0)),
        ("cut-clean", (1, 1, estimate(TEXT), 1)),
    ],
)
def test_every_end_is_counted(
    tmp_path: Path, upstream_server: MisbehavingServer, path: str, cost: tuple[int, ...]
) -> None:
    settings = Settings(
        data_dir=tmp_path, upstream_url=f"{upstream_server.url}/{path}", embedded_model=False, upstream_continues="none"
    )
    with client(settings) as web:
        assert cost_of(here(web)) == cost


def test_an_answer_whose_worker_is_killed_is_counted_once(
    tmp_path: Path, database_settings: Settings, database: Database, user: str
) -> None:
    settings = {"TALKABOUT_DATABASE_URL": database_settings.database_url, "TALKABOUT_POEM_DELAY_MS": "15"}
    settings |= {"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": f"{user}=secret"}
    store, usage = Store(database), Usage(database, 400)
    with Server(tmp_path, workers=2, **settings) as server, requests.Session() as session:
        session.headers["Authorization"] = "Bearer secret"
        begun = session.post(f"{server.url}/api/answers", json={"prompt": "x"}, timeout=10).json()["answer"]
        until(lambda: session.get(f"{server.url}/api/answers/{begun}", timeout=10).json()["chars"] > 20)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        until(lambda: state_of(store, begun) == "complete")
        requests_, read, written, estimated = used(usage, user)
    assert (requests_, read, estimated) == (1, 1, 1) and abs(written - estimate(POEM)) <= 2
