"""The article's endpoints, under real gunicorn."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import requests

from relay.poem import POEM
from tests.misbehaving import MisbehavingServer
from tests.servers import Server
from tests.streams import events, opened, read_events

EVENTS = {"Accept": "text/event-stream"}
PER_RESPONSE = ("Date", "Connection", "Transfer-Encoding", "X-Request-Id")


def test_the_emitter_recites_the_poem_a_character_an_event_then_stop(server: Server) -> None:
    got = read_events("POST", f"{server.url}/talkeAbouttestSseEmitter", json={"prompt": "love"})
    assert "".join(event.data for event in got[:-1]) == POEM
    assert got[-1].data == "stop"


@pytest.mark.parametrize(
    "request_",
    [
        ("GET", {"params": {"prompt": "love"}}),
        ("POST", {"data": {"prompt": "love"}}),
        ("POST", {"json": {"prompt": "love"}}),
        ("POST", {"files": {"prompt": (None, "love"), "more": ("more.txt", b"x" * 1000)}}),
        ("POST", {"params": {"prompt": "love"}}),
        ("POST", {"params": {"prompt": "love"}, "data": "x", "headers": {"Content-Type": "text/plain"}}),
    ],
)
def test_the_servlet_recites_the_poem_as_json_between_open_and_done(server: Server, request_: tuple[str, dict]) -> None:
    method, more = request_
    first, *middle, last = read_events(method, f"{server.url}/talkeAbouttestEvent", **more)
    assert (first.event, last.event) == ("open", "done")
    assert "".join(json.loads(event.data)["content"] for event in middle) == POEM


@pytest.mark.parametrize(
    "data", ["[123456789012345678901234567890,-18446744073709551617]", '{"愛":[1.5,1e-07,"\\u0000"]}', "null"]
)
def test_what_is_sent_to_a_channel_arrives_unchanged(server: Server, data: str) -> None:
    with opened("GET", f"{server.url}/sse/connect/unchanged") as reader:
        arriving = events(reader)
        next(arriving)
        body = f'{{"data": {data}}}'.encode()
        requests.post(f"{server.url}/sse/send/unchanged", body, headers={"Content-Type": "application/json"}, timeout=5)
        got = next(arriving).data
    assert got == data


def test_a_query_may_be_as_long_as_gunicorn_takes(server: Server) -> None:
    prompt = "愛" * 900  # nine bytes each
    assert read_events("GET", f"{server.url}/talkeAbouttestEvent", params={"prompt": prompt})[-1].event == "done"


def test_event_streams_carry_the_headers_that_keep_proxies_from_holding_them(server: Server) -> None:
    with opened("GET", f"{server.url}/talkeAbouttestEvent") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache, no-transform"
        assert response.headers["X-Accel-Buffering"] == "no"


def test_the_first_event_carries_the_retry_time(server: Server) -> None:
    for method, path, more in (
        ("GET", "/talkeAbouttestEvent", {}),
        ("POST", "/talkeAbouttestSseEmitter", {"json": {"prompt": "x"}}),
        ("POST", "/stream", {"json": {"name": "x"}, "headers": EVENTS}),
    ):
        with opened(method, server.url + path, **more) as response:
            assert response.raw.read1(65536).startswith(b"retry: 2000\n")


@pytest.mark.parametrize("path", ["/talkeAbouttestEvent", "/sse/connect/me"])
def test_a_head_request_begins_nothing_and_gets_the_same_headers(server: Server, path: str) -> None:
    with opened("GET", server.url + path) as got:
        head = requests.head(server.url + path, timeout=5)
    alone, whole = ({n: v for n, v in it.headers.items() if n not in PER_RESPONSE} for it in (head, got))
    assert (head.status_code, head.content, alone) == (200, b"", whole)
    assert whole["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in whole  # for documents


def test_stream_answers_as_raw_text(server: Server) -> None:
    response = requests.post(f"{server.url}/stream", json={"name": "love"}, timeout=30)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode() == POEM


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("TEXT/Event-Stream", "text/event-stream"),
        ("text/plain, text/event-stream; charset=utf-8; q=0.5", "text/event-stream"),
        ("text/event-stream;q=0", "text/plain"),
        ("text/event-streams", "text/plain"),
        ("*/*", "text/plain"),
    ],
)
def test_stream_answers_with_events_if_they_are_named(server: Server, accept: str, kind: str) -> None:
    with opened("POST", f"{server.url}/stream", json={"name": "x"}, headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith(f"{kind};")


def test_stream_answers_as_numbered_events_that_prove_themselves_whole(server: Server) -> None:
    got = read_events("POST", f"{server.url}/stream", json={"name": "love"}, headers=EVENTS)
    answer = json.loads(got[0].data)["answer"]
    assert [event.id for event in got] == [f"{answer}:{seq}" for seq in range(1, len(got) + 1)]
    assert "".join(json.loads(event.data)["content"] for event in got if event.event == "message") == POEM
    done = json.loads(got[-1].data)
    assert (got[-1].event, done["state"], done["chars"]) == ("done", "complete", len(POEM))
    assert done["sha256"] == hashlib.sha256(POEM.encode()).hexdigest()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/stream", {"name": "x", "model": None}),
        ("/talkeAbout", {"prompt": "x", "model": None}),
        ("/talkeAbouttestEvent", {"prompt": None}),
        ("/sse/send/me", {"data": None, "event": None}),
    ],
)
def test_an_optional_field_that_is_null_is_absent(server: Server, path: str, body: dict) -> None:
    assert requests.post(server.url + path, json=body, timeout=30).ok


def test_stream_tells_its_phases_in_order(server: Server) -> None:
    got = read_events("POST", f"{server.url}/stream", json={"name": "love"}, headers=EVENTS)
    phases = [json.loads(event.data)["phase"] for event in got if event.event == "phase"]
    assert phases == ["connecting", "waiting", "writing"]


def test_the_relay_passes_the_lines_on_unaltered(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    direct = requests.post(f"{upstream_server.url}/crlf/v1/chat/completions", json={"stream": True}, timeout=30).content
    with Server(tmp_path, TALKABOUT_UPSTREAM_URL=f"{upstream_server.url}/crlf") as server:
        relayed = requests.post(f"{server.url}/talkeAbout", json={"prompt": "hello"}, timeout=30).content
    assert relayed == direct
    assert relayed.endswith(b"data: [DONE]\r\n\r\n")
