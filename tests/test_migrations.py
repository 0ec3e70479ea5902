"""Migrations: from nothing to what the code needs, once, whoever starts at the same time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest
import requests
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from answers.conversations import Conversation
from answers.database import Database
from answers.hidden import Hidden
from answers.migrate import MIGRATIONS, config, migrate
from answers.store import Store
from answers.tables import SCHEMA, metadata
from app import create_app
from relay.errors import DatabaseError, NotMigrated
from relay.settings import Settings
from tests.postgres import PostgresServer
from tests.servers import ROOT, Server

OLD = str(uuid.UUID(int=1))
MIGRATE = "import sys, pathlib; from answers.migrate import migrate; from relay.settings import Settings;"
MIGRATE += "migrate(Settings(data_dir=pathlib.Path(sys.argv[1]), database_url=sys.argv[2]))"


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Name a database in which there is nothing."""
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return Settings(data_dir=tmp_path, database_url=server.new_database())


def test_an_empty_database_is_brought_up_to_the_code(empty: Settings) -> None:
    migrate(empty)
    migrate(empty)
    with closing(Database(empty)) as database:
        Store(database).check()
        assert Store(database).begin("me", "x", "poem")[1]


def test_the_migrations_make_the_tables_of_the_code(empty: Settings) -> None:
    migrate(empty)
    with closing(Database(empty)) as database:
        database.migrate(lambda connection: command.check(config(connection)))


def test_the_indexes_and_constraints_have_the_names_of_the_code(empty: Settings) -> None:
    migrate(empty)
    with closing(Database(empty)) as database, closing(database.engine.connect()) as connection:
        found = inspect(connection)
        for table in metadata.tables.values():
            assert {each["name"] for each in found.get_indexes(table.name)} >= {each.name for each in table.indexes}
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name


def test_a_database_of_the_first_version_keeps_what_it_has(empty: Settings) -> None:
    with closing(Database(empty)) as database:
        database.migrate(lambda connection: command.upgrade(config(connection), "0001"))
        columns = """id, "user", title, created_us, changed_us"""
        values = f"'{OLD}', 'me', 'Poems', 1, 2"
        database.migrate(
            lambda connection: connection.execute(text(f"INSERT INTO conversations ({columns}) VALUES ({values})"))
        )
        migrate(empty)
        store = Store(database)
        assert store.conversations.find("me", OLD) == Conversation(OLD, "me", "Poems", 1, 2)
        assert store.begin("me", "x", "poem", OLD)[1] and store.conversations.change("me", OLD, pinned=True).pinned_us


def test_going_back_to_the_first_version_keeps_what_is_not_deleted(empty: Settings) -> None:
    migrate(empty)
    with closing(Database(empty)) as database:
        store = Store(database)
        kept, gone = (store.begin("me", title, "poem")[0] for title in ("kept", "gone"))
        Hidden(database, 600).hide("me", gone.conversation)
        database.migrate(lambda connection: command.downgrade(config(connection), "0001"))
        migrate(empty)
        assert store.answer(kept.id) == kept and store.answer(gone.id) is None
        assert [each.title for each in store.conversations.list_("me").conversations] == ["kept"]


def test_the_code_names_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [SCHEMA]


def test_processes_that_start_at_once_migrate_once(empty: Settings) -> None:
    folder = [str(empty.data_dir), str(empty.data_dir / "other")]  # two machines share no file lock
    folders = folder if empty.database_url else folder[:1] * 2
    command = [sys.executable, "-W", "error", "-c", MIGRATE]
    runs = [
        subprocess.Popen([*command, each, empty.database_url], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for each in folders * 2
    ]
    assert [run.communicate(timeout=60)[1] for run in runs] == [""] * 4
    with closing(Database(empty)) as database:
        Store(database).check()


def test_a_migration_that_fails_leaves_nothing_behind(empty: Settings) -> None:
    def half(connection: object) -> None:
        command.upgrade(config(connection), "head")
        connection.execute(text("SELECT nothing FROM nowhere"))

    with closing(Database(empty)) as database:
        with pytest.raises(DatabaseError):
            database.migrate(half)
        assert inspect(database.engine).get_table_names() == []


def test_making_a_table_anew_keeps_what_refers_to_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    with closing(Database(settings)) as database:
        row, _ = Store(database).begin("me", "x", "poem")
        database.close()
        statements = ["CREATE TABLE n AS SELECT * FROM conversations", "DROP TABLE conversations"]
        statements += ["ALTER TABLE n RENAME TO conversations"]
        database.migrate(lambda connection: [connection.execute(text(each)) for each in statements])
        assert Store(database).answer(row.id) == row


def test_a_database_that_was_not_migrated_says_so(empty: Settings) -> None:
    with (
        closing(Database(empty)) as database,
        pytest.raises(NotMigrated, match=f"schema None, this code needs {SCHEMA}"),
    ):
        Store(database).check()


@pytest.fixture
def newer(empty: Settings) -> Settings:
    """Name a database that newer code has migrated."""
    migrate(empty)
    with closing(Database(empty)) as database:
        database.migrate(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    return empty


def test_a_database_of_newer_code_is_not_touched(newer: Settings) -> None:
    with pytest.raises(DatabaseError, match="cannot be migrated: Can't locate revision identified by '9999'"):
        migrate(newer)


def test_an_application_on_tables_of_another_version_is_not_ready(newer: Settings) -> None:
    app = create_app(newer)
    response = app.test_client().get("/readyz")
    app.extensions["talkabout"].store.close()
    assert (response.status_code, response.json["database"]) == (503, False)
    assert "of another version" in response.json["detail"]


def test_a_server_does_not_start_on_tables_of_newer_code(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    with closing(Database(settings)) as database:
        database.migrate(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(RuntimeError, match="talkabout: the database cannot be migrated"), Server(tmp_path):
        pass


def test_a_server_on_postgresql_prepares_it_and_is_ready(tmp_path: Path, postgres: PostgresServer) -> None:
    with Server(tmp_path, TALKABOUT_DATABASE_URL=postgres.new_database()) as server:
        ready = requests.get(f"{server.url}/readyz", timeout=5)
        assert (ready.status_code, ready.json()["database"]) == (200, True)
        assert not (tmp_path / "talkabout.sqlite3").exists()


def test_a_reload_migrates_before_the_next_workers_come(tmp_path: Path) -> None:
    with Server(tmp_path) as server, closing(Database(Settings(data_dir=tmp_path))) as database:
        database.migrate(lambda connection: command.downgrade(config(connection), "base"))
        assert requests.get(f"{server.url}/readyz", timeout=5).status_code == 503
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while requests.get(f"{server.url}/readyz", timeout=5).status_code != 200:
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.1)


def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    environ = {"TALKABOUT_DATA_DIR": str(tmp_path), "TALKABOUT_DATABASE_URL": "mysql://me:secret@x/y"}
    command = [sys.executable, "-m", "answers.migrate"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    expected = "talkabout: TALKABOUT_DATABASE_URL: expected postgresql://user:password@host/database, or nothing\n"
    assert (ran.returncode, ran.stderr) == (1, expected)
