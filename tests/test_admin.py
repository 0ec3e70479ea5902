"""The page of tokens: what administrators do there, and what others cannot make them do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from answers.limits import Limits
from answers.tokens import SCOPES, Token
from relay.settings import Settings
from tests.apps import client, here
from tests.test_access import csrf_of

PAGE = "/admin/tokens"


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application and the browser of its administrator."""
    with client(Settings(data_dir=tmp_path, embedded_model=False, auth="token", access_check_s=0)) as made:
        token, _ = here(made).tokens.create("boss", scopes=frozenset(SCOPES))
        made.post("/login", data={"token": token})
        yield made
    here(made).store.close()


def post(admin: FlaskClient, path: str = PAGE, **fields: str) -> tuple[int, str]:
    response = admin.post(path, data={"csrf": csrf_of(admin, PAGE), **fields})
    return response.status_code, response.text


def made_in(page: str) -> str:
    return re.search(r"<code>(tka_[\w-]{43})</code>", page)[1]


def newest(admin: FlaskClient) -> Token:
    return here(admin).tokens.list_()[0][0]


def test_a_token_is_shown_once_and_works(admin: FlaskClient) -> None:
    status, page = post(admin, user="bob", name="laptop", scope_api="on", days="9", requests_per_minute="5")
    token, row = made_in(page), newest(admin)
    assert status == 201 and token not in admin.get(PAGE).text
    assert (row.user, row.name, row.scopes, row.limits) == ("bob", "laptop", {"api"}, Limits(requests_per_minute=5))
    assert row.expires_us == pytest.approx(row.created_us + 9 * 86_400_000_000, abs=1_000_000)
    other = admin.application.test_client()
    assert other.get("/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user": ""}, "A name has 1 to 128 characters"),
        ({"user": "x" * 129}, "A name has 1 to 128 characters"),
        ({"user": "a\0b"}, "A name has 1 to 128 characters"),
        ({"scope_chat": ""}, "Choose what it opens."),
        ({"days": "0"}, "A whole number from 1 to 36500"),
        ({"days": "²"}, "A whole number from 1 to 36500"),
        ({"tokens_per_day": "2000000001"}, "A whole number from 1 to 2000000000"),
        ({"answers_at_once": "9" * 5000}, "A whole number from 1 to 2000000000"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_makes_nothing(
    admin: FlaskClient, fields: dict[str, str], said: str
) -> None:
    status, page = post(admin, **{"user": "bob", "name": "<b>kept</b>", "scope_chat": "on", **fields})
    assert (status, newest(admin).user) == (422, "boss")
    assert said in page and "&lt;b&gt;kept&lt;/b&gt;" in page and "<b>kept" not in page


def test_a_token_is_revoked(admin: FlaskClient) -> None:
    _, page = post(admin, user="bob", scope_chat="on")
    token, row = made_in(page), newest(admin)
    assert post(admin, f"{PAGE}/{row.id}/revoke")[0] == 303
    other = admin.application.test_client()
    assert other.get("/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert "revoked 20" in admin.get(PAGE).text and post(admin, f"{PAGE}/nothing/revoke")[0] == 404


def test_the_sessions_of_a_user_are_ended(admin: FlaskClient) -> None:
    token, _ = here(admin).tokens.create("bob")
    bob = admin.application.test_client()
    bob.post("/login", data={"token": token})
    assert post(admin, "/admin/sign-out", user="bob")[0] == 303
    assert bob.get("/").status_code == 401 and admin.get(PAGE).status_code == 200


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/x/revoke", "/admin/sign-out"])
@pytest.mark.parametrize("word", ["", "guessed", "é", "0" * 64])
def test_a_form_that_is_not_from_this_session_does_nothing(admin: FlaskClient, path: str, word: str) -> None:
    fields = {"csrf": word, "user": "mallory", "scope_admin": "on"}
    assert admin.post(path, data=fields).status_code == 403
    assert newest(admin).user == "boss"


def test_the_word_of_another_session_is_not_this_one_s(admin: FlaskClient) -> None:
    token, _ = here(admin).tokens.create("bob", scopes=frozenset(SCOPES))
    bob = admin.application.test_client()
    bob.post("/login", data={"token": token})
    assert admin.post(PAGE, data={"csrf": csrf_of(bob, PAGE), "user": "x", "scope_chat": "on"}).status_code == 403


def test_the_page_goes_on_where_one_page_ends(admin: FlaskClient) -> None:
    for number in range(101):
        here(admin).tokens.create(f"user-{number}")
    link = re.search(r'href="(/admin/tokens\?before=\d+)"', admin.get(PAGE).text)
    assert link and "user-0<" in admin.get(link[1]).text and "user-100<" in admin.get(PAGE).text
    for strange in ("x", "-1", "9" * 40, "1%00"):
        assert admin.get(f"{PAGE}?before={strange}").status_code == 200


def test_whoever_may_only_administer_comes_to_that_page(admin: FlaskClient) -> None:
    tokens = here(admin).tokens
    for scope, status, where in (("admin", 303, "/admin"), ("api", 401, None)):
        token, _ = tokens.create("x", scopes=frozenset({scope}))
        entered = admin.application.test_client().post("/login", data={"token": token})
        assert (entered.status_code, entered.headers.get("Location")) == (status, where)
