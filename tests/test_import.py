"""Import: what an export in JSON has given comes back as it was, and nothing else comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from answers.conversations import Conversation
from answers.database import Database
from answers.imports import Document, Imports
from answers.store import Store
from answers.tree import now_us
from tests.apps import another, browser, here, news, owner, settled

API = "/api/conversations"
SETTINGS = {"title": "Verses", "pinned": True, "system": "Be brief.", "temperature": 0.5, "max_tokens": 64}
TEXT = "愿你 🏔️ é\r\n\u2028'\"\\%_<script>"
SPOKEN = {"completion_tokens": 2, "details": {"cached": 1}}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application and a browser."""
    with browser(tmp_path, poem_delay_ms=100) as made:
        yield made


@pytest.fixture
def exported(client: FlaskClient) -> dict[str, Any]:
    """Export a conversation with branches, settings and an answer of each kind."""
    store, user = here(client).store, owner(client)
    first = settled(store, user, TEXT, TEXT)
    where = {"conversation": first.conversation}
    settled(store, user, TEXT, "again", **where, parent="")
    broken, _ = store.begin(user, "and then?", "mock", **where, parent=first.id)
    store.settle(broken.id, "interrupted", content="a", reasoning="hm", error="upstream_broken", chars=1)
    counted, _ = store.begin(user, "at last", "mock", **where, parent=broken.id)
    facts = {"usage": SPOKEN, "ttft_ms": 12, "tokens_per_s": 34.5, "finish_reason": "stop"}
    store.settle(counted.id, "complete", content="\n", chars=1, sha256=digest("\n"), **facts)
    client.patch(f"{API}/{first.conversation}", json=SETTINGS)
    document: dict[str, Any] = client.get(f"{API}/{first.conversation}/export?format=json").json
    return document


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def post(client: FlaskClient, document: Any) -> Any:
    return client.post(f"{API}/import", json=document)


