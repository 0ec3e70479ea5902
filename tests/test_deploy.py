"""What `deploy/` ships for systemd, run for real: the unit's commands as systemd would run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import requests

from relay.settings import Settings
from tests.deployed import NOBODY, PATIENCE_S, Service, read_unit, until
from tests.streams import events

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


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_systemd_finds_the_service_shut_in(tmp_path: Path) -> None:
    (tmp_path / "talkabout.service").write_text(read_unit(tmp_path)[0])
    # In tenths: 1.6 at present. What is left is the network, and what raises the limit of descriptors.
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "talkabout.service")]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


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
