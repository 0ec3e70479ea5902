"""Answers in the database: begun once, settled once, whoever comes from wherever. Each test runs on both databases."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from answers.database import Database
from answers.hidden import Hidden
from answers.migrate import migrate
from answers.prepared import Transaction
from answers.store import AnswerRow, Store
from answers.tree import ROOT
from relay.errors import Conflict, DatabaseError, NotFound, SettingError
from relay.settings import Settings
from tests.patched import run_patched
from tests.postgres import PostgresServer

T = TypeVar("T")
NOBODY = str(uuid.UUID(int=0))
STRANGE_IDS = ["", "x", "a\0b", "\ud800", NOBODY, NOBODY.upper() + "\n"]


def settled(store: Store, user: str, prompt: str, text: str, **more: str) -> AnswerRow:
    row, _ = store.begin(user, prompt, "poem", **more)
    return store.settle(row.id, "complete", content=text, chars=len(text))


def test_an_answer_begins_with_its_conversation_and_its_prompt(store: Store, user: str) -> None:
    row, new = store.begin(user, "What is\na poem?", "poem")
    assert new and (row.state, row.content, row.chars, row.adoptions) == ("running", "", 0, 0)
    conversation, messages = store.conversations.get(user, row.conversation)
    assert conversation.title == "What is a poem?"
    assert [(m["id"], m["parent"], m["role"]) for m in messages] == [
        (row.parent, None, "user"),
        (row.id, row.parent, "assistant"),
    ]


def test_the_same_answer_id_begins_one_answer(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem", answer=str(uuid.uuid4()))
    assert store.begin(user, "x", "poem", answer=row.id) == (row, False)
    assert len(store.conversations.list_(user).conversations) == 1


def test_an_answer_id_of_another_user_or_another_prompt_is_a_conflict(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    for who, prompt in ((user, "y"), (user + "2", "x")):
        with pytest.raises(Conflict):
            store.begin(who, prompt, "poem", answer=row.id)


def at_once(work: Callable[[], T], times: int = 8) -> list[T]:
    """Do the same in several threads that start together."""
    start = threading.Barrier(times)
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(lambda: (start.wait(), work())[1]) for _ in range(times)]]


def test_of_many_that_begin_the_same_answer_one_does(store: Store, user: str) -> None:
    answer = str(uuid.uuid4())
    results = at_once(lambda: store.begin(user, "x", "poem", answer=answer))
    assert sorted(new for _, new in results) == [False] * 7 + [True]
    assert len({row for row, _ in results}) == 1
    assert len(store.conversations.list_(user).conversations) == 1


RACE = """
import sys
from pathlib import Path
from answers.database import Database
from answers.store import Store
from relay.settings import Settings
folder, url, user, *ids = sys.argv[1:]
store = Store(Database(Settings(data_dir=Path(folder), database_url=url)))
print(sum(store.begin(user, "x", "poem", answer=answer)[1] for answer in ids))
"""


def test_of_many_processes_that_begin_the_same_answers_one_does_each(
    store: Store, database_settings: Settings, user: str
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(20)]
    command = [sys.executable, "-c", RACE, str(database_settings.data_dir), database_settings.database_url, user, *ids]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(run.communicate(timeout=60)[0]) for run in runs) == 20
    assert len(store.conversations.list_(user).conversations) == 20


def test_answers_begun_at_once_in_one_conversation_follow_each_other(store: Store, user: str) -> None:
    conversation = store.conversations.create(user)
    at_once(lambda: store.begin(user, "x", "poem", conversation.id), times=5)
    _, messages = store.conversations.get(user, conversation.id)
    assert [m["parent"] for m in messages] == [None, *(m["id"] for m in messages[:-1])]


def test_a_prompt_follows_the_newest_message(store: Store, user: str) -> None:
    first = settled(store, user, "one", "1")
    row, _ = store.begin(user, "two", "poem", first.conversation)
    assert store.history(row.id) == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
    ]


def test_a_prompt_with_a_parent_begins_a_branch(store: Store, user: str) -> None:
    first = settled(store, user, "one", "1")
    settled(store, user, "two", "2", conversation=first.conversation)
    row, _ = store.begin(user, "other", "poem", first.conversation, first.id)
    assert [message["content"] for message in store.history(row.id)] == ["one", "1", "other"]
    assert store.begin(user, "next", "poem", first.conversation)[0].parent != row.parent


def test_a_prompt_can_begin_the_conversation_anew(store: Store, user: str) -> None:
    first = settled(store, user, "one", "1")
    row, _ = store.begin(user, "uno", "poem", first.conversation, ROOT)
    assert store.history(row.id) == [{"role": "user", "content": "uno"}]


@pytest.mark.parametrize("deep", [False, True])
def test_the_same_prompt_below_the_same_parent_gets_one_more_answer(store: Store, user: str, deep: bool) -> None:
    root = settled(store, user, "one", "1")
    first = settled(store, user, "two", "2", conversation=root.conversation) if deep else root
    again, new = store.begin(user, "two" if deep else "one", "poem", root.conversation, root.id if deep else ROOT)
    assert new and again.parent == first.parent and again.id != first.id


def test_answers_without_a_text_are_left_out_of_the_history(store: Store, user: str) -> None:
    first, _ = store.begin(user, "one", "poem")
    store.settle(first.id, "failed", error="upstream_broken")
    row, _ = store.begin(user, "two", "poem", first.conversation)
    assert store.history(row.id) == [{"role": "user", "content": "one\n\ntwo"}]


@pytest.mark.parametrize("strange", [*STRANGE_IDS, None])
def test_what_is_not_there_or_anothers_is_not_found(store: Store, user: str, strange: str | None) -> None:
    mine = settled(store, user, "x", "y")
    theirs = settled(store, user + "2", "x", "y")
    for conversation, parent in ((strange or theirs.conversation, None), (mine.conversation, strange or theirs.id)):
        if (conversation, parent) != (mine.conversation, ROOT):
            with pytest.raises(NotFound):
                store.begin(user, "x", "poem", conversation, parent)


@pytest.mark.parametrize("strange", STRANGE_IDS)
def test_an_answer_that_is_not_there_is_not_found(store: Store, strange: str) -> None:
    assert store.answer(strange) is None and store.running_answers(strange) == []
    for call in (store.history, store.reopen, store.adopted, lambda answer: store.settle(answer, "stopped")):
        with pytest.raises(NotFound):
            call(strange)


def test_an_answer_id_must_be_a_uuid(store: Store, user: str) -> None:
    with pytest.raises(ValueError, match="no UUID in lower case: 'x'"):
        store.begin(user, "x", "poem", answer="x")


def test_an_answer_is_settled_once(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    usage = {"completion_tokens": 2, "details": {"cached": 1}}
    first = store.settle(row.id, "stopped", content="ab", reasoning="hm", usage=usage, chars=2, close_ms=3)
    assert (first.state, first.content, first.reasoning, first.usage, first.close_ms) == (
        "stopped",
        "ab",
        "hm",
        usage,
        3,
    )
    assert store.settle(row.id, "complete", content="abc") == first == store.answer(row.id)


def test_of_many_that_settle_an_answer_one_does(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    assert len(set(at_once(lambda: store.settle(row.id, "complete", content=uuid.uuid4().hex).content))) == 1


def test_an_answer_that_ended_early_can_go_on(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    store.adopted(row.id)
    store.settle(row.id, "interrupted", content="ab", chars=2, error="upstream_broken", close_ms=1)
    again = store.reopen(row.id)
    assert (again.state, again.content, again.error, again.adoptions) == ("running", "ab", None, 0)
    assert store.settle(row.id, "complete", content="abc").content == "abc"


def test_an_answer_that_runs_or_is_complete_cannot_go_on(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    for state in ("running", "complete"):
        with pytest.raises(Conflict, match=f"This answer is {state}"):
            store.reopen(row.id)
        store.settle(row.id, "complete")


def test_adoptions_are_counted_one_by_one(store: Store, user: str) -> None:
    row, _ = store.begin(user, "x", "poem")
    assert sorted(at_once(lambda: store.adopted(row.id))) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_answers_that_run_are_listed(store: Store, user: str) -> None:
    first = settled(store, user, "one", "1")
    row, _ = store.begin(user, "two", "poem", first.conversation)
    assert store.running_answers(first.conversation) == [row.id]


def test_what_no_database_can_hold_never_reaches_one(store: Store, user: str) -> None:
    row, _ = store.begin(user, "a\0b\ud83d", "po\0em")
    kept = store.settle(row.id, "complete", content="c\0\udc00", reasoning="\0", finish_reason="st\0op")
    assert (kept.model, kept.content, kept.reasoning, kept.finish_reason) == ("poem", "c\ufffd", "", "stop")
    assert store.history(row.id) == [{"role": "user", "content": "ab\ufffd"}]
    assert store.begin(user, "a\0b\ud83d", "poem", answer=row.id) == (kept, False)


def test_long_texts_of_every_script_come_back_as_they_were(store: Store, user: str) -> None:
    text = "愿你 🏔️ é\r\n\u2028'\"\\%_" * 20_000
    assert settled(store, user, text, text).content == text


def test_an_answer_of_a_conversation_that_was_deleted_for_good_is_gone(
    store: Store, database: Database, user: str
) -> None:
    row, _ = store.begin(user, "x", "poem")
    hidden = Hidden(database, 0)
    hidden.hide(user, row.conversation)
    hidden.purge()
    assert store.answer(row.id) is None


def test_a_connection_is_given_back_when_the_work_fails(database: Database) -> None:
    for run in (database.read, database.write):
        with pytest.raises(ZeroDivisionError):
            run(lambda _: 1 // 0)
        assert database.engine.pool.checkedout() == 0


def test_what_fails_leaves_nothing_behind(store: Store, user: str) -> None:
    with pytest.raises(NotFound):
        store.begin(user, "x", "poem", None, NOBODY)
    assert store.conversations.list_(user).conversations == []


def test_the_same_holds_under_gevent() -> None:
    run_patched("-k", "many_that or at_once or one_by_one or settled_once", __file__, timeout_s=300)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite:///x", "x", "postgresql+psycopg2://x/y", "postgresql://h:port/d"]
)
def test_a_url_that_names_no_database_is_a_setting_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError, match="TALKABOUT_DATABASE_URL: expected postgresql://"):
        Database(Settings(data_dir=tmp_path, database_url=url))


def test_both_spellings_of_postgresql_are_taken(tmp_path: Path) -> None:
    for scheme in ("postgres", "postgresql"):
        settings = Settings(data_dir=tmp_path, database_url=f"{scheme}://me:secret@127.0.0.1:9/d")
        with closing(Database(settings)) as database, pytest.raises(DatabaseError) as caught:
            Store(database).check()
        assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_a_database_error(tmp_path: Path) -> None:
    (tmp_path / "talkabout.sqlite3").write_bytes(b"this is no database" * 100)
    with closing(Database(Settings(data_dir=tmp_path))) as opened, pytest.raises(DatabaseError, match="not a database"):
        Store(opened).answer(NOBODY)


def test_a_locked_file_is_waited_for_then_a_database_error(tmp_path: Path, user: str) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    with closing(Database(settings)) as holder, closing(Database(settings)) as database:
        with holder.engine.execution_options(schema=True).begin(), pytest.raises(DatabaseError, match="locked"):
            Store(database).begin(user, "x", "poem")
        assert Store(database).begin(user, "x", "poem")[1]


def test_who_ends_an_answer_too_late_leaves_its_conversation_as_it_is(
    tmp_path: Path, postgres: PostgresServer, user: str
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres.new_database())
    migrate(settings)
    with closing(Database(settings)) as database, psycopg.connect(settings.database_url) as first:
        store = Store(database)
        row, _ = store.begin(user, "x", "poem")
        first.execute("UPDATE conversations SET changed_us = 7 WHERE id = %s", [row.conversation])
        first.execute("UPDATE messages SET state = 'stopped' WHERE id = %s", [row.id])
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(store.settle, row.id, "complete")
            while not _waits(postgres):
                time.sleep(0.01)
            first.commit()
        assert late.result().state == "stopped"
        assert store.conversations.find(user, row.conversation).changed_us == 7


def _waits(postgres: PostgresServer) -> bool:
    with psycopg.connect(postgres.url) as looking:
        return bool(looking.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall())


def test_the_store_works_again_after_postgresql_was_restarted(tmp_path: Path, user: str) -> None:
    with PostgresServer() as server:
        settings = Settings(data_dir=tmp_path, database_url=server.new_database())
        migrate(settings)
        with closing(Database(settings)) as database:
            row, _ = Store(database).begin(user, "x", "poem")
            server.stop()
            with pytest.raises(DatabaseError):
                Store(database).answer(row.id)
            server.start()
            assert Store(database).answer(row.id) == row


def test_postgresql_s_crash_in_a_transaction_is_one_error_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresServer() as server:
        settings = Settings(data_dir=tmp_path, database_url=server.new_database())

        def crash(transaction: Transaction) -> None:
            server.stop(signal.SIGQUIT)
            transaction.cursor.execute("SELECT 1")

        with closing(Database(settings)) as database:
            with pytest.raises(DatabaseError):
                database.read(crash)
            assert database.engine.pool.checkedout() == 0
    assert caplog.text == ""
