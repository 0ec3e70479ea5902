"""nginx, Caddy and HAProxy as `deploy/` configures them, run for real in front of gunicorn."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.fronts import KINDS, TLS, Front, front
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TOKENS
from tests.servers import Server, free_port
from tests.streams import ask_and_leave, events
from tests.test_streams import ASK, BUSY_MACHINE_S, EVENTS, PROMISED_S
from tests.waiting import until

MIB = 1 << 20
LIMITING = ["nginx", "haproxy"]  # Caddy as it comes cannot count by address
ONE_OF_EACH = ["nginx", "caddy", "haproxy"]

Servers = Mapping[str, Server]
Fronts = Callable[[str], Front]


@pytest.fixture(scope="module")
def upstream() -> Iterator[MisbehavingServer]:
    """Run a model server for the whole module."""
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def servers(upstream: MisbehavingServer, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Run servers, each with a model server that misbehaves by name, and "" for the one that all modules share."""
    behaviours = {"silent": "silent", "slow-headers": "slow-headers", "one more": "slow-headers"}
    made = {
        name: Server(
            tmp_path_factory.mktemp("server"),
            TALKABOUT_UPSTREAM_URL=f"{upstream.url}/{behaviour}",
            TALKABOUT_MODEL="mock",
            TALKABOUT_HEARTBEAT_S="0.1",
            TALKABOUT_DRAIN_S="0.2",
        )
        for name, behaviour in behaviours.items()
    }
    with ThreadPoolExecutor() as pool:  # each takes seconds to start and to end
        list(pool.map(Server.start, made.values()))
        yield {"": server, **made}
        list(pool.map(Server.stop, made.values()))


