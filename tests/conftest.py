"""What many tests share."""

from __future__ import annotations

import os
import ssl
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from answers.database import Database
from answers.migrate import migrate
from answers.store import Store
from relay.settings import Settings
from tests.misbehaving import MisbehavingServer
from tests.postgres import PostgresServer
from tests.redis_server import RedisServer
from tests.servers import Server

GIVEN_BACK_S = 5.0


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith(("TALKABOUT_", "OTEL_")) or name in ("HOST", "PORT")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server with two workers and the poem at once, for tests that leave it as it was."""
    with Server(tmp_path_factory.mktemp("server"), workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server."""
    with PostgresServer() as running:
        yield running


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a Redis server."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="session")
def running_redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a Redis Cluster of one node, which takes as long to start as one of many."""
    with RedisServer(tmp_path_factory.mktemp("cluster"), cluster=True) as running:
        yield running


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """Lend an empty Redis."""
    running_redis.clear()
    return running_redis


@pytest.fixture
def redis_cluster(running_redis_cluster: RedisServer) -> RedisServer:
    """Lend an empty Redis Cluster."""
    running_redis_cluster.clear()
    return running_redis_cluster


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Name the database of a test: SQLite in its data folder, or one of PostgreSQL that it shares with others."""
    if request.param == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database_settings(tmp_path: Path, database_url: str) -> Settings:
    """Prepare a database for what a test keeps in it."""
    settings = Settings(data_dir=tmp_path, database_url=database_url)
    migrate(settings)
    return settings


@pytest.fixture
def database(database_settings: Settings) -> Iterator[Database]:
    """Open the database; at the end nothing of it may be in use."""
    opened = Database(database_settings)
    yield opened
    deadline = time.monotonic() + GIVEN_BACK_S  # what runs beside a test may be in the middle of a transaction
    while opened.engine.pool.checkedout() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened.engine.pool.checkedout() == 0
    opened.close()


@pytest.fixture
def store(database: Database) -> Store:
    """Keep answers in the database."""
    return Store(database)


@pytest.fixture
def user() -> str:
    """Name a user that no other test knows: they share PostgreSQL's database."""
    return uuid.uuid4().hex


@pytest.fixture
def upstream_server() -> Iterator[MisbehavingServer]:
    """Run a model server whose paths name what it does wrong."""
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Make a certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Write that authority's certificate to a file."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def tls_upstream_server(authority: trustme.CA) -> Iterator[MisbehavingServer]:
    """Run the misbehaving model server behind TLS, under a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with MisbehavingServer(tls=context) as running:
        yield running


@pytest.fixture(scope="module")
def openai_upstream() -> Iterator[MisbehavingServer]:
    """Run a model server for what comes through /v1: the model's name says what it does."""
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def openai_server(openai_upstream: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server before it."""
    with Server(
        tmp_path_factory.mktemp("server"),
        TALKABOUT_UPSTREAM_URL=f"{openai_upstream.url}/any",
        TALKABOUT_UPSTREAM_RETRIES="0",
        TALKABOUT_HEARTBEAT_S="0.1",
    ) as running:
        yield running
