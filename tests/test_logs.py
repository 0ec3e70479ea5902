"""What the log says, in which form, what never stands in it, and that nobody waits for it."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from relay import request_id
from relay.settings import Settings
from tests.apps import browser
from tests.misbehaving import MisbehavingServer
from tests.servers import ROOT, Server
from tests.test_streams import EVENTS
from tests.waiting import until
from web import logs
from web.log_outlet import Outlet

PROMPT, KEY, TOKEN, SCRAPER = "a-very-private-prompt", "key-of-the-upstream", "token-of-alice", "token-of-the-scraper"
ALICE = {"Authorization": f"Bearer {TOKEN}"}


def lines(server: Server) -> list[dict[str, Any]]:
    """Read a log of JSON lines; the master's first words are JSON too."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def written(settings: Settings, *records: logging.LogRecord) -> str:
    """Write records as a server with these settings does."""
    formatter = logs.Formatter(settings)
    return "\n".join(formatter.format(record) for record in records)


def said(text: str, **extra: str) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "web", "levelno": 20, "levelname": "INFO", "msg": text, **extra})


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that was asked for all sorts of things, in all sorts of wrong ways, and write its log as JSON."""
    with MisbehavingServer() as upstream:
        settings = {
            "TALKABOUT_LOG": "json",
            "TALKABOUT_LOG_LEVEL": "debug",
            "TALKABOUT_AUTH": "token",
            "TALKABOUT_TOKENS": f"alice={TOKEN}",
            "TALKABOUT_METRICS_TOKEN": SCRAPER,
            "TALKABOUT_UPSTREAM_URL": f"{upstream.url}/key-in-error",
            "TALKABOUT_UPSTREAM_KEY": KEY,
            "TALKABOUT_MODEL": "mock",
        }
        with Server(tmp_path_factory.mktemp("logs"), **settings) as server:
            ask_for_everything(server)
            yield server


def ask_for_everything(server: Server) -> None:
    """Ask well, wrongly, without a token, with a broken header, and for what is not there."""
    named = {**ALICE, "X-Request-Id": "its-own/id"}
    requests.post(f"{server.url}/api/answers", json={"prompt": PROMPT}, headers={**named, **EVENTS}, timeout=30)
    requests.post(f"{server.url}/api/answers", json={"prompt": PROMPT, "model": "poem"}, headers=ALICE, timeout=30)
    requests.post(f"{server.url}/talkeAbout", json={"prompt": PROMPT}, headers=ALICE, timeout=30)
    requests.post(f"{server.url}/talkeAbout", data=f"{{{PROMPT}", headers=ALICE, timeout=30)
    requests.get(f"{server.url}/talkeAbouttestEvent?prompt={PROMPT}", headers=ALICE, timeout=30)
    requests.get(f"{server.url}/nowhere/{PROMPT}?token={TOKEN}", timeout=30)
    requests.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {SCRAPER}"}, timeout=30)
    requests.post(f"{server.url}/login", data={"token": TOKEN}, timeout=30)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET /?{PROMPT} HTTP/1.1\r\nAuthorization: {TOKEN}\0\r\nBad {KEY}: x\r\n\r\n".encode())
        client.settimeout(20)
        while client.recv(1000):
            pass
    until(lambda: any(line["event"] == "answer ended" and line["model"] == "poem" for line in lines(server)), "the end")


def test_every_line_is_json_gunicorn_s_too(busy: Server) -> None:
    assert {"gunicorn.error", "web.startup", "web.request_log", "answers.producer"} <= {
        line["logger"] for line in lines(busy)
    }
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines(busy))


@pytest.mark.parametrize("secret", [PROMPT, KEY, TOKEN, SCRAPER])
def test_no_prompt_key_or_token_is_in_it(busy: Server, secret: str) -> None:
    assert [line for line in busy.log.read_text().splitlines() if secret in line] == []


def test_an_answer_s_life_and_its_request_are_found_by_their_ids(busy: Server) -> None:
    by_request = [line for line in lines(busy) if line.get("request") == "its-own/id"]
    events = [line["event"] for line in by_request]
    assert next(event for event in events if event.startswith("answer")) == "answer begun"
    assert "request" in events and "answer ended" in events
    answers = {line["answer"] for line in by_request if "answer" in line}
    assert len(answers) == 1
    assert {line["upstream"] for line in by_request if line["event"] == "answer begun"} == {"upstream"}


def test_each_request_has_a_line_without_its_address(busy: Server) -> None:
    routes = {(line["method"], line["route"], line["status"]) for line in lines(busy) if line["event"] == "request"}
    assert {("POST", "/api/answers", 202), ("GET", "none", 401), ("POST", "/login", 303)} <= routes
    assert {"/metrics", "/healthz"} <= {route for _, route, _ in routes}


def test_a_model_server_is_told_whose_request_it_is(tmp_path: Path, upstream_server: MisbehavingServer) -> None:
    with browser(tmp_path, upstream_url=f"{upstream_server.url}/normal", model="mock") as client:
        for number in ("one", "two"):  # by requests, then by a kept connection
            client.post("/talkeAbout", json={"prompt": "x"}, headers={"X-Request-Id": number}).get_data()
        sent = [request for request in upstream_server.requests if request.path.endswith("/chat/completions")]
        assert [request.headers["x-request-id"] for request in sent] == ["one", "two"]


@pytest.mark.parametrize("given", ["abc", "a/b:c=d@e+f.g_h-1", "x" * 128])
def test_a_request_keeps_the_id_that_it_comes_with(tmp_path: Path, given: str) -> None:
    with browser(tmp_path) as client:
        response = client.get("/api/answers/none", headers={"X-Request-Id": given})
        assert response.headers["X-Request-Id"] == response.get_json()["request_id"] == given


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_goes_on_to_the_model_server_and_into_the_log(
    tmp_path: Path, upstream_server: MisbehavingServer
) -> None:
    with browser(tmp_path, upstream_url=f"{upstream_server.url}/normal", model="mock") as client:
        for given in (TRACE, TRACE, f"{TRACE}-x", TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32)):
            client.post("/stream", json={"name": "x"}, headers={"traceparent": given}).get_data()
        sent = [request for request in upstream_server.requests if request.path.endswith("/chat/completions")]
    assert [request.headers.get("traceparent") for request in sent] == [TRACE, TRACE, None, None]
    request_id.current.set(request_id.accept("its-id", TRACE))
    try:
        line = json.loads(written(Settings(log="json"), said("hello")))
    finally:
        request_id.current.set(request_id.NOBODY)
    assert (line["request"], line["trace"]) == ("its-id", TRACE.split("-")[1])


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "-x", "é", "a\tb", '"', "<b>", "a;b", "%0d%0aSet-Cookie:x"])
def test_an_id_that_could_be_something_else_is_replaced(tmp_path: Path, given: str) -> None:
    with browser(tmp_path) as client:
        response = client.get("/healthz", environ_overrides={"HTTP_X_REQUEST_ID": given})
        assert len(response.headers["X-Request-Id"]) == 16


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_can_begin_a_line_of_his_own(form: str) -> None:
    bad = "x\r\n2026 fake\x1b[2Jy"
    text = written(Settings(log=form), said(bad, answer=bad))
    assert text.isprintable() and text.count("fake") == 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_of_the_settings_is_masked_whoever_says_it(form: str) -> None:
    settings = Settings(log=form, upstream_key=KEY, tokens=f"alice={TOKEN} bob=b", metrics_token=SCRAPER)
    text = written(settings, said(f"401: the key {KEY} is wrong", token=TOKEN, about=SCRAPER))
    assert text.count("[secret]") == 3 and KEY not in text and TOKEN not in text


def test_prompts_are_logged_where_that_was_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for asked, found in ((False, 0), (True, 1)):
        caplog.clear()
        with browser(tmp_path, log_prompts=asked, poem_delay_ms=0) as client:
            client.post("/stream", json={"name": PROMPT}).get_data()
        assert [getattr(record, "prompt", None) for record in caplog.records].count(PROMPT) == found


Ends = tuple[int, int, Callable[[], bytes]]


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Make two ends of what a log may be written to, and what reads all that is there."""
    if request.param == "pipe":
        out, into = os.pipe()
    else:
        one, two = socket.socketpair()
        out, into = one.detach(), two.detach()
    os.set_blocking(out, False)

    def read() -> bytes:
        got = b""
        while True:
            try:
                got += os.read(out, 65536)
            except BlockingIOError:
                return got

    yield out, into, read
    os.close(out)
    os.close(into)


