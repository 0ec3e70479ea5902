"""What whoever runs the server asks of it, and what it says when it starts."""

from __future__ import annotations

import re
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from answers.migrate import migrate
from app import create_app
from relay.settings import Settings
from relay.upstream_file import configured
from tests.listener import Listener
from tests.misbehaving import MisbehavingServer
from tests.servers import Server
from tests.streams import opened
from tests.waiting import until
from web import readiness, startup


def metric(server: Server, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", requests.get(f"{server.url}/metrics", timeout=5).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_server_that_is_well_is_ready(server: Server) -> None:
    response = requests.get(f"{server.url}/readyz", timeout=5)
    assert (response.status_code, response.json()["status"]) == (200, "ready")


def test_a_server_without_a_journal_lives_and_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"this is no database" * 100)
    client = create_app(Settings(data_dir=tmp_path)).test_client()
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json["journal"]) == (503, False)
    assert client.post("/sse/send/me", json={"data": 1}).status_code == 503


def test_a_server_whose_model_server_is_away_is_not_ready(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, upstream_url="http://127.0.0.1:9", model="m")
    migrate(settings)
    client = create_app(settings).test_client()
    response = client.get("/readyz")
    assert (response.status_code, response.json["upstream"], response.json["journal"]) == (503, False, True)
    asked_by_a_balancer = client.get("/readyz?upstream=off")
    assert (asked_by_a_balancer.status_code, asked_by_a_balancer.json["status"]) == (200, "ready")


class Silent(Listener):
    """Take connections and say nothing."""

    def meet(self, client: socket.socket) -> None:
        """Read until the other side has enough of it."""
        with client:
            while client.recv(65536):
                pass


def test_a_part_that_hangs_makes_nobody_wait_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "WITHIN_S", 0.2)
    with Silent() as silent:
        settings = Settings(
            data_dir=tmp_path, embedded_model=False, upstream_url=silent.url, model="m", first_byte_timeout_s=1
        )
        migrate(settings)
        response = create_app(settings).test_client().get("/readyz")
    said = response.json
    assert (response.status_code, said["journal"], said["database"], said["upstream"]) == (503, True, True, False)
    assert silent.url.rpartition("/")[2] not in response.text


def test_a_part_that_hangs_is_asked_once_however_often_somebody_looks() -> None:
    asked, release = [], threading.Event()

    def hang() -> None:
        asked.append(1)
        release.wait(20)

    check = readiness.Check(hang)
    for _ in range(3):
        check.begin()
        assert check.why_not(0.01) == readiness.LATE
    assert asked == [1]
    release.set()
    assert check.why_not(20) == ""


def test_metrics_count_the_streams_of_all_workers(server: Server) -> None:
    with opened("GET", f"{server.url}/sse/connect/a"), opened("GET", f"{server.url}/sse/connect/b"):
        until(lambda: metric(server, "talkabout_streams_open") == 2)
    until(lambda: metric(server, "talkabout_streams_open") == 0)


def test_metrics_count_requests_by_endpoint_and_status(server: Server) -> None:
    requests.get(f"{server.url}/nowhere", timeout=5)
    counted = r'talkabout_requests_total\{endpoint="none",status="404"\}'
    until(lambda: metric(server, counted) >= 1, "what another worker has counted, which it carries once a second")


def test_every_worker_signs_with_the_same_key_and_no_one_else_can_read_it(server: Server) -> None:
    path = server.log.parent / "secret_key"
    assert len(path.read_text()) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_server_says_where_it_listens_and_what_it_talks_to(server: Server) -> None:
    said = server.log.read_text()
    assert f"talkabout listens on {server.url}" in said
    assert "no embedded model: TALKABOUT_EMBEDDED_MODEL=off" in said and "model: poem" in said


@pytest.fixture
def neighbour(upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let a well-known model server stand on the port that a real one got."""
    port = int(upstream_server.url.rpartition(":")[2])
    monkeypatch.setattr(startup, "KNOWN_SERVERS", {"Ollama": port, "vLLM": 9})
    return upstream_server.url


def test_a_known_server_on_its_usual_port_is_pointed_out(
    neighbour: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    startup.announce(Settings(data_dir=tmp_path), {}, "")
    assert f"Ollama answers at {neighbour}; to use it: TALKABOUT_UPSTREAM_URL={neighbour}" in capsys.readouterr().err


def test_a_password_in_the_model_servers_address_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(upstream_url="http://user:pass@127.0.0.1:9/v1")
    startup.announce(settings, configured(settings), "")
    assert "model server: http://127.0.0.1:9/v1\n" in capsys.readouterr().err


def test_a_worker_may_open_as_many_descriptors_as_its_streams_need(server: Server) -> None:
    limits = Path(f"/proc/{server.workers()[0]}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert int(soft) >= min(3000, int(hard))


def test_a_server_that_is_open_to_the_network_without_tokens_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(host="0.0.0.0", upstream_url="http://127.0.0.1:9")
    startup.announce(settings, configured(settings), "")
    assert "anyone who reaches 0.0.0.0:8000 may use it" in capsys.readouterr().err
