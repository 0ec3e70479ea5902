"""The pages of a conversation's branches: what the templates are given, and what the form does without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import template_rendered
from flask.testing import FlaskClient

from answers.sqlite_journal import SqliteJournal
from answers.store import AnswerRow
from answers.tree import new_id
from relay.errors import JournalError
from relay.poem import POEM
from tests.apps import another, browser, here, owner, settled
from tests.test_pages import text_of
from web.exchanges import MOST

API = "/api/conversations"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application whose poem comes at once, and a browser."""
    with browser(tmp_path, poem_delay_ms=0) as made:
        yield made


class Tree:
    """A conversation with two first questions; the first has two answers, the first of which was followed up.

    q1 ─ a1 ─ q3 ─ a3
       └ a2
    q2 ─ b1
    """

    def __init__(self, client: FlaskClient) -> None:
        store, user = here(client).store, owner(client)
        self.a1 = settled(store, user, "q1", "a1")
        self.id = self.a1.conversation
        self.a2 = self._more(client, "q1", "a2", "")
        self.b1 = self._more(client, "q2", "b1", "")
        self.a3 = self._more(client, "q3", "a3", self.a1.id)

    def _more(self, client: FlaskClient, prompt: str, text: str, parent: str) -> AnswerRow:
        return settled(here(client).store, owner(client), prompt, text, conversation=self.id, parent=parent)


@pytest.fixture
def tree(client: FlaskClient) -> Tree:
    """Make such a conversation."""
    return Tree(client)


def given(client: FlaskClient, path: str, *, leave: bool = False, **form: str) -> dict[str, Any]:
    """Open a page, or post a form to it, and take what its template was given; with `leave` read nothing of it."""
    contexts: list[dict[str, Any]] = []

    def take(_: object, context: dict[str, Any], **__: object) -> None:
        contexts.append(context)

    with (
        template_rendered.connected_to(take, client.application),
        client.post(path, data=form) if form else client.get(path) as page,
    ):
        assert leave or page.get_data()
    return contexts[0]


def texts(context: dict[str, Any]) -> str:
    return " ".join(f"{each['question']} {each['answer']}" for each in context["exchanges"])


@pytest.mark.parametrize(
    ("leaf", "shown"), [("", "q1 a1 q3 a3"), ("a1", "q1 a1 q3 a3"), ("a2", "q1 a2"), ("b1", "q2 b1")]
)
def test_an_address_names_a_branch(client: FlaskClient, tree: Tree, leaf: str, shown: str) -> None:
    query = f"?leaf={getattr(tree, leaf).id}" if leaf else ""
    assert texts(given(client, f"/c/{tree.id}{query}")) == shown


def test_each_version_has_the_address_of_its_branch(client: FlaskClient, tree: Tree) -> None:
    first, second = given(client, f"/c/{tree.id}")["exchanges"]
    assert [(each["id"], each["current"]) for each in first["versions"]["answers"]] == [
        (tree.a1.id, True),
        (tree.a2.id, False),
    ]
    assert [each["current"] for each in first["versions"]["prompts"]] == [True, False]
    assert [len(each) for each in second["versions"].values()] == [1, 1]
    other_answer, other_prompt = first["versions"]["answers"][1], first["versions"]["prompts"][1]
    assert texts(given(client, other_answer["url"])) == "q1 a2"
    assert texts(given(client, other_prompt["url"])) == "q2 b1"


def test_an_exchange_says_what_it_follows_and_how_its_answer_came(client: FlaskClient, tree: Tree) -> None:
    here(client).store.settle(tree.a3.id, "complete")
    first, second = given(client, f"/c/{tree.id}")["exchanges"]
    assert (first["parent"], second["parent"]) == ("", tree.a1.id)
    assert (second["leaf"], second["model"], second["stop"]) == (tree.a3.id, "poem", None)
    assert {"usage", "ttft_ms", "tokens_per_s"} <= second.keys()


@pytest.fixture
def long(client: FlaskClient) -> list[AnswerRow]:
    """Make a conversation of more exchanges than a page shows, and give its answers."""
    store, user = here(client).store, owner(client)
    answers = [settled(store, user, "q0", "a0")]
    for number in range(1, 2 * MOST + 5):
        answers.append(settled(store, user, f"q{number}", f"a{number}", conversation=answers[0].conversation))
    return answers


