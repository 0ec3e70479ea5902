"""What `deploy/` ships, run for real: nginx in front of gunicorn, and the unit's commands as systemd would run them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import requests

from relay.settings import Settings
from tests.deployed import NOBODY, PATIENCE_S, Service, nginx, read_unit, until
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TOKENS
from tests.servers import Server
from tests.streams import ask_and_leave, events, opened
from tests.test_streams import ASK, BUSY_MACHINE_S, EVENTS, PROMISED_S

# --- nginx ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def front(server: Server, tmp_path: Path) -> Iterator[str]:
    """Run nginx in front of the server that many tests share."""
    with nginx(server, tmp_path) as url:
        yield url


Relaying = Callable[..., contextlib.AbstractContextManager[str]]


@pytest.fixture
def relaying(upstream_server: MisbehavingServer, tmp_path: Path) -> Relaying:
    """Make nginx, the server behind it, and a model server behind that which misbehaves by name."""

    @contextlib.contextmanager
    def make(behaviour: str, **more: str) -> Iterator[str]:
        upstream = f"{upstream_server.url}/{behaviour}"
        behind = Server(tmp_path, TALKABOUT_UPSTREAM_URL=upstream, TALKABOUT_MODEL="mock", **more)
        with behind as server, nginx(server, tmp_path) as url:
            yield url

    return make


def test_nginx_passes_each_token_on_while_the_next_is_awaited(
    relaying: Relaying, upstream_server: MisbehavingServer
) -> None:
    with relaying("silent") as url:
        for path, body, headers in ASK:
            upstream_server.released.clear()
            with opened("POST", url + path, json=body, headers=headers) as response:
                assert TOKENS[2] not in read_until(response, TOKENS[1])
                upstream_server.release()
                read_until(response, TOKENS[5])


def read_until(response: requests.Response, text: str) -> str:
    """Read a stream until a text has come; give all that has come by then."""
    got = b""
    while text.encode() not in got:
        got += (chunk := response.raw.read1(65536))
        assert chunk, got
    return got.decode()


def test_nginx_passes_heartbeats_on(relaying: Relaying) -> None:
    with (
        relaying("slow-first-token", TALKABOUT_HEARTBEAT_S="0.1") as url,
        opened("POST", f"{url}/stream", json={"name": "x"}, headers=EVENTS) as response,
    ):
        read_until(response, ": ping\n: ping\n")


@pytest.mark.parametrize("behaviour", ["slow-headers", "silent"])
def test_a_client_that_leaves_nginx_closes_a_silent_upstream(
    relaying: Relaying, upstream_server: MisbehavingServer, behaviour: str
) -> None:
    with relaying(behaviour) as url:
        left_at = ask_and_leave(int(url.rpartition(":")[2]), "/talkeAbout", {"prompt": "x"}, {}, upstream_server)
        closed = upstream_server.wait_for_closed()
        assert closed[-1].closed_at - left_at < PROMISED_S + BUSY_MACHINE_S


def test_a_reader_resumes_through_nginx_where_it_left(front: str) -> None:
    channel = f"{front}/sse/connect/resumes-behind-nginx"
    with opened("GET", channel) as response:
        came = events(response)
        assert next(came).event == "open"
        send(front, "first")
        seen = next(came)
    send(front, "second")
    with opened("GET", channel, headers={"Last-Event-ID": seen.id}) as response:
        assert "second" in next(event.data for event in events(response) if event.event == "message")


def send(url: str, text: str) -> None:
    """Publish to that test's channel."""
    assert requests.post(f"{url}/sse/send/resumes-behind-nginx", json={"data": text}, timeout=30).status_code == 202


def test_a_long_prompt_comes_through_nginx_whole_and_a_body_too_long_is_refused(
    relaying: Relaying, upstream_server: MisbehavingServer
) -> None:
    prompt = "長" * 100_000
    with relaying("normal") as url:
        assert requests.post(f"{url}/talkeAbout", json={"prompt": prompt}, timeout=30).ok
        too_long = {"prompt": "長" * 400_000}
        assert requests.post(f"{url}/talkeAbout", json=too_long, timeout=30).status_code == 413
    assert [request.json["messages"][-1]["content"] for request in upstream_server.requests] == [prompt]


