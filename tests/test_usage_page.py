"""The pages of usage: everyone's for who administers, their own for every user; and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from answers import usage as usage_module
from answers.tokens import SCOPES, USUAL
from answers.usage import Spent, today
from relay.settings import Settings
from tests.apps import client as make_client
from tests.apps import here
from web import usage_page
from web.usage_page import harmless


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with make_client(Settings(data_dir=tmp_path, embedded_model=False, auth="token")) as made:
        for user, token, model, tokens in (
            ("alice", "", "poem", 1000),
            ("bob", "tok", "=cmd()", 2345),
            ("<b>eve</b>", "", "poem", 7),
        ):
            here(made).usage.record(user, token, model, Spent(tokens, 10, estimated=user == "bob"))
        come_as(made, "alice", USUAL)
        yield made
    here(made).store.close()


def come_as(client: FlaskClient, user: str, scopes: frozenset[str]) -> None:
    token, _ = here(client).tokens.create(user, scopes=scopes)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"


@pytest.fixture
def admin(client: FlaskClient) -> FlaskClient:
    come_as(client, "root", frozenset(SCOPES))
    return client


@pytest.mark.parametrize("path", ["/admin/usage", "/admin/usage.csv", "/admin/usage?user=bob"])
def test_who_does_not_administer_finds_nothing(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_everyone_sees_their_own_numbers_alone(client: FlaskClient) -> None:
    page = client.get("/usage?user=bob").text
    assert "1,000" in page and "2,345" not in page and ">bob<" not in page and "usage.csv" not in page


def test_who_administers_sees_all_by_day_user_model_and_token(admin: FlaskClient) -> None:
    page = admin.get("/admin/usage").text
    for said in ("3,352", "bob", "=cmd()", "tok", "&lt;b&gt;eve&lt;/b&gt;", today().isoformat()):
        assert said in page
    assert "<b>eve" not in page
    one = admin.get("/admin/usage?user=bob").text
    assert "2,345" in one and "eve&lt;" not in one and "3,352" not in one


def test_days_are_chosen_and_what_is_none_is_as_near_as_can_be(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = today()
    monkeypatch.setattr(usage_module, "today", lambda: now - timedelta(days=40))
    here(admin).usage.record("carol", "", "poem", Spent(4321, 1))
    assert "4,321" not in admin.get("/admin/usage").text
    old = (now - timedelta(days=40)).isoformat()
    assert "4,321" in admin.get(f"/admin/usage?from={old}&to={old}").text
    assert "Nothing was asked" in admin.get("/admin/usage?from=2001-01-01&to=2001-01-02").text
    for strange in (
        "from=x&to=y",
        f"from={now}&to={old}",
        "from=0001-01-01",
        "to=9999-12-31",
        "from=%00",
        "to=0001-01-01",
    ):
        assert admin.get(f"/admin/usage?{strange}").status_code == 200


def test_a_spreadsheet_gets_every_row_and_no_formula(admin: FlaskClient) -> None:
    response = admin.get("/admin/usage.csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert response.mimetype == "text/csv" and f"{today()}.csv" in response.headers["Content-Disposition"]
    bob = next(row for row in rows if row["user"] == "bob")
    assert bob == {
        "day": today().isoformat(),
        "user": "bob",
        "model": "'=cmd()",
        "token": "tok",
        "requests": "1",
        "prompt_tokens": "2345",
        "completion_tokens": "10",
        "estimated": "1",
    }
    assert len(rows) == 3 and len(admin.get("/admin/usage.csv?user=bob").text.splitlines()) == 2


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_what_could_be_a_formula_is_text(text: str) -> None:
    assert harmless(text) == f"'{text}" and harmless("a" + text) == "a" + text


def test_too_many_rows_for_a_file_are_refused(admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_page, "MAX_CSV_ROWS", 2)
    refused = admin.get("/admin/usage.csv")
    assert refused.status_code == 422 and "fewer days" in refused.text


@pytest.mark.parametrize(("tag", "word"), [("en", "Usage"), ("zh-Hans", "用量"), ("zh-Hant", "用量")])
def test_the_page_speaks_three_languages(admin: FlaskClient, tag: str, word: str) -> None:
    assert f"<h1>{word}</h1>" in admin.get(f"/admin/usage?lang={tag}").text