def test_a_page_of_a_long_branch_has_its_end_and_leads_to_more(client: FlaskClient, long: list[AnswerRow]) -> None:
    page = given(client, f"/c/{long[0].conversation}")
    assert [each["answer"] for each in page["exchanges"]] == [f"a{number}" for number in range(MOST + 5, len(long))]
    assert page["above"] == long[MOST + 4].id
    more = given(client, f"/c/{long[0].conversation}?leaf={long[-1].id}&from={page['earlier']}")
    assert [each["answer"] for each in more["exchanges"]] == [f"a{number}" for number in range(5, len(long))]
    every = given(client, f"/c/{long[0].conversation}?leaf={long[-1].id}&from={more['earlier']}")
    assert (len(every["exchanges"]), "earlier" in every) == (len(long), False)


def test_a_page_of_a_long_branch_shows_the_message_that_its_address_names(
    client: FlaskClient, long: list[AnswerRow]
) -> None:
    assert given(client, f"/c/{long[0].conversation}?leaf={long[2].id}")["exchanges"][0]["answer"] == "a2"


def test_scripts_take_what_leads_to_a_message(client: FlaskClient, long: list[AnswerRow]) -> None:
    part = given(client, f"/c/{long[0].conversation}?upto={long[MOST + 4].id}")
    assert [each["answer"] for each in part["exchanges"]] == [f"a{number}" for number in range(5, MOST + 5)]
    question = given(client, f"/c/{long[0].conversation}?upto={part['exchanges'][2]['asked']}")
    assert [each["answer"] for each in question["exchanges"]] == [f"a{number}" for number in range(7)]


@pytest.mark.parametrize("leaf", ["x", "", "%00", "00000000-0000-0000-0000-000000000000"])
def test_a_branch_that_is_not_there_is_a_page_in_words(client: FlaskClient, tree: Tree, leaf: str) -> None:
    answer = client.get(f"/c/{tree.id}?leaf={leaf}", headers={"Accept": "text/html"})
    assert (answer.status_code, "There is no such page." in answer.text) == (404, True)


def test_a_page_has_the_user_s_conversations_the_pinned_ones_apart(client: FlaskClient, tree: Tree) -> None:
    pinned = client.post(API, json={"title": "Pinned", "pinned": True}).json
    for number in range(50):
        client.post(API, json={"title": str(number)})
    context = given(client, f"/c/{tree.id}")
    sidebar = context["sidebar"]
    assert sidebar["pinned"] == [{**pinned, "url": f"/c/{pinned['id']}"}]
    assert [each["title"] for each in sidebar["others"]] == [str(number) for number in reversed(range(50))]
    assert sidebar["more"] and client.get(f"{API}?pinned=false&before={sidebar['before']}").json["before"] is None
    assert (context["here"]["id"], context["here"]["system"], context["user"]) == (tree.id, "", owner(client))


def test_a_page_without_a_conversation_has_none_open(client: FlaskClient) -> None:
    context = given(client, "/")
    assert (context["here"], context["sidebar"]["others"], context["sidebar"]["more"]) == (None, [], False)


def test_nobody_sees_anothers_conversations(client: FlaskClient, tree: Tree) -> None:
    other = another(client)
    assert given(other, "/")["sidebar"]["others"] == []
    assert other.get(f"/c/{tree.id}?leaf={tree.a1.id}").status_code == 404
    assert other.post(f"/answers/{tree.a1.id}/stop").status_code == 404
    assert other.post("/", data={"prompt": "x", "conversation": tree.id}).status_code == 404