def test_a_log_that_nobody_reads_stops_nobody(ends: Ends) -> None:
    _, into, read = ends
    outlet = Outlet(into)
    outlet.setFormatter(logging.Formatter("%(message)s"))
    began = time.monotonic()
    for number in range(20_000):
        outlet.emit(said(f"line {number} {'x' * 100}"))
    assert outlet.dropped > 0 and os.get_blocking(into)
    assert time.monotonic() - began < 20
    whole = read()
    outlet.emit(said("there is room again"))
    later = (whole + read()).decode().splitlines()
    assert later[-2:] == [f"{outlet.dropped} lines of the log found no room", "there is room again"]
    assert later[:-2] == [f"line {number} {'x' * 100}" for number in range(20_000 - outlet.dropped)]
    outlet.close()


def test_a_line_is_bounded(ends: Ends) -> None:
    _, into, read = ends
    outlet = Outlet(into)
    outlet.setFormatter(logging.Formatter("%(message)s"))
    outlet.emit(said("x" * 10_000_000))
    assert 0 < len(read()) <= 65_537
    outlet.close()


def test_a_server_whose_log_is_read_by_nobody_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with subprocess.Popen(command, cwd=ROOT, env=server.environ, stderr=subprocess.PIPE) as process:
        try:
            until(server.answers, "the server")
            session = requests.Session()
            for _ in range(800):  # a pipe takes 64 KiB
                assert session.get(f"{server.url}/api/answers/none", timeout=10).status_code == 404
            text = session.get(f"{server.url}/metrics", timeout=10).text
            assert float(text.partition("\ntalkabout_log_lines_dropped ")[2].split()[0]) > 0
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0