def shape(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Show a document's messages without their ids, which are new: who follows whom as numbers."""
    numbers = {each["id"]: number for number, each in enumerate(document["messages"])}
    return [
        {**each, "id": numbers[each["id"]], "parent": numbers.get(each["parent"]), "sha256": None}
        for each in document["messages"]
    ]


def test_what_was_exported_comes_back_as_it_was(client: FlaskClient, exported: dict[str, Any]) -> None:
    other = another(client)
    made = post(other, exported)
    assert (made.status_code, made.headers["Location"]) == (201, f"{API}/{made.json['id']}")
    again = other.get(f"{API}/{made.json['id']}/export?format=json").json
    assert shape(again) == shape(exported) and len(again["messages"]) == 7
    unlike = {"id", "changed", "messages"}
    assert {k: v for k, v in again.items() if k not in unlike} == {k: v for k, v in exported.items() if k not in unlike}
    ids = [{each["id"] for each in document["messages"]} for document in (again, exported)]
    assert not ids[0] & ids[1] and again["id"] != exported["id"]


def test_it_can_be_gone_on_with_and_stands_first(client: FlaskClient, exported: dict[str, Any]) -> None:
    client.post(API, json={"title": "later"})
    made = post(client, exported).json
    assert client.get(API).json["conversations"][0] == made
    last = client.get(f"{API}/{made['id']}").json["messages"][-1]["id"]
    asked = {"prompt": "more", "model": "poem", "conversation": made["id"], "parent": last}
    begun = client.post("/api/answers", json=asked)
    assert begun.status_code == 202
    client.post(f"/api/answers/{begun.json['answer']}/stop")
    assert [each["content"] for each in here(client).store.history(last)][-1] == "at last"


def test_the_other_tabs_are_told_of_it(client: FlaskClient) -> None:
    made = post(client, {"messages": []}).json
    assert [event.event for event in news(client, 1)] == ["conversation.created"]
    assert (made["title"], made["pinned"], made["shared"]) == ("", False, None)


def test_the_same_document_makes_another_one_each_time(client: FlaskClient, exported: dict[str, Any]) -> None:
    assert len({post(client, exported).json["id"] for _ in range(3)}) == 3


PROMPT = {"id": "a", "parent": None, "role": "user", "content": "x"}
ANSWER = {"id": "b", "parent": "a", "role": "assistant", "content": "y", "model": "m", "state": "complete"}


def test_what_can_be_worked_out_is_not_believed(client: FlaskClient) -> None:
    lies = {"chars": 99, "sha256": "0" * 64, "usage": {"a": "text", "b": 1, "c": {"d": "text"}}, "adoptions": 9}
    made = post(client, {"shared": "/s/x", "user": "bob", "messages": [PROMPT, {**ANSWER, **lies}]}).json
    answer = client.get(f"{API}/{made['id']}").json["messages"][1]
    assert (answer["chars"], answer["sha256"], answer["usage"]) == (1, digest("y"), {"b": 1, "c": {}})
    assert made["shared"] is None and here(client).store.conversations.find(owner(client), made["id"])


@pytest.mark.parametrize(("content", "state"), [("y", "interrupted"), ("", "failed")])
def test_an_answer_that_ran_when_it_was_exported_has_broken_off(client: FlaskClient, content: str, state: str) -> None:
    made = post(client, {"messages": [PROMPT, {**ANSWER, "state": "running", "content": content}]}).json
    assert client.get(f"{API}/{made['id']}").json["messages"][1]["state"] == state
    assert here(client).store.running(owner(client)) == 0


def test_a_bound_of_tokens_that_is_not_allowed_here_becomes_ours(client: FlaskClient) -> None:
    assert post(client, {"max_tokens": 50_000, "messages": []}).json["max_tokens"] == 1024


def bad(number: int, message: dict[str, Any], **wrong: Any) -> dict[str, Any]:
    messages = [PROMPT, ANSWER]
    return {"messages": [*messages[:number], {**message, **wrong}, *messages[number + 1 :]]}


WRONG = [
    ({}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": [PROMPT] * 5001}, "messages"),
    ({"messages": [], "title": 1}, "title"),
    ({"messages": [], "title": "x" * 201}, "title"),
    ({"messages": [], "pinned": "yes"}, "pinned"),
    ({"messages": [], "temperature": 3}, "temperature"),
    ({"messages": [], "max_tokens": 1 << 40}, "max_tokens"),
    ({"messages": [], "created": "yesterday"}, "created"),
    ({"messages": ["x"]}, "messages[0]"),
    ({"messages": [PROMPT]}, "messages[0]"),
    ({"messages": [PROMPT, ANSWER, {**PROMPT, "id": "c", "parent": "b"}]}, "messages[2]"),
    ({"messages": [PROMPT, ANSWER, PROMPT]}, "messages[2].id"),
    ({"messages": [ANSWER, PROMPT]}, "messages[0].parent"),
    *((bad(0, PROMPT, id=value), "messages[0].id") for value in (None, 1, "", "x" * 257)),
    *((bad(0, PROMPT, role=value), "messages[0].role") for value in (None, "system", [])),
    *((bad(0, PROMPT, parent=value), "messages[0].parent") for value in ("a", "b", 1, [], {})),
    *((bad(0, PROMPT, content=value), "messages[0].content") for value in (None, "", " ", 1)),
    *((bad(1, ANSWER, parent=value), "messages[1].parent") for value in (None, "b", "c")),
    *((bad(1, ANSWER, model=value), "messages[1].model") for value in (None, "", 1)),
    *((bad(1, ANSWER, state=value), "messages[1].state") for value in (None, "done", [])),
    *((bad(1, ANSWER, usage=value), "messages[1].usage") for value in (1, [], "x")),
    *((bad(1, ANSWER, ttft_ms=value), "messages[1].ttft_ms") for value in (-1, 1 << 31, 1.5, "1")),
    *((bad(1, ANSWER, tokens_per_s=value), "messages[1].tokens_per_s") for value in (-1, 1e13, "1")),
    *(
        (bad(1, ANSWER, **{name: 1}), f"messages[1].{name}")
        for name in ("content", "reasoning", "finish_reason", "error")
    ),
    *(
        (bad(1, ANSWER, created=value), "messages[1].created")
        for value in (1, "", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59")
    ),
]


@pytest.mark.parametrize(("document", "field"), WRONG)
def test_what_is_wrong_with_a_document_is_named(client: FlaskClient, document: Any, field: str) -> None:
    response = post(client, document)
    assert (response.status_code, response.json["field"]) == (422, field)
    assert client.get(API).json["conversations"] == []


def test_a_document_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with browser(tmp_path, max_body_bytes=1000, max_unsent_bytes=2000) as client:
        assert post(client, {"messages": [{**PROMPT, "content": "x" * 5000}]}).status_code == 413


def test_a_long_document_comes_in_whole(store: Store, database: Database, user: str) -> None:
    prompt = dict.fromkeys(("model", "state", "reasoning", "finish_reason", "usage", "chars", "sha256"))
    prompt |= dict.fromkeys(("ttft_ms", "tokens_per_s", "close_ms", "adoptions", "error"))
    rows = [
        {
            **prompt,
            "id": str(i),
            "parent": str(i - 1) if i else None,
            "role": "user",
            "content": str(i),
            "created_us": 1,
        }
        for i in range(5000)
    ]
    made: Conversation = Imports(database).take(user, Document("long", {}, now_us(), rows))
    kept = store.conversations.get(user, made.id)[1]
    assert [each["content"] for each in kept] == [str(i) for i in range(5000)]
    assert [each["parent"] for each in kept[1:]] == [each["id"] for each in kept[:-1]]
