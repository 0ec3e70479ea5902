"""Conversations: in both databases, and as the API shows them to their owner and to nobody else."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select, update
from sqlalchemy import text as sql

from answers.conversations import Conversation
from answers.database import Database
from answers.entries import Batch, Entry, News
from answers.export import as_markdown
from answers.hidden import Hidden
from answers.sqlite_journal import SqliteJournal
from answers.store import AnswerRow, Store
from answers.tables import conversations, messages
from answers.tree import title_of
from app import create_app
from relay.errors import NotFound
from relay.settings import Settings
from tests.apps import another, browser, here, news, owner, settled
from tests.misbehaving import MisbehavingServer
from web.callers import Caller

API = "/api/conversations"
NOBODY = str(uuid.UUID(int=0))
STRANGE_IDS = ["x", "a\0b", "\ud800", NOBODY, NOBODY + "\n"]


def titles(store: Store, user: str, q: str = "") -> list[str]:
    return [each.title for each in store.conversations.list_(user, q).conversations]


def left(database: Database, conversation: str) -> int:
    count = select(func.count()).where(messages.c.conversation == conversation)
    return int(database.query(lambda connection: connection.scalar(count)) or 0)


def test_the_last_changed_conversation_stands_first(store: Store, user: str) -> None:
    first, _, third = [store.conversations.create(user, title) for title in "abc"]
    assert titles(store, user) == ["c", "b", "a"]
    row, _ = store.begin(user, "x", "poem", first.id)
    assert titles(store, user) == ["a", "c", "b"]
    store.conversations.change(user, third.id, title="C")
    assert titles(store, user) == ["C", "a", "b"]
    store.settle(row.id, "complete")
    assert titles(store, user) == ["a", "C", "b"]


def test_pages_follow_each_other_without_a_gap(store: Store, user: str) -> None:
    made = [store.conversations.create(user, str(number)).title for number in range(7)]
    seen, before = [], None
    while page := store.conversations.list_(user, before=before, limit=3):
        seen += [each.title for each in page.conversations]
        before = page.before
        if before is None:
            break
    assert seen == made[::-1]


def test_conversations_changed_in_the_same_moment_are_told_apart(store: Store, user: str, database: Database) -> None:
    same = [Conversation(str(uuid.uuid4()), user, "", 1, 1) for _ in range(5)]
    database.migrate(lambda connection: connection.execute(insert(conversations), [vars(each) for each in same]))
    first = store.conversations.list_(user, limit=2)
    rest = store.conversations.list_(user, before=first.before)
    assert {each.id for each in first.conversations + rest.conversations} == {each.id for each in same}
    assert (len(rest.conversations), rest.before) == (3, None)


@pytest.mark.parametrize("cursor", ["", "x", "1", f"1-{NOBODY}x", f"-1-{NOBODY}", f"{'9' * 19}-{NOBODY}", "1-\0"])
def test_a_cursor_that_no_page_gave_is_refused(store: Store, user: str, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        store.conversations.list_(user, before=cursor)


def test_a_search_looks_into_titles_prompts_and_answers(store: Store, user: str) -> None:
    for title, prompt, text in (
        ("ÄPFEL", "b", "c"),
        ("t", "Grüne Äpfel", "c"),
        ("u", "b", "zwei äpfel"),
        ("v", "b", "c"),
    ):
        conversation = store.conversations.create(user, title)
        settled(store, user, prompt, text, conversation=conversation.id)
    assert titles(store, user, "äpfel") == ["u", "t", "ÄPFEL"]
    assert titles(store, user + "2", "äpfel") == []


@pytest.mark.parametrize("q", ["needle", "NEEDLE", "针", "Nädel"])
def test_a_search_that_looks_at_a_few_at_a_time_finds_all_in_order(
    store: Store, user: str, database: Database, q: str
) -> None:
    made = [
        Conversation(str(uuid.uuid4()), user, f"{i} needle 针 nÄDEL" if i % 7 == 3 else f"{i}", 1, i)
        for i in range(300)
    ]
    database.migrate(lambda connection: connection.execute(insert(conversations), [vars(each) for each in made]))
    seen, before = [], None
    for _ in range(5):
        page = store.conversations.list_(user, q, before, limit=10)
        seen += [each.id for each in page.conversations]
        before = page.before
    assert seen == [each.id for each in made[::-1] if "needle" in each.title] and before is None


@pytest.mark.parametrize(
    ("q", "found"), [("100%", ["100%"]), ("a_b", ["a_b"]), ("/", ["c/d\\"]), ("\\", ["c/d\\"]), ("'", [])]
)
def test_a_search_takes_every_character_as_it_is(store: Store, user: str, q: str, found: list[str]) -> None:
    for title in ("100%", "1000", "a_b", "acb", "c/d\\"):
        store.conversations.create(user, title)
    assert titles(store, user, q) == found


def test_a_title_is_the_beginning_of_the_prompt() -> None:
    assert title_of(" a\n\tb ") == "a b"
    assert title_of("word " * 30) == ("word " * 15 + "word…")
    assert title_of("愿" * 100) == "愿" * 79 + "…"


def test_a_conversation_without_a_title_gets_one_by_its_first_prompt(store: Store, user: str) -> None:
    conversation = store.conversations.create(user)
    for prompt in ("first", "second"):
        store.begin(user, prompt, "poem", conversation.id)
    assert titles(store, user) == ["first"]


@pytest.mark.parametrize("strange", [*STRANGE_IDS, None])
def test_what_is_not_there_or_anothers_is_not_found(
    store: Store, database: Database, user: str, strange: str | None
) -> None:
    theirs = store.conversations.create(user + "2", "theirs").id
    here = store.conversations
    hidden = Hidden(database, 600)
    for call in (here.get, here.find, hidden.hide, hidden.restore, lambda *who: here.change(*who, title="mine")):
        with pytest.raises(NotFound):
            call(user, strange or theirs)
    assert titles(store, user + "2") == ["theirs"]


def test_a_conversation_of_any_depth_can_be_deleted(store: Store, user: str, database: Database) -> None:
    conversation = store.conversations.create(user).id
    ids = [str(uuid.uuid4()) for _ in range(1500)]
    row = {"conversation": conversation, "role": "user", "content": "x", "created_us": 1}
    chain = [row | {"id": ids[i], "parent": ids[i - 1] if i else None, "position": i + 1} for i in range(len(ids))]
    database.migrate(lambda connection: connection.execute(insert(messages), chain))
    hidden = Hidden(database, 0)
    hidden.hide(user, conversation)
    assert not hidden.purge()
    assert store.conversations.list_(user).conversations == [] and left(database, conversation) == 0


def test_the_markdown_of_a_conversation_is_its_current_branch(store: Store, user: str) -> None:
    first = settled(store, user, "one", "1\n\n* a")
    settled(store, user, "left", "2", conversation=first.conversation)
    settled(store, user, "right", "3", conversation=first.conversation, parent=first.id)
    text = as_markdown("one", store.conversations.get(user, first.conversation)[1])
    assert text == "# one\n\n**You:**\n\none\n\n**poem:**\n\n1\n\n* a\n\n**You:**\n\nright\n\n**poem:**\n\n3\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application whose poem takes its time, and a browser."""
    with browser(tmp_path, poem_delay_ms=100) as made:
        yield made


