"""Every route, asked by every kind of caller: what each gets stands in one table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient

from answers.file_kinds import of_text
from answers.store import AnswerRow
from answers.tokens import SCOPES, Tokens
from answers.tree import now_us
from relay.settings import Settings
from tests.apps import client, here, settled
from web.scopes import SCOPES as SCOPES_OF_ROUTES

WHO = ("none", "wrong", "revoked", "expired", "api only", "other", "chat only", "own", "admin")
OK = 0  # what the row says
RULES = {
    "all": (OK, OK, OK, OK, OK, OK, OK, OK, OK),
    "any": (401, 401, 401, 401, OK, OK, OK, OK, OK),
    "chat": (401, 401, 401, 401, 403, OK, OK, OK, OK),
    "chat, own": (401, 401, 401, 401, 403, 404, OK, OK, 404),
    "api": (401, 401, 401, 401, OK, OK, 403, OK, OK),
    "admin": (401, 401, 401, 401, 404, 404, 404, 404, OK),
}


class Row(NamedTuple):
    """Say who may, what the route answers to them, and what it is asked with."""

    rule: str
    ok: int = 200
    sent: Any = None


def form(**fields: object) -> dict[str, object]:
    return {"data": fields}


def body(**fields: object) -> dict[str, object]:
    return {"json": fields}


TABLE = {
    "GET /static/<path:filename>": Row("all"),
    "GET /healthz": Row("all"),
    "GET /readyz": Row("all"),
    "GET /metrics": Row("any"),
    "GET /login": Row("all"),
    "POST /login": Row("all", 401, form(token="wrong")),
    "GET /login/oidc": Row("all", 404),
    "GET /login/callback": Row("all", 404),
    "POST /logout": Row("any", 303),
    "POST /logout/everywhere": Row("any", 303, form(csrf="")),
    "GET /account": Row("any"),
    "GET /admin": Row("admin", 303),
    "GET /admin/tokens": Row("admin"),
    "POST /admin/tokens": Row("admin", 201, form(user="x", scope_chat="on")),
    "POST /admin/tokens/<token>/revoke": Row("admin", 303, form(csrf="")),
    "POST /admin/sign-out": Row("admin", 303, form(user="x")),
    "GET /admin/usage": Row("admin"),
    "GET /admin/usage.csv": Row("admin"),
    "GET /usage": Row("chat"),
    "GET /s/<token>": Row("all"),
    "GET /": Row("chat"),
    "POST /": Row("chat", 200, form(prompt="x")),
    "GET /c/<conversation>": Row("chat, own"),
    "GET /conversations": Row("chat"),
    "GET /playground": Row("chat"),
    "POST /answers/<answer>/again": Row("chat, own", 200, form(model="poem")),
    "POST /answers/<answer>/continue": Row("chat, own", 303, form()),
    "POST /answers/<answer>/stop": Row("chat, own", 303, form()),
    "POST /stream": Row("chat", 200, body(name="x")),
    "POST /talkeAbout": Row("chat", 200, body(prompt="x")),
    "POST /talkeAbouttestSseEmitter": Row("chat", 200, body(prompt="x")),
    "GET /talkeAbouttestEvent": Row("chat"),
    "POST /talkeAbouttestEvent": Row("chat", 200, body(prompt="x")),
    "GET /sse/connect/<user_id>": Row("chat, own"),
    "POST /sse/send/<user_id>": Row("chat, own", 202, body(data=1)),
    "POST /playground/cut": Row("chat", 202, body(cut="x")),
    "POST /api/answers": Row("chat", 202, body(prompt="x")),
    "GET /api/answers/<answer>": Row("chat, own"),
    "GET /api/answers/<answer>/events": Row("chat, own"),
    "POST /api/answers/<answer>/stop": Row("chat, own"),
    "POST /api/answers/<answer>/continue": Row("chat, own", 409),
    "GET /api/conversations": Row("chat"),
    "POST /api/conversations": Row("chat", 201, body(title="x")),
    "POST /api/conversations/import": Row("chat", 422, body()),
    "GET /api/conversations/<conversation>": Row("chat, own"),
    "PATCH /api/conversations/<conversation>": Row("chat, own", 200, body(title="y")),
    "DELETE /api/conversations/<conversation>": Row("chat, own", 204),
    "POST /api/conversations/<conversation>/restore": Row("chat, own"),
    "GET /api/conversations/<conversation>/export": Row("chat, own"),
    "POST /api/conversations/<conversation>/share": Row("chat, own", 201, body()),
    "DELETE /api/conversations/<conversation>/share": Row("chat, own", 204),
    "GET /v1/models": Row("api"),
    "GET /v1/models/<path:model>": Row("api"),
    "POST /v1/chat/completions": Row("api", 200, body(model="poem", messages=[{"role": "user", "content": "x"}])),
    "GET /v1/chat/completions/<id_>/events": Row("api", 404),
    "POST /v1/chat/completions/<id_>/stop": Row("api", 404),
    "GET /api/probe/<key>": Row("chat"),
    "GET /api/probe/<key>/gone": Row("chat"),
    "POST /api/files": Row("chat", 201, {"data": {"file": (io.BytesIO, b"text", "a.txt")}}),
    "GET /api/files/<file>": Row("chat, own"),
    "DELETE /api/files/<file>": Row("chat, own", 204),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """Make an application that asks for tokens."""
    folder = tmp_path_factory.mktemp("who")
    settings = Settings(data_dir=folder, embedded_model=False, auth="token", poem_delay_ms=0, login_per_minute=1000)
    with client(settings) as made:
        yield made
    here(made).store.close()


@pytest.fixture(scope="module")
def tokens(app: FlaskClient) -> dict[str, str]:
    """Make a token for each kind of caller."""
    made: Tokens = here(app).tokens
    revoked, row = made.create("me")
    made.revoke(row.id)
    return {
        "none": "",
        "wrong": "tka_" + 43 * "x",
        "revoked": revoked,
        "expired": made.create("me", expires_us=now_us() - 1)[0],
        "api only": made.create("me", scopes=frozenset({"api"}))[0],
        "other": made.create("other")[0],
        "chat only": made.create("me", scopes=frozenset({"chat"}))[0],
        "own": made.create("me")[0],
        "admin": made.create("boss", scopes=frozenset(SCOPES))[0],
    }


def routes(app: FlaskClient) -> dict[str, str]:
    """List what is served, with the endpoint of each."""
    return {
        f"{method} {rule.rule}": rule.endpoint
        for rule in app.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def address(app: FlaskClient, route: str) -> str:
    """Name something of `me` that the route can be asked for, made for this alone."""
    services, row = here(app), settled_answer(app)
    path = route.partition(" ")[2].replace("<path:filename>", "css/base.css").replace("<user_id>", "me")
    path = (
        path.replace("<path:model>", "poem")
        .replace("<key>", 16 * "0")
        .replace("<id_>", "00000000-0000-4000-8000-000000000000")
    )
    if "<file>" in path:
        path = path.replace("<file>", services.files.add("me", of_text("a.txt", "text/plain", 4, "text")).id)
    if route == "GET /s/<token>":
        path = f"/s/{services.shares.share('me', row.conversation).shared}"
    if path.startswith("/admin"):
        path = path.replace("<token>", services.tokens.create("x")[1].id)
    if path.endswith("/restore"):
        services.hidden.hide("me", row.conversation)
    return path.replace("<answer>", row.id).replace("<conversation>", row.conversation)


def settled_answer(app: FlaskClient) -> AnswerRow:
    return settled(here(app).store, "me", "x", "1")


def sent(row: Row) -> dict[str, Any]:
    """Make what a request carries; a file is read up, so each has its own."""
    given = dict(row.sent or {})
    if "file" in given.get("data", {}):
        make, data, name = given["data"]["file"]
        given["data"] = {"file": (make(data), name)}
    return given


def test_every_route_stands_in_the_table(app: FlaskClient) -> None:
    assert set(TABLE) == set(routes(app))


def test_every_route_has_a_scope_and_no_scope_is_without_a_route(app: FlaskClient) -> None:
    assert set(SCOPES_OF_ROUTES) == set(routes(app).values())


@pytest.mark.parametrize("route", TABLE)
def test_each_kind_of_caller_gets_what_the_table_says(app: FlaskClient, tokens: dict[str, str], route: str) -> None:
    row, got = TABLE[route], {}
    for who in WHO:
        headers = {"Authorization": f"Bearer {tokens[who]}"} if tokens[who] else {}
        method = route.partition(" ")[0]
        with app.open(address(app, route), method=method, headers=headers, buffered=False, **sent(row)) as response:
            got[who] = response.status_code
    assert got == {who: status or row.ok for who, status in zip(WHO, RULES[row.rule], strict=True)}


def test_a_route_that_the_scopes_do_not_know_is_there_for_nobody(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as made:
        made.application.add_url_rule("/new", "new", lambda: "new")
        assert made.get("/new").status_code == 404


def test_nobody_administers_where_nobody_is_asked(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as made:
        for route, endpoint in routes(made).items():
            if SCOPES_OF_ROUTES[endpoint] == "admin":
                method, path = route.split(" ", 1)
                assert made.open(path, method=method, data={"user": "x"}).status_code == 404, route
