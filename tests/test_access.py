"""Who may: with a token, without one, and with somebody else's."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from answers.attempts import Attempts
from answers.database import Database
from answers.migrate import migrate
from answers.tables import attempts
from answers.tree import now_us
from app import create_app
from relay.access_settings import networks
from relay.settings import Settings
from web.address import client_group

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


def csrf_of(client: FlaskClient, page: str) -> str:
    """Take the word that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(page).text)
    assert found
    return found[1]


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


def test_an_address_has_so_many_attempts_a_minute(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, auth="token", tokens="alice=secret-of-alice", login_per_minute=3)
    migrate(settings)
    workers = [create_app(settings).test_client() for _ in range(2)]
    got = [workers[n % 2].post("/login", data={"token": "wrong"}).status_code for n in range(3)]
    assert got == [401, 401, 401]
    for worker in workers:
        refused = worker.post("/login", data={"token": "secret-of-alice"})
        assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
        assert "Too many attempts" in refused.text
    from_elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    assert workers[0].post("/login", data={"token": "secret-of-alice"}, **from_elsewhere).status_code == 303
    assert workers[0].get("/", headers=ALICE).status_code == 200


def test_attempts_are_counted_together_too_and_forgotten(database: Database) -> None:
    database.query(lambda connection: connection.execute(delete(attempts)))
    counted = Attempts(database, each=2, together=4)
    hammered = [counted.take("192.0.2.1") for _ in range(50)]
    others = [counted.take(f"192.0.2.{n}") for n in range(2, 40)]
    assert (hammered.count(True), others.count(True)) == (2, 2)

    def rows() -> list[tuple[int, str]]:
        asked = select(attempts.c.minute, attempts.c.address)
        return [tuple(row) for row in database.query(lambda connection: connection.execute(asked).all())]

    assert len(rows()) == 4  # one of them for all together
    database.query(lambda connection: connection.execute(update(attempts).values(minute=attempts.c.minute - 1)))
    assert counted.take("192.0.2.1")
    assert {address for _, address in rows()} == {"", "192.0.2.1"}


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "client"),
    [
        ("192.0.2.1", "", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.2.0.1", "10.0.0.0/8", "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", "10.0.0.0/8", "192.0.2.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.0/8", "10.0.0.2"),
        ("10.0.0.1", "nonsense", "10.0.0.0/8", "None"),
        ("2001:db8::1:2:3:4", "", "", "2001:db8::/64"),
    ],
)
def test_a_client_is_whom_our_own_proxies_name(remote: str, forwarded: str, proxies: str, client: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    known = networks(Settings(proxies=proxies))
    with Flask("test").test_request_context(headers=headers, environ_base={"REMOTE_ADDR": remote}):
        assert client_group(known) == client


def test_logging_out_everywhere_ends_the_sessions_of_all_devices(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, auth="token", tokens="alice=secret-of-alice bob=b", access_check_s=0)
    migrate(settings)
    app = create_app(settings)
    phone, laptop, bob = (app.test_client() for _ in range(3))
    for device in (phone, laptop):
        device.post("/login", data={"token": "secret-of-alice"})
    bob.post("/login", data={"token": "b"})
    assert phone.post("/logout/everywhere", data={"csrf": "guessed"}).status_code == 403
    assert laptop.get("/").status_code == 200
    assert phone.post("/logout/everywhere", data={"csrf": csrf_of(phone, "/account")}).status_code == 303
    assert [each.get("/").status_code for each in (phone, laptop, bob)] == [401, 401, 200]
    assert laptop.get("/", headers=ALICE).status_code == 200
    laptop.post("/login", data={"token": "secret-of-alice"})
    assert laptop.get("/").status_code == 200


def test_a_session_lasts_as_long_as_the_setting_says(client: FlaskClient) -> None:
    client.post("/login", data={"token": "secret-of-alice"})
    for since_us, status in ((now_us() - 604_700_000_000, 200), (now_us() - 604_801_000_000, 401)):
        with client.session_transaction() as session:
            session["since"] = since_us
        assert client.get("/").status_code == status


def test_a_cookie_that_was_changed_opens_nothing(client: FlaskClient) -> None:
    client.post("/login", data={"token": "secret-of-alice"})
    cookie = client.get_cookie("talkabout")
    assert cookie
    payload, _, signature = cookie.value.rpartition(".")
    flipped = "B" if signature[0] == "A" else "A"  # not the last, of which base64 does not use every bit
    for changed in (f"{payload}.{flipped}{signature[1:]}", f"x{cookie.value}", f"{payload}.", "x", "a.b.c"):
        client.set_cookie("talkabout", changed)
        assert client.get("/").status_code == 401


def test_a_cookie_of_a_server_without_tokens_opens_nothing_where_they_are_needed(
    client: FlaskClient, tmp_path: Path
) -> None:
    open_to_all = create_app(Settings(data_dir=tmp_path, embedded_model=False)).test_client()
    assert open_to_all.get("/").status_code == 200
    cookie = open_to_all.get_cookie("talkabout")
    assert cookie
    client.set_cookie("talkabout", cookie.value)
    assert client.get("/").status_code == 401


def test_a_login_form_of_another_site_is_refused(client: FlaskClient) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert client.post("/login", data={"token": "secret-of-alice"}, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "/%09/evil.example", "/..//evil.example"])
def test_nobody_is_led_to_another_site_after_the_login(client: FlaskClient, path: str) -> None:
    client.get(path, headers={"Accept": "text/html"})
    led = client.post("/login", data={"token": "secret-of-alice"}).headers["Location"]
    assert urlsplit(urljoin("http://localhost/login", led)).netloc == "localhost"


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


@pytest.mark.parametrize(
    ("settings", "ours", "others"),
    [
        (
            {},
            ["localhost", "127.0.0.1:8000", "[::1]:8000", "talkabout:80", "a.localhost"],
            ["evil.example", "a.b:8000"],
        ),
        (
            {"hosts": "chat.example"},
            ["chat.example", "CHAT.example.:443", "10.0.0.1"],
            ["evil.example", "x.chat.example"],
        ),
        ({"hosts": "*"}, ["evil.example"], []),
        ({"host": "0.0.0.0"}, ["chat.example"], []),
        ({"auth": "token"}, ["chat.example"], []),
        ({"auth": "token", "hosts": "chat.example"}, ["chat.example"], ["evil.example", "127.0.0.1.evil.example"]),
    ],
)
def test_the_server_answers_to_its_own_names_alone(
    tmp_path: Path, settings: dict[str, str], ours: list[str], others: list[str]
) -> None:
    made = Settings(data_dir=tmp_path, embedded_model=False, tokens="alice=secret-of-alice", **settings)
    migrate(made)
    asked = create_app(made).test_client()
    got = {host: asked.get("/api/conversations", headers={**ALICE, "Host": host}).status_code for host in ours + others}
    assert got == {**dict.fromkeys(ours, 200), **dict.fromkeys(others, 403)}
    assert all(asked.get("/healthz", headers={"Host": host}).status_code == 200 for host in others)
