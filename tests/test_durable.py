"""Durable completions under /v1: the upstream's own chunks, read again from any place by any reader on any worker."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from openai import OpenAI

from relay.settings import Settings
from relay.sse import Decoder, Event
from tests.apps import client, here
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT, events
from tests.redis_server import RedisServer
from tests.servers import Server
from tests.streams import events as read
from tests.streams import opened

PATH = "/v1/chat/completions"
DURABLE = {"Talkabout-Durable": "true"}
SOON_S = 1.5


def body(model: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": True}


def settings(upstream: MisbehavingServer) -> dict[str, str]:
    return {"TALKABOUT_UPSTREAM_URL": f"{upstream.url}/any", "TALKABOUT_UPSTREAM_RETRIES": "0"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tokens = {"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": "ada=one bob=two", "TALKABOUT_HEARTBEAT_S": "0.1"}
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, workers=2, **settings(upstream), **tokens, TALKABOUT_ABANDON_AFTER_S="2") as running:
        yield running


ADA, BOB = {"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}


def begin(server: Server, model: str, count: int, **headers: str) -> tuple[str, list[Event]]:
    """Begin a durable completion, read so many events of it, and leave; give its id."""
    with opened("POST", server.url + PATH, json=body(model), headers={**ADA, **DURABLE, **headers}) as response:
        assert response.status_code == 200, response.text
        got = []
        for event in read(response):
            got.append(event)
            if len(got) == count:
                break
        return response.headers["X-Answer-Id"], got


def follow(server: Server, id_: str, after: str = "", who: dict[str, str] = ADA) -> list[Event]:
    """Follow a completion to its end."""
    headers = {**who, **({"Last-Event-ID": after} if after else {})}
    with opened("GET", f"{server.url}{PATH}/{id_}/events", headers=headers) as response:
        assert response.status_code == 200, response.text
        return list(read(response))


def error(event: Event) -> str:
    return str(json.loads(event.data)["error"]["code"])


def test_it_is_the_upstream_s_own_chunks_with_an_id_each(server: Server) -> None:
    id_, got = begin(server, "openai", 0)
    assert [event.data for event in got] == [event.data for event in Decoder().feed(b"".join(events()))]
    assert [event.id for event in got] == [f"{id_}:{seq}" for seq in range(1, len(got) + 1)]


def test_the_id_stands_last_in_each_block_and_no_block_is_without_data(server: Server) -> None:
    response = requests.post(server.url + PATH, json=body("pausing"), headers={**ADA, **DURABLE}, timeout=30)
    assert b": ping\n" in response.content
    for block in response.content.replace(b": ping\n", b"").split(b"\n\n")[:-1]:
        data, id_ = block.split(b"\n")
        assert data.startswith(b"data: ") and id_.startswith(b"id: " + response.headers["X-Answer-Id"].encode())


def test_openai_s_client_reads_it_heartbeats_and_ids_and_all(server: Server) -> None:
    with OpenAI(base_url=f"{server.url}/v1", api_key="one", max_retries=0) as ai:
        chunks = list(
            ai.chat.completions.create(
                model="pausing", messages=[{"role": "user", "content": "x"}], stream=True, extra_headers=DURABLE
            )
        )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


def test_a_reader_that_was_cut_reads_on_where_it_was(server: Server) -> None:
    whole = [event.data for event in Decoder().feed(b"".join(events()))]
    id_, got = begin(server, "pausing", 3)
    for _ in range(4):  # on either worker
        rest = follow(server, id_, got[-1].id)
        assert [event.data for event in (*got, *rest)] == whole
    again = requests.post(server.url + PATH, headers={**ADA, "Last-Event-ID": got[-1].id}, timeout=30)
    assert Decoder().feed(again.content) == rest
    assert [event.data for event in follow(server, id_)] == whole


def test_many_read_it_at_once(server: Server) -> None:
    id_, _ = begin(server, "pausing", 1)
    with ThreadPoolExecutor(8) as readers:
        said = list(readers.map(lambda _: [event.data for event in follow(server, id_)], range(8)))
    assert all(each == said[0] and each[-1] == "[DONE]" for each in said)


def test_who_has_seen_the_end_is_told_that_there_is_nothing_more(server: Server) -> None:
    id_, got = begin(server, "openai", 0)
    url = f"{server.url}{PATH}/{id_}/events?last_event_id={got[-1].id}"
    assert requests.get(url, headers=ADA, timeout=30).status_code == 204


def test_what_is_another_s_is_not_there(server: Server) -> None:
    id_, got = begin(server, "openai", 0)
    for method, path, headers in (
        ("GET", f"{PATH}/{id_}/events", BOB),
        ("POST", f"{PATH}/{id_}/stop", BOB),
        ("POST", PATH, {**BOB, "Last-Event-ID": got[0].id}),
        ("GET", f"{PATH}/{'0' * 8}-0000-4000-8000-{'0' * 12}/events", ADA),
        ("GET", f"{PATH}/..%2F{id_}/events", ADA),
    ):
        refused = requests.request(method, server.url + path, headers=headers, timeout=30)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


def test_it_goes_on_when_its_reader_goes_and_stops_when_that_is_said(
    server: Server, upstream: MisbehavingServer
) -> None:
    for _ in range(4):  # on either worker
        id_, got = begin(server, "endless", 2)
        asked = upstream.completions[-1]
        rest = ThreadPoolExecutor(1).submit(follow, server, id_, got[-1].id)
        said_at = time.monotonic()
        stopped = requests.post(f"{server.url}{PATH}/{id_}/stop", headers=ADA, timeout=30)
        assert stopped.json()["upstream_closed"] is True
        assert asked.closed.wait(10) and asked.closed_at - said_at < SOON_S
        assert error(rest.result()[-1]) == "upstream_stopped"
        assert requests.post(f"{server.url}{PATH}/{id_}/stop", headers=ADA, timeout=30).ok


def test_it_is_stopped_when_nobody_has_read_it_for_long(server: Server, upstream: MisbehavingServer) -> None:
    id_, _ = begin(server, "endless", 2)
    assert upstream.completions[-1].closed.wait(20)
    assert error(follow(server, id_)[-1]) == "upstream_stopped"


@pytest.mark.parametrize(
    ("model", "code"),
    [("cut-clean", "upstream_broken"), ("error-object", 500), ("never-ending-line", "event_too_long")],
)
def test_what_breaks_off_ends_with_an_error(server: Server, model: str, code: object) -> None:
    _, got = begin(server, model, 0)
    assert json.loads(got[-1].data)["error"]["code"] == code
    assert "[DONE]" not in [event.data for event in got]


def test_an_end_without_done_gets_one(server: Server) -> None:
    _, got = begin(server, "finished", 0)
    assert [event.data for event in got][-1] == "[DONE]"


def test_what_is_refused_has_no_id(server: Server) -> None:
    refused = requests.post(server.url + PATH, json=body("429-long"), headers={**ADA, **DURABLE}, timeout=30)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert "X-Answer-Id" not in refused.headers
    whole = requests.post(
        server.url + PATH, json={**body("openai"), "stream": False}, headers={**ADA, **DURABLE}, timeout=30
    )
    assert (whole.status_code, whole.json()["error"]["param"]) == (422, "stream")


def test_who_leaves_before_the_headers_leaves_nothing_behind(server: Server, upstream: MisbehavingServer) -> None:
    with pytest.raises(requests.Timeout):
        requests.post(server.url + PATH, json=body("slow-headers"), headers={**ADA, **DURABLE}, timeout=0.3)
    left = time.monotonic()
    last = upstream.completions[-1]
    assert last.closed.wait(10) and last.closed_at - left < SOON_S


def test_one_user_has_only_so_many_at_once(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/endless"
    known = Settings(data_dir=tmp_path, upstream_url=url, model="mock", max_answers_per_user=1, drain_s=0)
    with client(known) as asking, asking.post(PATH, json=body("mock"), headers=DURABLE, buffered=False) as first:
        assert first.status_code == 200
        refused = asking.post(PATH, json=body("mock"), headers=DURABLE)
        assert (refused.status_code, refused.json["error"]["code"]) == (429, "too_many_answers")
        assert refused.headers["Retry-After"]


def test_it_ends_when_it_is_longer_than_allowed(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/endless"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock", max_reply_bytes=2000)) as asking:
        said = asking.post(PATH, json=body("mock"), headers=DURABLE)
        got = Decoder().feed(said.data)
        said.close()
    assert error(got[-1]) == "reply_too_long" and len(said.data) < 3000
    assert upstream_server.wait_for_closed()


def test_what_is_not_kept_any_more_is_said(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/openai"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock")) as asking:
        with asking.post(PATH, json=body("mock"), headers=DURABLE) as response:
            last = Decoder().feed(response.data)[-1].id
        here(asking).journal.prune(time.time() + 60, 1 << 30)
        events_of = f"{PATH}/{last.partition(':')[0]}/events"
        gone = asking.get(events_of)
        assert (gone.status_code, gone.json["error"]["code"]) == (404, "events_gone")
        assert asking.get(events_of, headers={"Last-Event-ID": last}).status_code == 204


def test_the_same_over_redis(upstream: MisbehavingServer, tmp_path: Path, redis: RedisServer) -> None:
    with Server(tmp_path, workers=2, **settings(upstream), TALKABOUT_JOURNAL_URL=redis.url) as server:
        id_, got = begin(server, "pausing", 3, Authorization="")
        rest = follow(server, id_, got[-1].id, who={})
        assert [event.data for event in (*got, *rest)] == [e.data for e in Decoder().feed(b"".join(events()))]


def test_a_server_that_ends_says_so_to_whoever_reads(upstream: MisbehavingServer, tmp_path: Path) -> None:
    with (
        Server(tmp_path, **settings(upstream), TALKABOUT_DRAIN_S="0.5") as server,
        opened("POST", server.url + PATH, json=body("silent"), headers=DURABLE) as response,
    ):
        reading = read(response)
        next(reading)
        server.process.send_signal(signal.SIGTERM)
        assert error(list(reading)[-1]) == "draining"
