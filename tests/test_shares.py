"""Links: what one shows, to whom, up to where, and when it leads nowhere."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from answers.database import Database
from answers.hidden import Hidden
from answers.shares import Shares
from answers.store import AnswerRow, Store
from relay.errors import Conflict, NotFound
from tests.apps import another, browser, here, news, owner, settled
from tests.test_pages import Text, text_of
from web.callers import Caller

API = "/api/conversations"


@pytest.fixture
def shares(database: Database) -> Shares:
    return Shares(database)


def shown(shares: Shares, token: str | None) -> list[str]:
    return [each["content"] for each in shares.follow(token or "")[1]]


def test_a_link_shows_the_branch_to_its_answer_as_it_was(store: Store, shares: Shares, user: str) -> None:
    first = settled(store, user, "q1", "a1")
    where = {"conversation": first.conversation}
    settled(store, user, "q1", "other", **where, parent="")
    last = settled(store, user, "q2", "a2", **where, parent=first.id)
    newest, named = (shares.share(user, first.conversation, leaf).shared for leaf in (None, first.id))
    assert shown(shares, named) == ["q1", "a1"]
    settled(store, user, "q3", "a3", **where, parent=first.id)
    assert shown(shares, named) == ["q1", "a1"]
    with pytest.raises(NotFound):
        shares.follow(newest or "")
    assert shown(shares, shares.share(user, first.conversation, last.id).shared) == ["q1", "a1", "q2", "a2"]


def test_sharing_the_same_again_gives_the_same_link(store: Store, shares: Shares, user: str) -> None:
    row = settled(store, user, "x", "1")
    first = shares.share(user, row.conversation)
    assert shares.share(user, row.conversation) == shares.share(user, row.conversation, row.id) == first
    assert first.changed_us == store.conversations.find(user, row.conversation).changed_us == row.within.changed_us


def test_many_who_share_at_once_get_one_link(store: Store, shares: Shares, user: str) -> None:
    row, links = settled(store, user, "x", "1"), set()
    threads = [
        threading.Thread(target=lambda: links.add(shares.share(user, row.conversation).shared)) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert links == {store.conversations.find(user, row.conversation).shared}


def test_no_two_links_are_alike_nor_is_one_that_was_revoked_used_again(store: Store, shares: Shares, user: str) -> None:
    row, links = settled(store, user, "x", "1"), []
    for _ in range(20):
        links.append(shares.share(user, row.conversation).shared)
        assert shares.revoke(user, row.conversation).shared is None
    assert len(set(links)) == 20 and {len(link or "") for link in links} == {22}


def test_there_is_nothing_to_share_before_the_first_answer(store: Store, shares: Shares, user: str) -> None:
    conversation = store.conversations.create(user)
    with pytest.raises(Conflict):
        shares.share(user, conversation.id)


@pytest.mark.parametrize("leaf", ["", "x", "\0", str(uuid.UUID(int=0)), "a prompt", "another's"])
def test_only_an_answer_of_the_conversation_can_be_shared(store: Store, shares: Shares, user: str, leaf: str) -> None:
    row = settled(store, user, "x", "1")
    wrong = {"a prompt": row.parent, "another's": settled(store, user + "2", "x", "1").id}
    with pytest.raises(NotFound):
        shares.share(user, row.conversation, wrong.get(leaf, leaf))
    assert store.conversations.find(user, row.conversation).shared is None


@pytest.mark.parametrize("strange", ["x", "a\0b", "\ud800", str(uuid.UUID(int=0)), None])
def test_anothers_conversation_can_neither_be_shared_nor_revoked(
    store: Store, shares: Shares, user: str, strange: str | None
) -> None:
    theirs = settled(store, user + "2", "x", "1").conversation
    token = shares.share(user + "2", theirs).shared
    for call in (shares.share, shares.revoke):
        with pytest.raises(NotFound):
            call(user, strange or theirs)
    assert shown(shares, token) == ["x", "1"]


@pytest.mark.parametrize("token", ["", "x", "\0" * 22, "A" * 21, "A" * 22, "A" * 22 + "\n", "é" * 22])
def test_a_link_that_was_never_made_leads_nowhere(shares: Shares, token: str) -> None:
    with pytest.raises(NotFound):
        shares.follow(token)


def test_a_deleted_conversation_has_no_link_until_it_is_brought_back(
    store: Store, shares: Shares, database: Database, user: str
) -> None:
    row, hidden = settled(store, user, "x", "1"), Hidden(database, 600)
    token = shares.share(user, row.conversation).shared
    hidden.hide(user, row.conversation)
    for call in (lambda: shares.follow(token or ""), lambda: shares.share(user, row.conversation)):
        with pytest.raises(NotFound):
            call()
    hidden.restore(user, row.conversation)
    assert shown(shares, token) == ["x", "1"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application that knows its users by their tokens, and Alice's browser."""
    with browser(tmp_path, auth="token", tokens="alice=secret-of-alice bob=secret-of-bob", poem_delay_ms=100) as made:
        made.post("/login", data={"token": "secret-of-alice"})
        yield made