def test_a_page_knows_what_its_user_was_told_unless_the_journal_is_away(
    client: FlaskClient, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = here(client).channels.publish(owner(client), "1")
    assert f'data-told="{last}"' in client.get(f"/c/{tree.id}").text

    def away(*_: object) -> None:
        raise JournalError("away")

    monkeypatch.setattr(SqliteJournal, "bounds", away)
    page = client.get(f"/c/{tree.id}")
    assert page.status_code == 200 and 'data-told=""' in page.text


def test_the_form_goes_on_with_a_conversation(client: FlaskClient, tree: Tree) -> None:
    context = given(client, "/", prompt="q4", conversation=tree.id, parent=tree.a2.id)
    assert texts(context).startswith("q1 a2 q4 ") and context["here"]["id"] == tree.id
    assert texts(given(client, f"/c/{tree.id}")) == f"q1 a2 q4 {POEM}"


@pytest.mark.parametrize(("parent", "shown"), [({}, "q1 a1 q3 a3 q4 "), ({"parent": ""}, "q4 ")])
def test_the_form_follows_the_newest_message_or_begins_anew(
    client: FlaskClient, tree: Tree, parent: dict[str, str], shown: str
) -> None:
    assert texts(given(client, "/", prompt="q4", conversation=tree.id, **parent)).startswith(shown)
    assert texts(given(client, f"/c/{tree.id}")) == f"{shown}{POEM}"


def test_what_is_wrong_is_said_beside_the_conversation(client: FlaskClient, tree: Tree) -> None:
    for blank in (" ", "\0"):
        context = given(client, "/", prompt=blank, conversation=tree.id)
        assert (texts(context), context["error"]) == ("q1 a1 q3 a3", "Please write a question first.")
    context = given(client, "/", prompt="x", model="no such", conversation=tree.id)
    assert (texts(context), context["draft"]) == ("q1 a1 q3 a3", "x")


def test_a_prompt_is_edited_in_the_composer_behind_what_is_before_it(client: FlaskClient, tree: Tree) -> None:
    _, second = given(client, f"/c/{tree.id}")["exchanges"]
    context = given(client, f"/c/{tree.id}?edit={second['asked']}")
    assert (texts(context), context["draft"]) == ("q1 a1", "q3")
    page = client.get(f"/c/{tree.id}?edit={second['asked']}").text
    assert f'name="parent" value="{tree.a1.id}"' in page


def test_an_answer_is_asked_for_again_beside_the_first(client: FlaskClient, tree: Tree) -> None:
    context = given(client, f"/answers/{tree.a2.id}/again", model="poem")
    assert texts(context).startswith("q1 ") and len(context["exchanges"]) == 1
    [again] = given(client, f"/c/{tree.id}")["exchanges"]
    assert (again["answer"], len(again["versions"]["answers"])) == (POEM, 3)


def test_what_is_not_there_is_neither_edited_nor_asked_again_nor_continued(client: FlaskClient, tree: Tree) -> None:
    assert [client.get(f"/c/{tree.id}?edit={each}").status_code for each in ("x", tree.a1.id)] == [404, 404]
    for verb in ("again", "continue"):
        assert client.post(f"/answers/{new_id()}/{verb}").status_code == 404
        assert another(client).post(f"/answers/{tree.a1.id}/{verb}").status_code == 404


def test_a_whole_answer_is_shown_and_not_continued(client: FlaskClient, tree: Tree) -> None:
    here(client).store.settle(tree.a3.id, "complete")
    shown = client.post(f"/answers/{tree.a3.id}/continue")
    assert (shown.status_code, shown.location) == (303, f"/c/{tree.id}?leaf={tree.a3.id}")


@pytest.mark.parametrize("where", [{"conversation": "x"}, {"parent": "x"}, {"parent": "a prompt"}])
def test_a_form_that_names_what_is_not_there_is_lost(client: FlaskClient, tree: Tree, where: dict[str, str]) -> None:
    form = {"prompt": "x", "conversation": tree.id, **where}
    if where.get("parent") == "a prompt":
        form["parent"] = tree.a1.parent
    answer = client.post("/", data=form, headers={"Accept": "text/html"})
    assert (answer.status_code, "There is no such page." in answer.text) == (404, True)


def test_the_page_that_an_answer_streams_into_knows_how_to_stop_it(tmp_path: Path) -> None:
    with browser(tmp_path, poem_delay_ms=100) as client:
        new = given(client, "/", leave=True, prompt="x")["exchanges"][-1]
        stopped = client.post(f"/answers/{new['stop']}/stop")
        assert (stopped.status_code, new["stop"]) == (303, new["leaf"])
        page = client.get(stopped.location).text
    assert re.search(r'data-state="stopped"', page) and POEM.startswith(text_of(page, "data-answer"))