@pytest.fixture
def made(client: FlaskClient) -> dict[str, Any]:
    """Make a conversation."""
    made: dict[str, Any] = client.post(API, json={"title": "Poems"}).json
    return made


def test_a_conversation_is_made_listed_renamed_and_deleted(client: FlaskClient) -> None:
    response = client.post(API, json={"title": "Poems"})
    made = response.json
    assert (response.status_code, response.headers["Location"]) == (201, f"{API}/{made['id']}")
    assert client.get(API).json == {"conversations": [made], "before": None}
    renamed = client.patch(f"{API}/{made['id']}", json={"title": "Verses"}).json
    assert (renamed["title"], client.get(f"{API}/{made['id']}").json) == ("Verses", {**renamed, "messages": []})
    assert client.delete(f"{API}/{made['id']}").status_code == 204
    assert client.get(API).json["conversations"] == []


def test_every_change_is_published_on_the_owners_channel(client: FlaskClient, made: dict[str, Any]) -> None:
    renamed = client.patch(f"{API}/{made['id']}", json={"title": "Verses"}).json
    client.delete(f"{API}/{made['id']}")
    told = [(event.event, orjson.loads(event.data)) for event in news(client, 3)]
    assert told == [
        ("conversation.created", made),
        ("conversation.changed", renamed),
        ("conversation.deleted", {"id": made["id"]}),
    ]


