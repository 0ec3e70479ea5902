"""gunicorn's master under `gunicorn.conf.py`: ports that are taken or change, and where readers are after a reload."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from relay.poem import POEM
from tests import servers
from tests.deployed import listens, until
from tests.servers import ROOT, Server, free_port
from tests.streams import events, opened
from tests.test_streams import BUSY_MACHINE_S, PROMISED_S


def test_a_second_server_on_the_same_port_is_refused(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path, PORT=str(server.port))
    second.environ["TALKABOUT_DATA_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    ended = subprocess.run(command, check=False, cwd=ROOT, env=second.environ, capture_output=True, text=True)
    assert ended.returncode == 1
    sentence = f"talkabout: HOST and PORT: cannot listen on 127.0.0.1:{server.port}: Address already in use"
    assert ended.stderr.splitlines()[-1] == sentence


def test_another_port_comes_with_a_sighup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = linked_project(tmp_path)
    monkeypatch.setattr(servers, "ROOT", project)
    server, other = Server(tmp_path, workers=2), free_port()
    del server.environ["PORT"]
    (project / ".env").write_text(f"PORT={server.port}\n")
    with server:
        (project / ".env").write_text(f"PORT={other}\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: listens(other) and not listens(server.port), "the other port")
        assert {requests.get(f"http://127.0.0.1:{other}/healthz", timeout=5).status_code for _ in range(20)} == {200}


def test_who_resumes_after_a_reload_meets_the_new_workers(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server, contextlib.ExitStack() as streams:
        readers = [streams.enter_context(opened("GET", f"{server.url}/sse/connect/me")) for _ in range(4)]
        assert [next(events(reader)).event for reader in readers] == ["open"] * 4
        server.process.send_signal(signal.SIGHUP)
        for reader in readers:
            assert list(events(reader))[-1].event == "done"
            with opened("GET", f"{server.url}/sse/connect/me") as resumed:
                assert resumed.status_code == 200


def test_a_kept_connection_ends_with_its_drained_stream(tmp_path: Path) -> None:
    with Server(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as reader:
        reader.sendall(b"GET /sse/connect/me HTTP/1.1\r\nHost: x\r\n\r\n")
        got = reader.recv(65536)
        server.process.send_signal(signal.SIGHUP)
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += reader.recv(65536)
        ended_at = time.monotonic()
        assert reader.recv(65536) == b""
        assert time.monotonic() - ended_at < PROMISED_S + BUSY_MACHINE_S  # gunicorn would wait five seconds for more


def ask_again_while_it_drains(server: Server, request: bytes) -> bytes:
    """Send a request on a connection that is kept with a worker that drains; give the whole reply."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as kept,
        opened("GET", f"{server.url}/sse/connect/me") as reader,
    ):
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while not kept.recv(65536).endswith(b'{"status":"ok"}\n'):
            pass
        server.process.send_signal(signal.SIGHUP)
        assert list(events(reader))[-1].event == "done"
        kept.sendall(request)
        return b"".join(iter(lambda: kept.recv(65536), b""))


def test_a_reader_that_meets_a_draining_worker_is_sent_to_the_next(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        path = b"/sse/connect/a%3F%E6%84%9B?last_event_id=1&x=%20"
        reply = ask_again_while_it_drains(server, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 307 ")
    assert b"\r\nLocation: " + path + b"\r\n" in reply and b"\r\nConnection: close\r\n" in reply


def test_a_question_that_meets_a_draining_worker_is_refused_for_now(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        head = b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        reply = ask_again_while_it_drains(server, head + b'{"name":"x"}')
    assert reply.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in reply


def linked_project(folder: Path) -> Path:
    """Make a copy of the project out of links, in which an .env can stand."""
    (folder / "project").mkdir()
    for name in (
        "app.py",
        "wsgi.py",
        "gunicorn.conf.py",
        "migrations",
        "relay",
        "answers",
        "web",
        "templates",
        "static",
    ):
        (folder / "project" / name).symlink_to(ROOT / name)
    return folder / "project"


def test_ctrl_c_ends_the_server_at_once_and_its_answers_go_on_after_a_start(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2, TALKABOUT_POEM_DELAY_MS="30") as server:
        answer = requests.post(f"{server.url}/api/answers", json={"prompt": "x"}, timeout=10).json()["answer"]
        server.stop(signal.SIGINT)
        assert "SIGKILL" not in server.log.read_text()
        server.start()
        url = f"{server.url}/api/answers/{answer}"
        while (shown := requests.get(url, timeout=10).json())["state"] == "running":
            time.sleep(0.1)
    assert (shown["state"], shown["content"]) == ("complete", POEM)
