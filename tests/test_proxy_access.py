"""A proxy that says who comes: believed where it stands, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from relay.errors import SettingError
from relay.settings import Settings, load
from tests.apps import client, here
from tests.test_access import csrf_of

PROXY, ELSEWHERE = "10.0.0.7", "192.0.2.1"
LIST = "/api/conversations"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application behind proxies of one network, and a way to it through one."""
    more = {"auth": "proxy", "proxies": "10.0.0.0/8", "proxy_admins": "boss", "access_check_s": 0}
    with client(Settings(data_dir=tmp_path, embedded_model=False, **more)) as made:
        made.environ_base["REMOTE_ADDR"] = PROXY
        yield made
    here(made).store.close()


def named(user: str) -> dict[str, str]:
    return {"X-Forwarded-User": user.encode().decode("latin-1")}


def test_whom_the_proxy_names_is_the_user(app: FlaskClient) -> None:
    assert app.post("/sse/send/alice", json={"data": 1}, headers=named("alice")).status_code == 202
    assert app.post("/sse/send/alice", json={"data": 1}, headers=named("bob")).status_code == 404
    assert "You are 李雷." in app.get("/account", headers=named("李雷")).text


@pytest.mark.parametrize("said", ["", " ", "alice,bob", "alice, bob", "a\tb", "x" * 129])
def test_what_names_nobody_is_a_401_and_no_login(app: FlaskClient, said: str) -> None:
    for headers in (named(said), {**named(said), "Accept": "text/html"}):
        assert app.get("/", headers=headers).status_code == 401
    assert app.get("/", headers={"Accept": "text/html"}).status_code == 401
    assert app.get("/login").headers["Location"] == "/"


def test_the_header_of_anyone_else_is_not_believed(app: FlaskClient) -> None:
    forged = {**named("alice"), "X-Forwarded-For": PROXY}
    assert app.get(LIST, headers=forged, environ_base={"REMOTE_ADDR": ELSEWHERE}).status_code == 401
    assert app.get(LIST, headers=forged, environ_base={"REMOTE_ADDR": ""}).status_code == 401


def test_a_session_is_no_proof_here(app: FlaskClient) -> None:
    with app.session_transaction() as session:
        session.update(oidc="alice", admin=True, since=1 << 61, token="x", user="alice")
    assert app.get(LIST).status_code == 401


def test_a_token_works_beside_it_and_goes_first(app: FlaskClient) -> None:
    token, row = here(app).tokens.create("alice")
    both = {**named("bob"), "Authorization": f"Bearer {token}"}
    assert app.post("/sse/send/alice", json={"data": 1}, headers=both).status_code == 202
    assert app.get(LIST, headers=both, environ_base={"REMOTE_ADDR": ELSEWHERE}).status_code == 200
    here(app).tokens.revoke(row.id)
    assert app.get(LIST, headers=both).status_code == 401


@pytest.mark.parametrize("authorization", ["Basic Ym9iOng=", "Bearer of-the-proxys-own"])
def test_what_a_proxy_adds_by_itself_neither_helps_nor_hinders(app: FlaskClient, authorization: str) -> None:
    headers = {**named("alice"), "Authorization": authorization}
    assert app.get(LIST, headers=headers).status_code == 200
    foreign = {**headers, "Sec-Fetch-Site": "cross-site"}
    assert app.post("/stream", json={"name": "x"}, headers=foreign).status_code == 403


def test_whom_the_setting_names_administers(app: FlaskClient) -> None:
    assert [app.get("/admin/tokens", headers=named(user)).status_code for user in ("boss", "bob")] == [200, 404]
    app.environ_base["HTTP_X_FORWARDED_USER"] = "boss"
    fields = {"user": "bob", "scope_chat": "on"}
    assert app.post("/admin/tokens", data=fields).status_code == 403
    fields["csrf"] = csrf_of(app, "/admin/tokens")
    assert app.post("/admin/tokens", data=fields).status_code == 201


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"AUTH": "proxy"}, "TALKABOUT_PROXIES: TALKABOUT_AUTH=proxy needs the addresses of the proxies"),
        ({"AUTH": "proxy", "PROXIES": "all"}, "TALKABOUT_PROXIES: expected addresses and networks"),
        ({"PROXIES": "10.0.0.1/8"}, "TALKABOUT_PROXIES: expected addresses and networks"),
        ({"AUTH": "oidc"}, "TALKABOUT_OIDC_ISSUER: TALKABOUT_AUTH=oidc needs it"),
        ({"AUTH": "oidc", "OIDC_ISSUER": "https://x"}, "TALKABOUT_OIDC_CLIENT_ID: TALKABOUT_AUTH=oidc needs it"),
        (
            {"AUTH": "oidc", "OIDC_ISSUER": "https://x", "OIDC_CLIENT_ID": "x", "OIDC_ALLOW": "staff"},
            "TALKABOUT_OIDC_ALLOW: expected claim=value pairs",
        ),
        (
            {"AUTH": "oidc", "OIDC_ISSUER": "https://x", "OIDC_CLIENT_ID": "x", "OIDC_SCOPES": "email"},
            "TALKABOUT_OIDC_SCOPES: expected scopes with openid",
        ),
    ],
)
def test_what_does_not_fit_together_stops_the_start(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        load({f"TALKABOUT_{name}": value for name, value in values.items()}, None)