def test_an_answer_makes_or_changes_its_conversation(client: FlaskClient, made: dict[str, Any]) -> None:
    row = here(client).begin(Caller(owner(client)), "x", "poem")
    here(client).begin(Caller(row.user), "y", "poem", conversation=made["id"])
    told = [(event.event, orjson.loads(event.data)["id"]) for event in news(client, 3)[1:]]
    assert told == [("conversation.created", row.conversation), ("conversation.changed", made["id"])]


def test_the_messages_of_a_conversation_tell_who_answers_whom(client: FlaskClient, made: dict[str, Any]) -> None:
    store = here(client).store
    settled(store, owner(client), "one", "1", conversation=made["id"])
    prompt, answer = client.get(f"{API}/{made['id']}").json["messages"]
    assert {"id", "parent", "role", "content", "files", "created"} == prompt.keys()
    assert (prompt["content"], prompt["parent"], answer["parent"]) == ("one", None, prompt["id"])
    assert (answer["content"], answer["state"], answer["model"], answer["chars"]) == ("1", "complete", "poem", 1)


@pytest.fixture
def running(client: FlaskClient, made: dict[str, Any]) -> AnswerRow:
    """Begin an answer that takes its time."""
    return here(client).begin(Caller(owner(client)), "x", "poem", conversation=made["id"])


def test_an_answer_that_ends_or_goes_on_changes_its_conversation(client: FlaskClient, running: AnswerRow) -> None:
    assert [event.event for event in news(client, 2)] == ["conversation.created", "conversation.changed"]
    stopped = here(client).producers.stop(running)
    assert [event.event for event in news(client, 3)][2:] == ["conversation.changed"]
    here(client).producers.go_on(stopped)
    assert [event.event for event in news(client, 4)][3:] == ["conversation.changed"]


