"""Who may: with a token, without one, and with somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from answers.migrate import migrate
from app import create_app
from relay.settings import Settings

ALICE = {"Authorization": "Bearer secret-of-alice"}
GUARDED = [("GET", "/"), ("GET", "/playground"), ("GET", "/metrics"), ("GET", "/sse/connect/alice")]
GUARDED += [("POST", path) for path in ("/", "/stream", "/talkeAbout", "/talkeAbouttestEvent", "/sse/send/alice")]


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """Make an application that knows Alice and Bob by their tokens."""
    tokens = "alice=secret-of-alice bob=secret-of-bob"
    settings = Settings(data_dir=tmp_path, embedded_model=False, auth="token", tokens=tokens, poem_delay_ms=0)
    migrate(settings)
    return create_app(settings).test_client()


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "given", ["", "Bearer wrong", "Bearer ", "Basic c2VjcmV0", "Bearer sécret", "Bearer secret-of-alice x"]
)
def test_without_a_valid_token_everything_is_a_401(client: FlaskClient, method: str, path: str, given: str) -> None:
    headers = {"Authorization": given.encode().decode("latin-1")} if given else {}
    response = client.open(path, method=method, headers=headers)
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/static/css/base.css"])
def test_what_is_open_to_all_needs_none(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        assert response.status_code == 200


def test_a_token_opens_the_endpoints(client: FlaskClient) -> None:
    assert client.post("/stream", json={"name": "x"}, headers=ALICE).status_code == 200


def test_another_users_channel_does_not_exist(client: FlaskClient) -> None:
    assert client.get("/sse/connect/bob", headers=ALICE).status_code == 404
    assert client.post("/sse/send/bob", json={"data": 1}, headers=ALICE).status_code == 404
    assert client.post("/sse/send/alice", json={"data": 1}, headers=ALICE).status_code == 202


def test_a_browser_without_a_session_is_led_to_the_login_page(client: FlaskClient) -> None:
    response = client.get("/", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["Location"]) == (303, "/login")


@pytest.mark.parametrize("path", ["/sse/connect/alice", "/talkeAbouttestEvent", "/metrics"])
def test_a_program_is_never_led_to_the_login_page(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")


def test_the_login_page_gives_a_session_for_a_token(client: FlaskClient) -> None:
    response = client.post("/login", data={"token": "secret-of-alice"})
    cookie = response.headers["Set-Cookie"]
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "secret-of-alice" not in cookie
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("/c/1?leaf=2&lang=en", "/c/1?leaf=2&lang=en"),
        ("/c/%0d%0aX:1", "/c/%0D%0AX%3A1"),
        ("/c/愿", "/c/%E6%84%BF"),
        (f"/c/{'x' * 1000}", "/"),
    ],
)
def test_who_logs_in_comes_to_the_page_that_was_wanted(client: FlaskClient, wanted: str, shown: str) -> None:
    assert client.get(wanted, headers={"Accept": "text/html"}).headers["Location"] == "/login"
    client.post("/login", data={"token": "wrong"})
    for expected in (shown, "/"):
        response = client.post("/login", data={"token": "secret-of-alice"})
        assert (response.status_code, response.headers["Location"]) == (303, expected)


def test_a_wrong_token_shows_the_login_page_again(client: FlaskClient) -> None:
    response = client.post("/login", data={"token": "wrong"})
    assert (response.status_code, "This token is not valid here." in response.text) == (401, True)


def test_logging_out_ends_the_session(client: FlaskClient) -> None:
    client.post("/login", data={"token": "secret-of-alice"})
    client.post("/logout")
    assert client.get("/").status_code == 401


def test_a_session_ends_when_its_token_is_taken_away(client: FlaskClient, tmp_path: Path) -> None:
    client.post("/login", data={"token": "secret-of-alice"})
    cookie = client.get_cookie("talkabout")
    assert cookie
    without_alice = create_app(Settings(data_dir=tmp_path, auth="token", tokens="bob=secret-of-bob")).test_client()
    without_alice.set_cookie("talkabout", cookie.value)
    assert without_alice.get("/").status_code == 401


def test_another_sites_page_cannot_use_a_session(client: FlaskClient) -> None:
    client.post("/login", data={"token": "secret-of-alice"})
    response = client.post("/stream", json={"name": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403


def test_the_cookie_is_secure_where_the_client_came_by_https(client: FlaskClient) -> None:
    response = client.post("/login", data={"token": "secret-of-alice"}, base_url="https://localhost")
    assert "Secure" in response.headers["Set-Cookie"]