@pytest.fixture(scope="module")
def proxies(
    servers: Servers, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Front]]:
    """Run each proxy in front of each server, once."""
    with contextlib.ExitStack() as running:

        @cache
        def make(kind: str, server: str) -> Front:
            return running.enter_context(front(kind, tmp_path_factory.mktemp("proxy"), authority, servers[server]))

        yield make


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name each proxy."""
    return str(request.param)


@pytest.fixture
def proxy(proxies: Callable[[str, str], Front], kind: str) -> Front:
    """Run a proxy in front of the server that many tests share."""
    return proxies(kind, "")


@pytest.fixture
def relaying(proxies: Callable[[str, str], Front], kind: str, upstream: MisbehavingServer) -> Fronts:
    """Give the proxy in front of a server whose model server misbehaves by name."""
    upstream.released.clear()
    return lambda behaviour: proxies(kind, behaviour)


def test_each_token_passes_while_the_next_is_awaited(relaying: Fronts, upstream: MisbehavingServer) -> None:
    for path, body, headers in ASK:
        upstream.released.clear()
        with relaying("silent").opened("POST", path, json=body, headers=headers) as response:
            assert TOKENS[2] not in read_until(response, TOKENS[1])
            upstream.release()
            read_until(response, TOKENS[5])


def read_until(response: requests.Response, text: str) -> str:
    """Read a stream until a text has come; give all that has come by then."""
    got = b""
    while text.encode() not in got:
        got += (chunk := response.raw.read1(65536))
        assert chunk, got
    return got.decode()


@pytest.mark.parametrize("kind", sorted(TLS))
def test_over_http_2_tokens_pass_and_a_client_that_leaves_closes_its_upstream(
    relaying: Fronts, upstream: MisbehavingServer, kind: str
) -> None:
    proxy, asked = relaying("silent"), len(upstream.requests)
    command = ["curl", "-sSiN", "--http2", "--cacert", proxy.ca, "--json", '{"prompt": "x"}', f"{proxy.url}/talkeAbout"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout
        got = b""
        while TOKENS[1].encode() not in got:
            got += (line := curl.stdout.readline())
            assert line, got
        assert got.startswith(b"HTTP/2 200") and TOKENS[2].encode() not in got
        curl.kill()
    assert upstream.wait_for_requests(asked + 1).closed.wait(30)


def test_heartbeats_pass(relaying: Fronts) -> None:
    with relaying("silent").opened("POST", "/stream", json={"name": "x"}, headers=EVENTS) as response:
        read_until(response, ": ping\n: ping\n")


def test_no_stream_is_compressed_for_a_client_that_would_take_it(relaying: Fronts) -> None:
    headers = {**EVENTS, "Accept-Encoding": "gzip, br, zstd"}
    with relaying("silent").opened("POST", "/stream", json={"name": "x"}, headers=headers) as response:
        assert response.headers.get("Content-Encoding", "identity") == "identity"
        assert response.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize("behaviour", ["slow-headers", "silent"])
def test_a_client_that_leaves_closes_a_silent_upstream(
    relaying: Fronts, upstream: MisbehavingServer, behaviour: str
) -> None:
    proxy, asked = relaying(behaviour), len(upstream.completions)
    left_at = ask_and_leave(proxy.port, "/talkeAbout", {"prompt": "x"}, {}, upstream, proxy.tls)
    ours = upstream.wait_for_completions(asked + 1)
    assert ours.closed.wait(30)
    assert ours.closed_at - left_at < PROMISED_S + BUSY_MACHINE_S


def test_a_reader_of_a_channel_resumes_where_it_left(proxy: Front) -> None:
    me = uuid.uuid4().hex
    with proxy.opened("GET", f"/sse/connect/{me}") as response:
        came = events(response)
        assert next(came).event == "open"
        assert proxy.ask("POST", f"/sse/send/{me}", json={"data": "first"}).status_code == 202
        seen = next(came)
    assert proxy.ask("POST", f"/sse/send/{me}", json={"data": "second"}).status_code == 202
    with proxy.opened("GET", f"/sse/connect/{me}", headers={"Last-Event-ID": seen.id}) as response:
        assert "second" in next(event.data for event in events(response) if event.event == "message")


def test_a_reader_of_an_answer_resumes_by_the_id_that_came_with_it(proxy: Front) -> None:
    asked = {"prompt": "x", "model": "poem"}
    with proxy.opened("POST", "/api/answers", json=asked, headers=EVENTS) as response:
        answer = response.headers["X-Answer-Id"]
        came = events(response)
        seen = [next(came) for _ in range(3)]
    after = {"Last-Event-ID": seen[-1].id}
    with proxy.opened("GET", f"/api/answers/{answer}/events", headers=after) as response:
        rest = list(events(response))
    assert (rest[0].id, rest[-1].event) == (f"{answer}:4", "done")


def test_bodies_come_whole_up_to_the_limits_of_the_server(relaying: Fronts, upstream: MisbehavingServer) -> None:
    prompt = "長" * 100_000
    proxy = relaying("silent")
    upstream.release()
    assert proxy.ask("POST", "/talkeAbout", json={"prompt": prompt}).ok
    assert upstream.completions[-1].json["messages"][-1]["content"] == prompt
    assert proxy.ask("POST", "/talkeAbout", json={"prompt": prompt * 4}).status_code == 413
    nine = proxy.ask("POST", "/api/files", files={"file": ("long.txt", b"x\n" * (9 * MIB // 2))})
    assert (nine.status_code, nine.json()["code"]) == (422, "too_much_text"), nine.text
    assert status_of_a_body_that_never_comes(proxy, 85 * MIB) == 413


def status_of_a_body_that_never_comes(proxy: Front, length: int) -> int:
    """Announce an import of so many bytes, and read what is said to that."""
    where: dict[str, Any] = {"host": "localhost", "port": proxy.port, "timeout": 30}
    connection = HTTPSConnection(**where, context=proxy.tls) if proxy.tls else HTTPConnection(**where)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/api/conversations/import")
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(length))):
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status


def test_a_page_is_of_the_same_origin_as_the_server(proxy: Front) -> None:
    ask = {"method": "POST", "path": "/sse/send/me", "json": {"data": 1}}
    assert proxy.ask(headers={"Origin": proxy.url}, **ask).status_code == 202  # type: ignore[arg-type]
    assert proxy.ask(headers={"Origin": "http://else.where"}, **ask).status_code == 403  # type: ignore[arg-type]


def test_a_cookie_is_for_https_alone_exactly_where_the_client_came_by_it(proxy: Front) -> None:
    for lie in ("http", "https"):
        page = proxy.ask("GET", "/", headers={"Accept": "text/html", "X-Forwarded-Proto": lie})
        assert ("Secure" in page.headers["Set-Cookie"]) == bool(proxy.ca)


def test_no_header_of_a_client_moves_the_pages(proxy: Front) -> None:
    moved = {"SCRIPT_NAME": "/moved-away", "PATH_INFO": "/moved-away/login"}
    page = proxy.ask("GET", "/", headers={"Accept": "text/html", **moved})
    assert (page.status_code, "moved-away" in page.text) == (200, False)


@pytest.mark.parametrize("kind", LIMITING, indirect=True)
def test_one_address_gets_a_hundred_streams_and_a_429_beyond(proxy: Front) -> None:
    with contextlib.ExitStack() as streams:
        got = [streams.enter_context(proxy.opened("GET", "/sse/connect/many")) for _ in range(101)]
        assert [response.status_code for response in got] == [200] * 100 + [429]
        assert got[-1].headers["Retry-After"] == "5"
        assert (got[-1].headers["Content-Type"], got[-1].json()["status"]) == ("application/problem+json", 429)
    until(lambda: proxy.ask("GET", "/healthz").ok, "the end of the streams")


# --- two servers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_passed_over(
    kind: str, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    with front(kind, tmp_path / "proxy", authority, free_port(), server) as proxy:
        got = [proxy.ask("POST", "/sse/send/me", json={"data": 1}).status_code for _ in range(5)]
        assert got == [202] * 5


@pytest.fixture
def pair(servers: Servers) -> list[Server]:
    """Give two servers that do the same."""
    return [servers["slow-headers"], servers["one more"]]


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_nobody_notices_that_one_of_two_servers_is_replaced(
    kind: str, pair: list[Server], authority: trustme.CA, tmp_path: Path
) -> None:
    with front(kind, tmp_path / "proxy", authority, *pair) as proxy, Asking(proxy) as asking:
        asking.wait_for(5)
        pair[0].stop()
        asking.wait_for(5)
        pair[0].start()
        asking.wait_for(5)
    assert len(asking.failed) <= 1  # the kernel had given its connection to the worker that ended: docs/operating.md


class Asking:
    """Asks one question after another, and asks for the page beside it, until the block ends."""

    def __init__(self, proxy: Front) -> None:
        self.proxy = proxy
        self.done = 0
        self.failed: list[str] = []
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Asking:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        self.thread.join()

    def run(self) -> None:
        """Ask until the block ends."""
        while not self.leaving.is_set():
            asked = self.proxy.ask("POST", "/talkeAbout", json={"prompt": "x", "model": "poem"})
            page = self.proxy.ask("GET", "/", headers={"Accept": "text/html"})
            whole = asked.ok and asked.text.endswith("data: [DONE]\n\n")
            self.failed += [] if whole and page.ok else [f"{asked.status_code} {page.status_code} {asked.text}"]
            self.done += 1

    def wait_for(self, more: int) -> None:
        """Wait until so many more have been asked."""
        enough = self.done + more
        until(lambda: self.done >= enough, f"{more} questions")


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_question_that_a_dying_server_has_had_is_asked_of_no_other(
    kind: str, pair: list[Server], upstream: MisbehavingServer, authority: trustme.CA, tmp_path: Path
) -> None:
    upstream.released.clear()
    asked = len(upstream.completions)
    with front(kind, tmp_path / "proxy", authority, *pair) as proxy, ThreadPoolExecutor(2) as pool:
        answers = []
        for each in (1, 2):  # the second goes to the server that has nothing to do
            answers.append(pool.submit(proxy.ask, "POST", "/talkeAbout", json={"prompt": "x"}))
            upstream.wait_for_completions(asked + each)
        os.kill(pair[0].workers()[0], signal.SIGKILL)
        until(lambda: any(answer.done() for answer in answers), "the end of one")
        upstream.release()
        assert sorted(answer.result(30).status_code for answer in answers) == [200, 502]
    assert len(upstream.completions) == asked + 2