def test_what_is_told_of_an_answer_needs_no_transaction_of_its_own(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[tuple[list[Entry], int]] = []
    commit = SqliteJournal.commit

    def noted(self: SqliteJournal, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        commits.append(([entry for batch in batches for entry in batch.entries], len(news)))
        return commit(self, batches, news)

    monkeypatch.setattr(SqliteJournal, "commit", noted)
    monkeypatch.setattr(SqliteJournal, "publish", None)  # a transaction of its own, which would fail
    row = here(client).begin(Caller(owner(client)), "x", "poem")
    list(here(client).readers.follow(here(client).producers.stop(row), 0))
    assert [event.event for event in news(client, 2)] == ["conversation.created", "conversation.changed"]
    assert sum(told for _, told in commits) == 2
    opening = next(entries for entries, _ in commits if entries)
    assert [entry.seq for entry in opening][:2] == [1, 2] and b'"connecting"' in opening[1].block


def test_an_answer_that_is_being_written_shows_its_text_so_far(
    client: FlaskClient, made: dict[str, Any], running: AnswerRow
) -> None:
    deadline = time.monotonic() + 30
    while not (answer := client.get(f"{API}/{made['id']}").json["messages"][1])["content"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer["id"], answer["role"], answer["state"]) == (running.id, "assistant", "running")


def test_deleting_a_conversation_stops_its_answers(
    client: FlaskClient, made: dict[str, Any], running: AnswerRow
) -> None:
    reader = here(client).readers.follow(running, 0)
    assert client.delete(f"{API}/{made['id']}").status_code == 204
    assert b'"state":"stopped"' in b"".join(reader)
    assert client.get(f"/api/answers/{running.id}").status_code == 404
    client.post(f"{API}/{made['id']}/restore")
    told = [event.event.removeprefix("conversation.") for event in news(client, 4)]
    assert told == ["created", "changed", "deleted", "created"]  # nothing of the answer's end


def test_a_conversation_can_be_exported(client: FlaskClient, made: dict[str, Any]) -> None:
    settled(here(client).store, owner(client), "one", "1", conversation=made["id"])
    markdown = client.get(f"{API}/{made['id']}/export")
    assert markdown.content_type == "text/markdown; charset=utf-8" and markdown.text.startswith("# Poems\n")
    assert markdown.headers["Content-Disposition"] == f'attachment; filename="conversation-{made["id"]}.md"'
    document = client.get(f"{API}/{made['id']}/export?format=json")
    assert document.json == client.get(f"{API}/{made['id']}").json


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/export"), ("PATCH", ""), ("DELETE", "")])
def test_anothers_conversation_does_not_exist(
    client: FlaskClient, made: dict[str, Any], method: str, path: str
) -> None:
    other = another(client)
    body = {"json": {"title": "mine"}} if method == "PATCH" else {}
    response = other.open(f"{API}/{made['id']}{path}", method=method, **body)
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert client.get(f"{API}/{made['id']}").json["title"] == "Poems" and other.get(API).json["conversations"] == []


ASKED_HOW = {"system": "Be brief.", "temperature": 0.5, "max_tokens": 64}


def test_a_user_says_once_for_a_conversation_how_its_model_is_asked(client: FlaskClient, made: dict[str, Any]) -> None:
    changed = client.patch(f"{API}/{made['id']}", json=ASKED_HOW).json
    assert changed == {**made, **ASKED_HOW} == client.get(API).json["conversations"][0]
    assert client.patch(f"{API}/{made['id']}", json=dict.fromkeys(ASKED_HOW)).json == made
    assert ASKED_HOW.items() <= client.post(API, json=ASKED_HOW).json.items()


def test_pinning_is_no_change_of_the_conversation_itself(client: FlaskClient, made: dict[str, Any]) -> None:
    other = client.post(API, json={"title": "Prose"}).json
    pinned = client.patch(f"{API}/{made['id']}", json={"pinned": True}).json
    assert pinned == {**made, "pinned": True}
    assert client.get(API).json["conversations"] == [other, pinned]
    assert client.get(f"{API}?pinned=true").json["conversations"] == [pinned]
    assert client.get(f"{API}?pinned=false").json["conversations"] == [other]
    assert client.patch(f"{API}/{made['id']}", json={"pinned": False}).json == made


@pytest.mark.parametrize(("given", "asked"), [(ASKED_HOW, ASKED_HOW), ({}, {"max_tokens": 100})])
def test_the_model_server_is_asked_as_the_conversation_says(
    tmp_path: Path, upstream_server: MisbehavingServer, given: dict[str, Any], asked: dict[str, Any]
) -> None:
    with browser(tmp_path, upstream_url=f"{upstream_server.url}/normal", model="mock", max_tokens=100) as client:
        made = client.post(API, json=given).json
        row = here(client).begin(Caller(owner(client)), "x", "mock", conversation=made["id"])
        list(here(client).readers.follow(row, 0))
    body = orjson.loads(upstream_server.completions[-1].body)
    prompt = {"role": "user", "content": "x"}
    said = [{"role": "system", "content": asked["system"]}, prompt] if "system" in asked else [prompt]
    assert body["messages"] == said
    assert (body["max_tokens"], body.get("temperature")) == (asked["max_tokens"], asked.get("temperature"))


def test_the_operator_s_bound_on_an_answer_holds_for_what_was_set_before(
    tmp_path: Path, upstream_server: MisbehavingServer
) -> None:
    with browser(tmp_path, upstream_url=f"{upstream_server.url}/normal", model="mock", max_tokens=10) as client:
        made = here(client).store.conversations.create(owner(client), max_tokens=64)
        row = here(client).begin(Caller(made.user), "x", "mock", conversation=made.id)
        list(here(client).readers.follow(row, 0))
    assert orjson.loads(upstream_server.completions[-1].body)["max_tokens"] == 10


def test_what_was_deleted_can_be_brought_back_as_it_was(client: FlaskClient, made: dict[str, Any]) -> None:
    settled(here(client).store, owner(client), "one", "1", conversation=made["id"])
    before = client.get(f"{API}/{made['id']}").json
    client.delete(f"{API}/{made['id']}")
    restored = client.post(f"{API}/{made['id']}/restore")
    assert (restored.status_code, restored.json) == (200, {k: v for k, v in before.items() if k != "messages"})
    assert client.get(f"{API}/{made['id']}").json == before
    assert [event.event for event in news(client, 3)][1:] == ["conversation.deleted", "conversation.created"]


def test_what_is_deleted_is_nowhere(client: FlaskClient, made: dict[str, Any]) -> None:
    row = settled(here(client).store, owner(client), "one", "1", conversation=made["id"])
    client.delete(f"{API}/{made['id']}")
    ways = [("GET", ""), ("GET", "/export"), ("PATCH", ""), ("DELETE", "")]
    paths = [(method, f"{API}/{made['id']}{path}") for method, path in ways] + [("GET", f"/c/{made['id']}")]
    answer = f"/api/answers/{row.id}"
    paths += [("GET", answer), ("GET", f"{answer}/events"), ("POST", f"{answer}/stop"), ("POST", f"{answer}/continue")]
    for method, path in paths:
        assert client.open(path, method=method, json={"title": "x"}).status_code == 404, (method, path)
    asked = {"prompt": "one", "conversation": made["id"]}
    assert client.post("/api/answers", json=asked).status_code == 404
    assert client.post("/api/answers", json=asked | {"answer": row.id}).status_code == 404
    assert client.get(f"{API}?q=one").json["conversations"] == client.get(API).json["conversations"] == []


def test_an_answer_that_ends_after_its_conversation_was_deleted_is_kept_in_silence(
    client: FlaskClient, made: dict[str, Any], running: AnswerRow
) -> None:
    here(client).hidden.hide(running.user, made["id"])
    here(client).producers.stop(running)
    here(client).hidden.restore(running.user, made["id"])
    assert client.get(f"/api/answers/{running.id}").json["state"] == "stopped"
    client.post(f"{API}/{made['id']}/restore")
    assert [event.event for event in news(client, 2)] == ["conversation.created", "conversation.changed"]


def test_what_is_not_deleted_or_was_for_too_long_cannot_be_brought_back(
    store: Store, database: Database, user: str
) -> None:
    conversation = store.conversations.create(user).id
    hidden, too_late = Hidden(database, 600), Hidden(database, 0)
    with pytest.raises(NotFound):
        hidden.restore(user, conversation)
    hidden.hide(user, conversation)
    with pytest.raises(NotFound):
        too_late.restore(user, conversation)
    with pytest.raises(NotFound):
        hidden.restore(user + "2", conversation)
    assert hidden.restore(user, conversation).id == conversation


def test_only_what_was_deleted_long_ago_goes_for_good(store: Store, database: Database, user: str) -> None:
    rows = [settled(store, user, "x", "1") for _ in range(25)]
    for row in rows[1:]:
        Hidden(database, 600).hide(user, row.conversation)
    assert not Hidden(database, 600).purge() and left(database, rows[1].conversation) == 2
    while Hidden(database, 0).purge():
        pass
    assert [left(database, row.conversation) for row in rows] == [2] + [0] * 24


def test_what_is_brought_back_at_the_last_moment_stays(store: Store, database: Database, user: str) -> None:
    row, hidden = settled(store, user, "x", "1"), Hidden(database, 0)
    hidden.hide(user, row.conversation)
    purging = threading.Thread(target=hidden.purge)
    with database.engine.begin() as connection:
        here = conversations.c.id == row.conversation
        connection.execute(update(conversations).where(here).values(deleted_us=None))
        purging.start()
        wait_until_a_purge_waits(database)
    purging.join()
    assert left(database, row.conversation) == 2


def wait_until_a_purge_waits(database: Database) -> None:
    """Wait until PostgreSQL has begun to delete; SQLite begins when nobody else writes."""
    waits = sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%'")
    deadline = time.monotonic() + 30
    while database.engine.dialect.name == "postgresql" and not database.query(lambda found: found.scalar(waits)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


BAD = [
    ("GET", "?pinned=1", None, 422, "pinned"),
    ("POST", "", {"pinned": None}, 422, "pinned"),
    ("POST", "", {"system": 1}, 422, "system"),
    ("POST", "", {"system": "x" * 20_001}, 422, "system"),
    *(("PATCH", "/{id}", {"pinned": value}, 422, "pinned") for value in (None, 1, "true")),
    *(("PATCH", "/{id}", {"temperature": value}, 422, "temperature") for value in (-0.1, 2.1, "1", True)),
    *(("PATCH", "/{id}", {"max_tokens": value}, 422, "max_tokens") for value in (0, 1025, 1.5, "1", True)),
    ("PATCH", "/{id}", {"shared": "/s/x"}, 422, "title"),
    ("POST", "/{id}/restore", {}, 404, None),
    ("POST", "/x%00/restore", {}, 404, None),
    ("GET", "?limit=0", None, 422, "limit"),
    ("GET", "?limit=101", None, 422, "limit"),
    ("GET", "?limit=ten", None, 422, "limit"),
    ("GET", "?limit=٣", None, 422, "limit"),
    ("GET", "?before=x", None, 422, "before"),
    ("GET", f"?q={'x' * 201}", None, 422, "q"),
    ("POST", "", {"title": 1}, 422, "title"),
    ("POST", "", {"title": " "}, 422, "title"),
    ("POST", "", {"title": "x" * 201}, 422, "title"),
    ("POST", "", [], 400, None),
    ("POST", "", None, 415, None),
    ("PUT", "", {}, 405, None),
    ("GET", "/x", None, 404, None),
    ("GET", "/x%00", None, 404, None),
    ("GET", "/%ED%A0%80", None, 404, None),
    ("GET", "/{id}/export?format=pdf", None, 422, "format"),
    ("PATCH", "/{id}", {}, 422, "title"),
    ("PATCH", "/{id}", {"title": ""}, 422, "title"),
    ("PATCH", "/{id}", {"title": "\0"}, 422, "title"),
    ("POST", "/{id}", {}, 405, None),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "field"), BAD)
def test_bad_input_gets_a_problem_document(
    client: FlaskClient, made: dict[str, Any], method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    more = {} if body is None else {"json": body}
    response = client.open(API + path.replace("{id}", made["id"]), method=method, **more)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (response.json["status"], response.json.get("field")) == (status, field)


def test_a_list_is_searched_and_paged(client: FlaskClient) -> None:
    for title in ("a1", "b", "a2", "a3"):
        client.post(API, json={"title": title})
    first = client.get(f"{API}?q=a&limit=2").json
    rest = client.get(f"{API}?q=a&before={first['before']}").json
    assert [[each["title"] for each in page["conversations"]] for page in (first, rest)] == [["a3", "a2"], ["a1"]]


def test_a_database_that_is_not_there_is_a_503(tmp_path: Path) -> None:
    client = create_app(Settings(data_dir=tmp_path)).test_client()
    response = client.get(API)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.json["code"] == "database_error"