@pytest.fixture
def kept(client: FlaskClient) -> AnswerRow:
    """Keep a conversation of Alice's."""
    return settled(here(client).store, "alice", "<b>q1</b>", "<i>a1</i>")


def share(client: FlaskClient, row: AnswerRow, **headers: str) -> str:
    response = client.post(f"{API}/{row.conversation}/share", json={}, headers=headers)
    assert response.status_code == 201
    path: str = response.json["path"]
    return path


def test_whoever_has_the_link_reads_it_without_a_token(client: FlaskClient, kept: AnswerRow) -> None:
    path = share(client, kept)
    page = client.application.test_client().get(path, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers.getlist("Set-Cookie")) == (200, [])
    assert (text_of(page.text, "data-question"), text_of(page.text, "data-answer")) == ("<b>q1</b>", "<i>a1</i>")


def test_a_shared_page_is_to_be_read_and_nothing_else(client: FlaskClient, kept: AnswerRow) -> None:
    client.patch(f"{API}/{kept.conversation}", json={"system": "SECRET", "title": "Verses"})
    page = client.get(share(client, kept))
    assert not {"form", "textarea"} & set(Text(page.text).tags)
    assert re.findall(r'<script[^>]*src="/static/v\w+/(.*?)"', page.text) == ["js/shared/main.js"]
    for secret in ("SECRET", kept.conversation, kept.id, "alice"):
        assert secret not in page.text
    assert "<title>Verses" in page.text and '<meta name="robots" content="noindex">' in page.text
    expected = {"X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    assert expected.items() <= dict(page.headers).items()


def test_a_shared_page_speaks_the_reader_s_language(client: FlaskClient, kept: AnswerRow) -> None:
    assert "有人與你分享的對話" in client.get(share(client, kept), headers={"Accept-Language": "zh-TW"}).text


def test_an_answer_that_is_still_written_is_shown_as_far_as_it_is(client: FlaskClient) -> None:
    row = here(client).begin(Caller("alice"), "x", "poem")
    page = client.get(share(client, row)).text
    here(client).producers.stop(row)
    assert text_of(page, "data-question") == "x" and 'data-state="running"' not in page


def test_a_revoked_link_is_a_page_in_words(client: FlaskClient, kept: AnswerRow) -> None:
    path = share(client, kept)
    for _ in range(2):
        assert client.delete(f"{API}/{kept.conversation}/share").status_code == 204
    page = client.application.test_client().get(path, headers={"Accept": "text/html"})
    assert (page.status_code, "There is no such page." in page.text) == (404, True)


def test_a_link_needs_an_owner_who_still_has_a_token(tmp_path: Path) -> None:
    def client_with(tokens: str) -> Any:
        return browser(tmp_path, auth="token", tokens=tokens)

    with client_with("alice=first") as client:
        row = settled(here(client).store, "alice", "x", "1")
        path = share(client, row, authorization="Bearer first")
    for tokens, status in (("alice=second", 200), ("bob=third", 404)):
        with client_with(tokens) as client:
            assert client.get(path).status_code == status


def test_the_list_and_the_other_tabs_know_of_the_link(client: FlaskClient, kept: AnswerRow) -> None:
    path = share(client, kept)
    assert client.get(API).json["conversations"][0]["shared"] == path
    client.delete(f"{API}/{kept.conversation}/share")
    decoded = [(event.event, orjson.loads(event.data)["shared"]) for event in told(client, 2)]
    assert decoded == [("conversation.changed", path), ("conversation.changed", None)]


def told(client: FlaskClient, count: int) -> Any:
    with client.session_transaction() as session:
        session["user"] = "alice"
    assert owner(client) == "alice"
    return news(client, count)


@pytest.mark.parametrize(("method", "path"), [("POST", "/share"), ("DELETE", "/share"), ("POST", "/restore")])
def test_to_bob_none_of_it_exists(client: FlaskClient, kept: AnswerRow, method: str, path: str) -> None:
    link = share(client, kept)
    bob = client.application.test_client()
    bob.post("/login", data={"token": "secret-of-bob"})
    response = bob.open(f"{API}/{kept.conversation}{path}", method=method, json={})
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert bob.get(link).status_code == 200 and bob.get(f"/c/{kept.conversation}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({"leaf": 1}, 422), ({"leaf": ""}, 422), ({"leaf": "x" * 37}, 422), ({"leaf": "x"}, 404), ([], 400)],
)
def test_a_leaf_that_cannot_be_is_refused(client: FlaskClient, kept: AnswerRow, body: Any, status: int) -> None:
    response = client.post(f"{API}/{kept.conversation}/share", json=body)
    assert (response.status_code, response.json.get("field")) == (status, "leaf" if status == 422 else None)


def test_an_empty_conversation_cannot_be_shared(client: FlaskClient) -> None:
    made = client.post(API, json={}).json
    assert client.post(f"{API}/{made['id']}/share", json={}).status_code == 409


def test_without_tokens_too_everyone_may_read_a_link_and_only_its_owner_revoke_it(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        row = settled(here(client).store, owner(client), "x", "1")
        path, other = share(client, row), another(client)
        assert other.get(path).status_code == 200
        assert other.delete(f"{API}/{row.conversation}/share").status_code == 404
        assert other.get(path).status_code == 200
