"""Tokens: made once, kept as a digest, found while they work, ended everywhere."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import delete, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection

from answers.database import Database
from answers.fresh import Fresh
from answers.limits import Limits
from answers.tables import tokens as table
from answers.tokens import AT_ONCE, SHAPE, Tokens, digest
from answers.tree import now_us
from relay.errors import DatabaseError, NotFound
from relay.settings import Settings
from tests.apps import client, here
from tests.servers import ROOT, Server
from tests.streams import events

SOON_S = 30.0


@pytest.fixture
def tokens(database: Database) -> Tokens:
    """Keep tokens, of which there are none yet."""
    database.query(lambda connection: connection.execute(delete(table)))
    return Tokens(database)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FlaskClient]:
    """Make an application that asks for tokens, and looks at them each time."""
    settings = Settings(data_dir=tmp_path, embedded_model=False, auth="token", access_check_s=0)
    with client(settings) as made:
        yield made
    here(made).store.close()


def run(app: FlaskClient, *words: str) -> Result:
    return app.application.test_cli_runner().invoke(args=["tokens", *words])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def status(app: FlaskClient, token: str) -> int:
    return app.get("/api/conversations", headers=bearer(token)).status_code


def test_a_token_is_found_as_it_was_made(tokens: Tokens) -> None:
    made, row = tokens.create("alice", "laptop", frozenset({"api"}), now_us() + 60_000_000, Limits(answers_at_once=2))
    found = tokens.find(digest(made))
    assert found and (found.id, found.user, found.name, found.scopes) == (row.id, "alice", "laptop", {"api"})
    assert found.limits == Limits(answers_at_once=2) and found.expires_us == row.expires_us and found.works()


def test_nothing_of_a_token_is_kept_but_its_digest(tokens: Tokens, database: Database) -> None:
    made, row = tokens.create("alice")
    kept = database.query(lambda connection: connection.execute(select(table)).one())
    assert SHAPE.fullmatch(made) and kept.digest == digest(made)
    assert not any(made[4:] in str(value) for value in [*kept, row])


def test_no_two_tokens_are_the_same(tokens: Tokens) -> None:
    assert len({tokens.create("alice")[0] for _ in range(50)}) == 50


def test_one_that_has_expired_or_was_revoked_is_not_found(tokens: Tokens) -> None:
    expired, _ = tokens.create("alice", expires_us=now_us() - 1)
    revoked, row = tokens.create("alice")
    assert tokens.any("alice") and tokens.any()
    first = tokens.revoke(row.id)
    assert tokens.find(digest(expired)) is None and tokens.find(digest(revoked)) is None
    assert tokens.revoke(row.id) == first and not tokens.any("alice") and not tokens.any()


def test_what_is_no_token_cannot_be_revoked(tokens: Tokens) -> None:
    with pytest.raises(NotFound):
        tokens.revoke("nothing")


def test_its_use_is_noted_but_not_each_time(tokens: Tokens) -> None:
    made, _ = tokens.create("alice")
    tokens.find(digest(made))
    used = tokens.list_()[0][0].used_us
    tokens.find(digest(made))
    assert used and tokens.list_()[0][0].used_us == used


def test_a_token_works_where_nothing_can_be_written(tokens: Tokens, database: Database) -> None:
    made, row = tokens.create("alice")
    make_read_only(database)
    with pytest.raises(DatabaseError):
        tokens.revoke(row.id)
    assert tokens.find(digest(made)) == row


def make_read_only(database: Database) -> None:
    statement = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
    if database.is_sqlite:
        statement = "PRAGMA query_only = ON"

    def refuse(connection: DBAPIConnection, _record: object) -> None:
        connection.cursor().execute(statement)
        connection.commit()

    database.close()
    event.listen(database.engine, "connect", refuse)


def test_a_long_list_comes_in_parts(tokens: Tokens) -> None:
    ids = [tokens.create("alice")[1].id for _ in range(AT_ONCE + 1)]
    newest, more = tokens.list_()
    oldest, no_more = tokens.list_(newest[-1].created_us)
    assert ([each.id for each in [*newest, *oldest]], more, no_more) == (ids[::-1], True, False)


def test_all_sessions_of_one_user_end(tokens: Tokens) -> None:
    began = now_us()
    tokens.sign_out("alice")
    tokens.sign_out("alice")
    assert tokens.signed_out_us("alice") >= began and tokens.signed_out_us("bob") == 0


def test_what_was_looked_up_is_kept_for_a_while_and_within_bounds() -> None:
    asked: list[int] = []

    def load(key: int) -> int | None:
        asked.append(key)
        return key or None

    fresh = Fresh(load, 60, most=2)
    assert [fresh.get(key) for key in (1, 1, 0, 0, 2, 3, 1)] == [1, 1, None, None, 2, 3, 1]
    assert asked == [1, 0, 0, 2, 3, 1]
    stale = Fresh(load, 0)
    assert [stale.get(1), stale.get(1)] == [1, 1] and asked[6:] == [1, 1]


def test_the_command_prints_a_token_alone_and_it_works(app: FlaskClient) -> None:
    made = run(app, "create", "alice", "--name", "laptop", "--days", "30", "--tokens-per-day", "9")
    assert made.exit_code == 0 and SHAPE.fullmatch(made.stdout.strip())
    assert "of alice: chat api, expires " in made.stderr and "9 tokens per day" in made.stderr
    assert status(app, made.stdout.strip()) == 200
    listed = run(app, "list").stdout
    assert "laptop" in listed and made.stdout.strip() not in listed and digest(made.stdout.strip()) not in listed


def test_the_command_revokes(app: FlaskClient) -> None:
    token = run(app, "create", "alice").stdout.strip()
    id_ = run(app, "list").stdout.splitlines()[1].split()[0]
    assert run(app, "revoke", id_).exit_code == 0 and status(app, token) == 401
    assert "revoked" in run(app, "list").stdout
    assert run(app, "revoke", "nothing").output == "Error: no token 'nothing'\n"


@pytest.mark.parametrize(
    "words", [["a b\n"], [" a"], [""], ["x" * 129], ["a", "--days", "0"], ["a", "--scope", "root"]]
)
def test_the_command_makes_no_token_for_what_is_wrong(app: FlaskClient, words: list[str]) -> None:
    assert run(app, "create", *words).exit_code == 2
    assert here(app).tokens.list_() == ([], False)


def test_the_first_token_can_be_made_before_the_server_was_started(tmp_path: Path) -> None:
    environ = {"TALKABOUT_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "tokens", "create", "alice", "--admin"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True)
    with Server(tmp_path, TALKABOUT_AUTH="token") as server:
        headers = bearer(done.stdout.strip())
        assert requests.get(f"{server.url}/api/conversations", headers=headers, timeout=5).status_code == 200
        assert "make the first token" not in server.log.read_text()


def test_a_revoked_token_ends_on_every_worker_its_open_streams_too(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2, TALKABOUT_AUTH="token", TALKABOUT_ACCESS_CHECK_S="1") as server:
        assert "make the first token: .venv/bin/flask --app wsgi tokens create" in server.log.read_text()
        settings = Settings(data_dir=tmp_path)
        mine = Tokens(Database(settings))
        token, row = mine.create("alice")
        other, _ = mine.create("alice")
        url, headers = f"{server.url}/sse/connect/alice", bearer(token)
        with (
            requests.get(url, headers=headers, stream=True, timeout=SOON_S) as stream,
            requests.get(url, headers=bearer(other), stream=True, timeout=SOON_S) as going_on,
        ):
            read = stream.iter_content(None)
            assert b"event: open" in next(read)
            for _ in range(8):  # each on a connection of its own, so that both workers know the token
                assert requests.get(f"{server.url}/api/conversations", headers=headers, timeout=5).ok
            mine.revoke(row.id)
            began = time.monotonic()
            list(read)  # ends
            assert time.monotonic() - began < SOON_S
            answers = [requests.get(f"{server.url}/api/conversations", headers=headers, timeout=5) for _ in range(8)]
            assert {each.status_code for each in answers} == {401}
            published = requests.post(
                f"{server.url}/sse/send/alice", json={"data": "still"}, headers=bearer(other), timeout=5
            )
            assert published.ok and any("still" in event.data for event in events(going_on))
