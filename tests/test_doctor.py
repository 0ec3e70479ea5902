"""The doctor, sent through real proxies that do what proxies do to streams."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
import trustme

from app import create_app
from relay.settings import Settings
from tests.fronts import front
from tests.listener import Listener
from tests.servers import ROOT, Server, free_port
from web.doctor import judge, mends
from web.probing import Seen

TOKEN = "token-of-alice"
SILENCE_S = 1.2


class Diagnosis(NamedTuple):
    status: int
    said: str


Doctor = Callable[[str], Diagnosis]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server of two workers with tokens and short heartbeats."""
    settings = {"TALKABOUT_HEARTBEAT_S": "0.3", "TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": f"alice={TOKEN}"}
    with Server(tmp_path_factory.mktemp("patient"), 2, **settings) as server:
        yield server


@pytest.fixture
def doctor(patient: Server, tmp_path: Path) -> Doctor:
    """Make the doctor, who knows where the server itself listens."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    app = create_app(Settings(data_dir=tmp_path, port=patient.port, heartbeat_s=0.3))

    def look(url: str) -> Diagnosis:
        options = ["--token-file", str(tmp_path / "token"), "--silence", str(SILENCE_S)]
        result = app.test_cli_runner().invoke(args=["doctor", url, *options])
        return Diagnosis(result.exit_code, result.output)

    return look


def test_a_server_by_itself_is_well_and_needs_nothing_started(patient: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "doctor", patient.url]
    here = {name: value for name, value in os.environ.items() if not name.startswith("TALKABOUT_")}
    done = subprocess.run(
        [*command, "--token-file", tmp_path / "token", "--silence", "1.2"],
        check=False,
        cwd=ROOT,
        env={**here, "TALKABOUT_DATA_DIR": str(tmp_path / "data"), "TALKABOUT_EMBEDDED_MODEL": "off"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "BAD" in done.stdout, done.stderr) == (0, False, ""), done
    assert "heartbeats came through" in done.stdout and "a client that leaves is noticed within" in done.stdout


def test_the_shipped_nginx_is_well(patient: Server, doctor: Doctor, tmp_path: Path, authority: trustme.CA) -> None:
    with front("nginx", tmp_path, authority, patient) as proxy:
        status, said = doctor(proxy.url)
    assert (status, "BAD" in said) == (0, False), said


def test_an_nginx_that_buffers_compresses_and_ignores_is_told_the_lines(
    patient: Server, doctor: Doctor, tmp_path: Path, authority: trustme.CA
) -> None:
    buffers = "on; proxy_ignore_headers X-Accel-Buffering; proxy_ignore_client_abort on"
    compresses = "on; gzip_proxied any; gzip_types text/event-stream"
    with front("nginx", tmp_path, authority, patient, proxy_buffering=buffers, gzip=compresses) as proxy:
        status, said = doctor(proxy.url)
    assert status == 1
    for words in ("BAD  compressed by gzip", "BAD  buffered", "BAD  a client that leaves is not noticed"):
        assert words in said
    for line in ("nginx: gzip off;", "nginx: proxy_buffering off;", "nginx: proxy_ignore_client_abort off;"):
        assert line in said
    assert "Caddy" not in said
    assert said.endswith("The server streams well: it is what stands before it.\n")


def test_an_nginx_that_closes_early_and_speaks_the_old_http_is_told_the_lines(
    patient: Server, doctor: Doctor, tmp_path: Path, authority: trustme.CA
) -> None:
    with front("nginx", tmp_path, authority, patient, proxy_read_timeout="250ms", proxy_http_version="1.0") as proxy:
        status, said = doctor(proxy.url)
    assert status == 1
    assert "BAD  closed early" in said and "nginx: proxy_read_timeout 75s;" in said
    assert "BAD  the server is asked by HTTP/1.0" in said and "nginx: proxy_http_version 1.1;" in said


class Nameless(Listener):
    """A proxy that says no name, takes everything in, compresses it, and then gives it out."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def meet(self, client: socket.socket) -> None:
        """Carry one request, beside the others."""
        threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (some := client.recv(65536)):
                head += some
            path = head.split(b" ")[1].decode()
            answer = requests.get(self._server.url + path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=90)
            body = gzip.compress(answer.content)
            lines = ["HTTP/1.1 200 OK", "Content-Encoding: gzip", f"Content-Length: {len(body)}", "Connection: close"]
            lines += [f"Content-Type: {answer.headers['Content-Type']}", "", ""]
            client.sendall("\r\n".join(lines).encode() + body)


def test_a_proxy_that_says_no_name_gets_the_lines_of_each(patient: Server, doctor: Doctor) -> None:
    with Nameless(patient) as proxy:
        status, said = doctor(proxy.url)
    assert status == 1
    assert "BAD  compressed by gzip" in said and "BAD  buffered" in said and "is not noticed" in said
    for line in ("nginx: proxy_buffering off;", "HAProxy: option abortonclose", "Apache: SetEnv no-gzip 1"):
        assert line in said


def test_swallowed_heartbeats_are_told() -> None:
    seen = Seen({"server": "Caddy"}, {"heartbeat_s": 1}, [0, 0.2], [0, 0.2], pings=0, whole=True)
    assert [finding.fault for finding in judge(seen, 3.0)] == ["", "", "buffers", ""]
    assert mends("buffers", seen) == ["Caddy: reverse_proxy … { flush_interval -1 }"]


@pytest.mark.parametrize(
    ("path", "why"), [("", "no answer"), ("/nowhere", "status 404"), ("/login?", "this is no talkabout")]
)
def test_what_is_no_deployment_is_said(patient: Server, doctor: Doctor, path: str, why: str) -> None:
    url = f"{patient.url}{path}" if path else f"http://127.0.0.1:{free_port()}"
    status, said = doctor(url)
    assert (status, why in said, TOKEN in said) == (1, True, False), said


def test_without_a_token_the_doctor_says_that_one_is_needed(patient: Server, tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, port=patient.port))
    result = app.test_cli_runner().invoke(args=["doctor", patient.url])
    assert (result.exit_code, "a token is needed: --token-file" in result.output) == (1, True)


@pytest.mark.parametrize(
    "address", ["/api/probe/x", f"/api/probe/{'0' * 16}?silence=121", f"/api/probe/{'0' * 16}?silence=nan"]
)
def test_a_probe_is_bounded(patient: Server, address: str) -> None:
    response = requests.get(patient.url + address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")
