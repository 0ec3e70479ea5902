"""Signing in at a provider that runs beside the test: who comes in, as whom, and what is refused."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from answers.tokens import SCOPES
from relay.settings import Settings
from tests.apps import client, here
from tests.oidc_provider import CLIENT, SECRET, Provider, running
from tests.servers import Server
from tests.test_access import csrf_of

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(shared: Provider) -> Provider:
    """Lend the provider, telling the truth."""
    shared.claims, shared.says, shared.nonce, shared.signs = {"sub": "alice"}, {}, None, shared.key
    shared.offers, shared.leads_back_to, shared.signed_out = {}, [], []
    return shared


def of(provider: Provider, folder: Path, **more: object) -> Settings:
    known = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    return Settings(data_dir=folder, embedded_model=False, auth="oidc", access_check_s=0, **{**known, **more})


@pytest.fixture
def app(provider: Provider, tmp_path: Path) -> Iterator[FlaskClient]:
    with client(of(provider, tmp_path)) as made:
        yield made
    here(made).store.close()


def sign_in(browser: FlaskClient) -> TestResponse:
    """Go to the provider and come back, as a browser is led."""
    led = browser.get("/login/oidc", headers=PAGE)
    assert led.status_code == 302, led.text
    back = requests.get(led.headers["Location"], allow_redirects=False, timeout=10)
    return browser.get(back.headers["Location"], headers=PAGE)


def test_who_signs_in_there_is_a_user_here(app: FlaskClient) -> None:
    assert app.get("/c/1?lang=en", headers=PAGE).headers["Location"] == "/login"
    assert 'href="/login/oidc"' in app.get("/login").text
    back = sign_in(app)
    assert (back.status_code, back.headers["Location"]) == (303, "/c/1?lang=en")
    assert app.post("/sse/send/alice", json={"data": 1}).status_code == 202
    assert app.post("/sse/send/bob", json={"data": 1}).status_code == 404
    assert app.get("/admin/tokens").status_code == 404 and "You are alice." in app.get("/account").text


def test_the_way_there_carries_state_nonce_and_a_challenge(app: FlaskClient) -> None:
    led = app.get("/login/oidc").headers["Location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(led).query).items()}
    assert asked["code_challenge_method"] == "S256" and len(asked["state"]) >= 20 and len(asked["nonce"]) >= 20
    assert asked["redirect_uri"] == "http://localhost/login/callback" and asked["response_type"] == "code"
    assert SECRET not in led


def test_a_code_without_its_verifier_is_worth_nothing(app: FlaskClient, provider: Provider) -> None:
    led = app.get("/login/oidc").headers["Location"]
    back = requests.get(led, allow_redirects=False, timeout=10).headers["Location"]
    form = {"grant_type": "authorization_code", "code": parse_qs(urlsplit(back).query)["code"][0]}
    form |= {"redirect_uri": "http://localhost/login/callback", "code_verifier": "x" * 43}
    refused = requests.post(f"{provider.issuer}/token", data=form, auth=(CLIENT, SECRET), timeout=10)
    assert refused.json()["error"] == "invalid_grant"


def test_what_another_browser_brings_back_signs_nobody_in(app: FlaskClient) -> None:
    led = app.get("/login/oidc").headers["Location"]
    back = requests.get(led, allow_redirects=False, timeout=10).headers["Location"]
    victim = app.application.test_client()
    assert victim.get(back, headers=PAGE).status_code == 401 and victim.get("/").status_code == 401
    assert app.get(back.replace("state=", "state=x"), headers=PAGE).status_code == 401
    assert app.get("/login/callback?error=access_denied", headers=PAGE).status_code == 401
    assert app.get("/login/callback", headers=PAGE).status_code == 401 and app.get("/").status_code == 401


def test_what_was_brought_back_works_once(app: FlaskClient) -> None:
    led = app.get("/login/oidc").headers["Location"]
    back = requests.get(led, allow_redirects=False, timeout=10).headers["Location"]
    assert [app.get(back, headers=PAGE).status_code for _ in range(2)] == [303, 401]


@pytest.mark.parametrize("lie", [{"iss": "https://evil.example"}, {"aud": ["another"]}, {"exp": 1}])
def test_an_id_token_that_is_not_for_us_now_is_refused(
    app: FlaskClient, provider: Provider, lie: dict[str, object]
) -> None:
    provider.says = lie
    assert sign_in(app).status_code == 401 and app.get("/").status_code == 401


def test_an_id_token_of_another_try_or_key_is_refused(app: FlaskClient, provider: Provider) -> None:
    provider.nonce = "of-another-try"
    assert sign_in(app).status_code == 401
    provider.nonce, provider.signs = None, RSAKey.generate_key(2048, parameters={"kid": "1"})
    assert sign_in(app).status_code == 401 and app.get("/").status_code == 401


@pytest.mark.parametrize(
    ("rules", "claims", "status"),
    [
        ("groups=staff", {"groups": ["staff", "x"]}, 303),
        ("groups=staff", {"groups": "staff"}, 303),
        ("groups=staff", {"groups": "staff-of-others"}, 403),
        ("groups=staff", {}, 403),
        ("email=@example.com", {"email": "a@Example.com", "email_verified": True}, 303),
        ("email=@example.com", {"email": "a@example.com", "email_verified": False}, 403),
        ("email=@example.com", {"email": "a@evil-example.com", "email_verified": True}, 403),
        ("email=@example.com", {"email": "a@example.com.evil", "email_verified": True}, 403),
        ("hd=example.com groups=staff", {"groups": ["staff"]}, 303),
    ],
)
def test_only_who_is_allowed_comes_in(
    provider: Provider, tmp_path: Path, rules: str, claims: dict[str, object], status: int
) -> None:
    provider.claims = {"sub": "alice", **claims}
    with client(of(provider, tmp_path, oidc_allow=rules)) as app:
        assert sign_in(app).status_code == status
        assert app.get("/").status_code == (200 if status == 303 else 401)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"email": "a@example.com", "email_verified": True}, 303),
        ({"email": "a@example.com"}, 403),
        ({"email_verified": True}, 403),
        ({"email": "a\n@example.com", "email_verified": True}, 403),
    ],
)
def test_an_address_names_a_user_only_if_it_was_verified(
    provider: Provider, tmp_path: Path, claims: dict[str, object], status: int
) -> None:
    provider.claims = {"sub": "1", **claims}
    with client(of(provider, tmp_path, oidc_user_claim="email")) as app:
        assert sign_in(app).status_code == status


def test_whom_the_provider_says_so_of_administers(provider: Provider, tmp_path: Path) -> None:
    provider.claims = {"sub": "alice", "groups": ["admins"]}
    with client(of(provider, tmp_path, oidc_admins="groups=admins")) as app:
        sign_in(app)
        assert app.get("/admin/tokens").status_code == 200


def test_a_session_is_ended_everywhere_and_tokens_work_beside_it(app: FlaskClient) -> None:
    sign_in(app)
    tokens = here(app).tokens
    token, _ = tokens.create("alice", scopes=frozenset(SCOPES))
    tokens.sign_out("alice")
    assert app.get("/").status_code == 401
    assert app.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert app.post("/login", data={"token": token}).status_code == 303 and app.get("/admin/tokens").status_code == 200


def test_a_provider_that_is_away_is_told_and_nothing_else(tmp_path: Path) -> None:
    gone = Settings(
        data_dir=tmp_path, embedded_model=False, auth="oidc", oidc_issuer="http://127.0.0.1:9", oidc_client_id="x"
    )
    with client(gone) as app:
        led = app.get("/login/oidc", headers=PAGE)
        assert led.status_code == 502 and "127.0.0.1" not in led.text


@pytest.mark.parametrize("everywhere", [False, True])
def test_who_signs_out_is_led_to_the_provider_and_back(provider: Provider, tmp_path: Path, everywhere: bool) -> None:
    provider.offers = {"end_session_endpoint": f"{provider.issuer}/leave?of=all"}
    provider.leads_back_to = ["http://localhost/login"]
    with client(of(provider, tmp_path)) as app:
        sign_in(app)
        word = csrf_of(app, "/account")
        page = app.post("/logout/everywhere" if everywhere else "/logout", data={"csrf": word})
        assert app.get("/").status_code == 401 and "alice" not in page.text
        [there] = {html.unescape(found) for found in re.findall(r'(?:href="|url=)(http[^"]+)"', page.text)}
        back = requests.get(there, allow_redirects=False, timeout=10)
    assert (back.status_code, back.headers["Location"]) == (302, "http://localhost/login")
    assert provider.signed_out == ["http://localhost/login"]
    assert parse_qs(urlsplit(there).query)["of"] == ["all"] and SECRET not in there


@pytest.mark.parametrize("offered", [{}, {"end_session_endpoint": ""}, {"end_session_endpoint": "javascript:alert(1)"}])
def test_a_provider_that_offers_no_way_out_is_left_alone(
    provider: Provider, tmp_path: Path, offered: dict[str, str]
) -> None:
    provider.offers = offered
    with client(of(provider, tmp_path)) as app:
        sign_in(app)
        left = app.post("/logout")
        assert (left.status_code, left.headers["Location"]) == (303, "/login") and app.get("/").status_code == 401


def test_who_came_with_a_token_signs_out_here_alone(provider: Provider, tmp_path: Path) -> None:
    provider.offers = {"end_session_endpoint": f"{provider.issuer}/leave"}
    with client(of(provider, tmp_path)) as app:
        app.post("/login", data={"token": here(app).tokens.create("alice", scopes=frozenset(SCOPES))[0]})
        assert app.post("/logout").headers["Location"] == "/login"


def test_a_provider_that_is_away_keeps_nobody_signed_in(tmp_path: Path) -> None:
    with running() as gone, client(of(gone, tmp_path)) as app:
        sign_in(app)
        session = app.get_cookie("talkabout")
    assert session
    with client(of(gone, tmp_path)) as app:  # which has not asked it for anything yet
        app.set_cookie("talkabout", session.value)
        assert app.get("/").status_code == 200
        assert app.post("/logout").headers["Location"] == "/login" and app.get("/").status_code == 401


def test_where_there_is_no_provider_there_is_no_way_to_one(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False, auth="token")) as app:
        assert [app.get(path).status_code for path in ("/login/oidc", "/login/callback")] == [404, 404]


def test_it_works_under_gunicorn_and_gevent(provider: Provider, tmp_path: Path) -> None:
    settings = {"AUTH": "oidc", "OIDC_ISSUER": provider.issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}
    with (
        Server(tmp_path, workers=2, **{f"TALKABOUT_{name}": value for name, value in settings.items()}) as server,
        requests.Session() as browser,
    ):
        page = browser.get(f"{server.url}/login/oidc", headers=PAGE, timeout=20)
        assert (page.status_code, page.url) == (200, f"{server.url}/")
        assert SECRET not in server.log.read_text()