def test_nginx_keeps_its_connections_to_the_server(front: str, server: Server) -> None:
    before = connections(server.port)
    with requests.Session() as client:
        assert {client.get(f"{front}/healthz", timeout=30).status_code for _ in range(100)} == {200}
    assert connections(server.port) - before < 20


def connections(port: int) -> int:
    """Count the ends of connections at a port, also of those that have just been closed."""
    return Path("/proc/net/tcp").read_text().count(f":{port:04X} ")


def test_a_page_behind_nginx_is_of_the_same_origin_as_the_server(front: str) -> None:
    asked = {"url": f"{front}/sse/send/me", "json": {"data": 1}, "timeout": 30}
    assert requests.post(headers={"Origin": front}, **asked).status_code == 202  # type: ignore[arg-type]
    assert requests.post(headers={"Origin": "http://else.where"}, **asked).status_code == 403  # type: ignore[arg-type]


def test_one_address_gets_a_hundred_streams_from_nginx_and_a_429_beyond(front: str) -> None:
    with contextlib.ExitStack() as streams:
        got = [streams.enter_context(opened("GET", f"{front}/sse/connect/many")).status_code for _ in range(101)]
    assert got == [200] * 100 + [429]


# --- systemd ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Run the unit with a poem that pauses ten seconds after each character."""
    settings = {"TALKABOUT_POEM_DELAY_MS": "10000", "TALKABOUT_DRAIN_S": "0.2"}
    # A state's folder that nobody can reach; pytest's own are the user's alone.
    # A process that was killed with the service may still be writing there.
    state_folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with state_folder as state, Service(tmp_path, Path(state), **settings) as running:
        yield running


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    (tmp_path / "talkabout.service").write_text(read_unit(tmp_path)[0])
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "talkabout.service")]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (found.returncode, [line for line in found.stderr.splitlines() if "talkabout" in line]) == (0, [])


def test_the_unit_stops_with_terminal_events_and_leaves_no_process_behind(service: Service) -> None:
    with service.recite() as response:
        came = events(response)
        assert next(came).data
        service.main.send_signal(signal.SIGTERM)  # KillMode=mixed: the main process alone
        assert json.loads(list(came)[-1].data)["error"]["type"] == "upstream_error"
    assert service.main.wait(PATIENCE_S) == 0
    until(lambda: not service.processes(), "the end of the embedded model")


def test_the_unit_reloads_under_a_stream(service: Service) -> None:
    with service.recite() as response:
        came = events(response)
        assert next(came).data
        assert service.reload() == [0, 0]
        assert json.loads(list(came)[-1].data)["error"]["type"] == "upstream_error"
    with service.recite() as response:
        assert next(events(response)).data


def test_the_unit_does_not_reload_what_would_not_start(service: Service) -> None:
    service.environ["TALKABOUT_DRAIN_S"] = "forever"
    assert service.reload() == [1]
    assert requests.get(f"{service.url}/healthz", timeout=30).ok


def test_the_unit_writes_in_its_own_folder_for_its_own_eyes(service: Service) -> None:
    until(lambda: requests.get(f"{service.url}/readyz", timeout=30).ok, "the embedded model")
    found = {path.name: path.stat() for path in service.state.rglob("*")}
    assert {"journal.sqlite3", "secret_key", "embedded-model.log"} <= found.keys()
    assert {status.st_mode & 0o077 for status in found.values()} == {0}
    assert {status.st_uid for status in found.values()} == {NOBODY if os.getuid() == 0 else os.getuid()}


def test_an_upgrade_in_place_is_refused_and_leaves_the_server_as_it_was(service: Service) -> None:
    service.main.send_signal(signal.SIGUSR2)
    until(lambda: "Address already in use" in service.log.read_text(), "the refusal")
    until(lambda: requests.get(f"{service.url}/readyz", timeout=30).ok, "the embedded model")
    service.main.send_signal(signal.SIGTERM)
    assert service.main.wait(PATIENCE_S) == 0


def test_the_unit_waits_longer_than_the_longest_drain(tmp_path: Path) -> None:
    longest = next(row.metadata["high"] for row in fields(Settings) if row.name == "drain_s")
    master_kills_after, model_ends_within = longest + 10, 5
    assert int(read_unit(tmp_path)[1]["TimeoutStopSec"][0]) > master_kills_after + model_ends_within
