"""Streams under real gunicorn: who goes, who is slow, who is one too many, and how they end when a worker does."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from relay.errors import DatabaseError, ReaderGone
from relay.pipe import to_reader
from relay.settings import Settings
from tests.misbehaving import MisbehavingServer
from tests.servers import Server
from tests.streams import ask_and_leave, events, opened, read_events
from tests.waiting import until
from web import streams as streams_module
from web.streams import Streams

EVENTS = {"Accept": "text/event-stream"}
PROMISED_S = 1.0
BUSY_MACHINE_S = 2.0  # what is added here, since the machine of the tests does other things meanwhile
ASK = [("/talkeAbout", {"prompt": "x"}, {}), ("/stream", {"name": "x"}, {}), ("/stream", {"name": "x"}, EVENTS)]


@pytest.fixture
def relaying(upstream_server: MisbehavingServer, tmp_path: Path) -> Any:
    """Make servers whose upstream misbehaves by name."""

    def make(behaviour: str, **more: str) -> Server:
        url = f"{upstream_server.url}/{behaviour}"
        return Server(tmp_path, TALKABOUT_UPSTREAM_URL=url, TALKABOUT_MODEL="mock", **more)

    return make


@pytest.mark.parametrize("behaviour", ["slow-headers", "slow-first-token", "silent"])
def test_a_client_that_goes_closes_a_silent_upstream(
    upstream_server: MisbehavingServer, relaying: Any, behaviour: str
) -> None:
    with relaying(behaviour) as server:
        left_at = ask_and_leave(server.port, "/talkeAbout", {"prompt": "x"}, {}, upstream_server)
        asked = upstream_server.completions[0]
        assert asked.closed.wait(20) and asked.closed_at - left_at < PROMISED_S + BUSY_MACHINE_S


def test_a_client_that_goes_before_the_headers_is_no_fault_of_the_server(
    upstream_server: MisbehavingServer, relaying: Any
) -> None:
    with relaying("slow-headers") as server:
        ask_and_leave(server.port, *ASK[0], upstream_server)
        counted = 'talkabout_requests_total{endpoint="article.talke_about",status="400"} 1.0'
        until(lambda: counted in requests.get(f"{server.url}/metrics", timeout=5).text, "the count")


def test_silence_is_bridged_by_comment_lines_that_stand_alone(relaying: Any) -> None:
    with relaying("silent", TALKABOUT_HEARTBEAT_S="0.1") as server:
        for path, body, headers in (ASK[0], ASK[2]):
            with opened("POST", server.url + path, json=body, headers=headers) as response:
                got = b""
                while got.count(b"\n: ping\n") < 2:
                    got += response.raw.read1(65536)
            assert b"\n\n: ping\n: ping\n" in got


def test_the_headers_leave_before_the_model_speaks(relaying: Any) -> None:
    with relaying("slow-first-token") as server:
        for path, body, headers in ASK:
            with opened("POST", server.url + path, json=body, headers=headers) as response:
                assert response.status_code == 200


def test_an_answer_opens_before_the_upstream_has_even_answered(relaying: Any) -> None:
    with (
        relaying("slow-headers") as server,
        opened("POST", f"{server.url}/stream", json={"name": "x"}, headers=EVENTS) as it,
    ):
        assert next(events(it)).event == "open"


def test_one_stream_too_many_gets_a_503_and_is_told_when_to_come_back(relaying: Any) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(relaying("silent", TALKABOUT_MAX_STREAMS="1"))
        stack.enter_context(opened("POST", f"{server.url}/talkeAbout", json={"prompt": "x"}))
        refused = requests.post(f"{server.url}/talkeAbout", json={"prompt": "x"}, timeout=30)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        assert requests.get(f"{server.url}/healthz", timeout=30).ok


def test_a_place_is_free_again_when_its_client_has_gone(relaying: Any, upstream_server: MisbehavingServer) -> None:
    with relaying("silent", TALKABOUT_MAX_STREAMS="1") as server:
        for count in (1, 2, 3):
            with opened("POST", f"{server.url}/talkeAbout", json={"prompt": "x"}) as response:
                assert response.status_code == 200
            upstream_server.wait_for_closed(count)


def test_a_reader_that_never_reads_is_dropped_and_its_upstream_closed(
    relaying: Any, upstream_server: MisbehavingServer
) -> None:
    bounds = {"TALKABOUT_READER_BUFFER_BYTES": "1024", "TALKABOUT_READER_TIMEOUT_S": "0.5"}
    with relaying("flood", **bounds) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        body = b'{"prompt": "x"}'
        head = f"POST /talkeAbout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        client.sendall(head.encode() + b"\r\n\r\n" + body)
        upstream_server.wait_for_closed()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_replaced_ends_its_streams_and_sends_answers_readers_on(
    relaying: Any, how: signal.Signals
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(relaying("silent", TALKABOUT_DRAIN_S="0.2"))
        answer = opened("POST", f"{server.url}/stream", json={"name": "x"}, headers=EVENTS)
        channel = opened("GET", f"{server.url}/sse/connect/me")
        relay = opened("POST", f"{server.url}/talkeAbout", json={"prompt": "x"})
        responses = [stack.enter_context(stream) for stream in (answer, channel, relay)]
        for response in responses:
            response.raw.read1(1)
        server.process.send_signal(how)
        last = [list(events(response))[-1] for response in responses]
    assert [event.event for event in last] == ["message", "done", "message"]
    assert json.loads(last[0].data)["content"].endswith(" is")  # the answer is not over, only this connection
    assert json.loads(last[1].data)["state"] == "interrupted"
    assert json.loads(last[2].data)["error"]["type"] == "upstream_error"


def test_a_server_that_is_stopped_in_mid_stream_ends_orderly(relaying: Any) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(relaying("silent", TALKABOUT_DRAIN_S="0.2"))
        response = stack.enter_context(opened("POST", f"{server.url}/talkeAbout", json={"prompt": "x"}))
        response.raw.read1(1)
        server.process.send_signal(signal.SIGTERM)
        list(events(response))
        assert server.process.wait(30) == 0


def test_new_code_and_settings_come_with_a_sighup(relaying: Any) -> None:
    with relaying("normal") as server:
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        while set(server.workers()) & set(before) or not server.workers():
            time.sleep(0.05)
        assert requests.get(f"{server.url}/healthz", timeout=30).ok


def test_a_tls_upstream_works_under_the_patched_server(
    tls_upstream_server: MisbehavingServer, ca_file: str, tmp_path: Path
) -> None:
    settings = {"TALKABOUT_UPSTREAM_URL": f"{tls_upstream_server.url}/normal", "TALKABOUT_UPSTREAM_CA": ca_file}
    with Server(tmp_path, **settings) as server:
        done = read_events("POST", f"{server.url}/stream", json={"name": "x"}, headers=EVENTS)[-1]
    assert json.loads(done.data)["state"] == "complete"


def test_a_connection_can_be_cut_on_whichever_worker_holds_it(server: Server) -> None:
    key = "k" * 22
    with opened("GET", f"{server.url}/sse/connect/me", params={"cut": key}) as response:
        assert next(events(response)).event == "open"
        assert requests.post(f"{server.url}/playground/cut", json={"cut": key}, timeout=5).status_code == 202
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(response.iter_content(None))


def test_a_client_that_goes_is_noticed_while_the_database_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers = threading.Semaphore(0), threading.Event()

    def hangs() -> bool:
        asked.release()
        answers.wait()
        raise DatabaseError("it was away")

    monkeypatch.setattr(streams_module, "still_holds", lambda: hangs)
    monkeypatch.setattr(streams_module, "_CHECK_S", 0.0)
    streams, pipe = Streams(9, 0.0, lambda _: None), to_reader(Settings())
    here, client = socket.socketpair()
    with here, Flask(__name__).test_request_context("/", environ_overrides={"gunicorn.socket": here}):
        stream = streams.admit(pipe)
        assert asked.acquire(timeout=10)
        client.close()
        until(lambda: isinstance(pipe.reason, ReaderGone), "the client's end")
        assert not asked.acquire(blocking=False)  # nor is it asked twice at once
        answers.set()
        assert asked.acquire(timeout=10)  # and asked again
        stream.leave()
