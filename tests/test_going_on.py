"""Durable completions under /v1 whose worker, or whose model server, dies in their middle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import HTTPError

from answers.accounts import Account
from answers.asked import Asked, keep, kept
from answers.completions import PREFIX
from answers.database import Database
from answers.entries import Batch, Entry
from answers.producer import MAX_ADOPTIONS
from answers.usage import Usage, today
from relay.attachments import estimate, estimate_of
from relay.poem import POEM
from relay.settings import Settings
from relay.sse import Event
from tests.apps import client, here
from tests.faults.cluster import Pair
from tests.faults.upstream import MODEL
from tests.faults.upstream import TEXT as RECITED
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import opening
from tests.redis_server import RedisServer
from tests.servers import Server
from tests.streams import events as read
from tests.streams import opened
from tests.test_durable import DURABLE, PATH, body
from tests.waiting import until
from web.services import Services


def begin(server: Server, model: str, count: int, **more: object) -> tuple[str, list[Event]]:
    """Begin a completion, read so many events of it, and leave; give its id."""
    with opened("POST", server.url + PATH, json={**body(model), **more}, headers=DURABLE) as response:
        reading = read(response)
        return response.headers["X-Answer-Id"], [next(reading) for _ in range(count)]


def follow(server: Server, id_: str, seen: list[Event], most: int = 10_000) -> list[Event]:
    """Follow a completion behind what was seen, as often as it takes, to its end or until it is so many events."""
    while len(seen) < most and seen[-1].data != "[DONE]":
        until(server.answers, "the server to answer")
        for event in following(server, id_, seen[-1].id):
            assert event.data == "[DONE]" or "error" not in json.loads(event.data), event.data
            seen = [*seen, event]
            if len(seen) == most:
                break
    return seen


def following(server: Server, id_: str, last: str) -> Iterator[Event]:
    """Give the events until the connection ends; one without an id of its own says: come back."""
    headers = {"Last-Event-ID": last}
    with (
        contextlib.suppress(requests.ConnectionError, HTTPError),  # it was killed
        opened("GET", f"{server.url}{PATH}/{id_}/events", headers=headers) as response,
    ):
        assert response.status_code == 200
        for event in read(response):
            if event.id != last:
                last = event.id
                yield event


def is_one_completion(got: list[Event], id_: str, text: str) -> bool:
    """Tell if these events are what one request would have said."""
    chunks = [json.loads(event.data) for event in got[:-1]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert [event.id for event in got] == [f"{id_}:{seq}" for seq in range(1, len(got) + 1)]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    assert [delta.get("role") for delta in deltas if "role" in delta] in ([], ["assistant"])
    assert len({(chunk.get("id"), chunk.get("created"), chunk.get("model")) for chunk in chunks}) == 1
    finished = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    return [each for each in finished if each] == ["stop"]


def kill(server: Server) -> None:
    """Kill every worker, as the kernel does."""
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)


def counted(folder: Path) -> list[tuple[int, ...]]:
    """Tell what was asked for in all: requests, tokens read and written, and how many are estimated."""
    with contextlib.closing(Database(Settings(data_dir=folder))) as database:
        return [row[1:] for row in Usage(database, 400).rows(today(), today(), ("model",), 9)]


def test_a_request_is_kept_whatever_its_model_is_called(tmp_path: Path) -> None:
    asked = Asked(Account("user", "", "\ud800", 1, None), body("\ud800"))
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as web:
        keep(here(web).journal, "some-stream", asked, 1 << 20)
        assert kept(here(web).journal, "some-stream") == asked


def test_a_killed_worker_s_completion_is_gone_on_with_by_another_again_and_again(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2, TALKABOUT_POEM_DELAY_MS="10") as server:
        id_, got = begin(server, "poem", 30)
        for _ in range(2):
            kill(server)
            got = follow(server, id_, got, len(got) + 30)
        got = follow(server, id_, got)
        until(lambda: counted(tmp_path), "it to be counted")
        [(asked_for, prompt, completion, estimated)] = counted(tmp_path)
    assert is_one_completion(got, id_, POEM)
    assert (asked_for, prompt, estimated) == (1, estimate("hello"), 1)
    assert abs(completion - estimate_of(len(POEM))) < 5


def test_the_same_over_redis(tmp_path: Path, redis: RedisServer) -> None:
    with Server(tmp_path, 2, TALKABOUT_POEM_DELAY_MS="10", TALKABOUT_JOURNAL_URL=redis.url) as server:
        id_, got = begin(server, "poem", 30)
        kill(server)
        assert is_one_completion(follow(server, id_, got), id_, POEM)


def test_a_completion_whose_model_server_is_killed_goes_on_at_another(tmp_path: Path) -> None:
    with Pair(tmp_path, delay_ms=6) as upstreams, Server(tmp_path, TALKABOUT_UPSTREAMS=upstreams.line) as server:
        id_, got = begin(server, MODEL, 12)
        writing, other = upstreams.in_turn()
        writing.kill()
        got = follow(server, id_, got)
    assert is_one_completion(got, id_, RECITED)
    assert (writing.asked(), other.asked()) == ({"hello": 1}, {"hello": 1})


def test_a_worker_that_is_replaced_hands_its_completions_over(tmp_path: Path) -> None:
    with Server(tmp_path, workers=1, TALKABOUT_POEM_DELAY_MS="20", TALKABOUT_DRAIN_S="0.2") as server:
        id_, got = begin(server, "poem", 10)
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        until(lambda: set(server.workers()).isdisjoint(before), "another worker")
        assert is_one_completion(follow(server, id_, got), id_, POEM)


@contextlib.contextmanager
def workers(folder: Path, **more: Any) -> Iterator[tuple[Any, Services, Services]]:
    """Make two workers in this process; the first one's client too."""
    known = Settings(data_dir=folder, embedded_model=False, **more)
    with client(known) as one, client(known) as other:
        yield one, here(one), here(other)


def test_what_cannot_be_gone_on_with_ends_with_an_error_and_is_counted(
    upstream_server: MisbehavingServer, tmp_path: Path
) -> None:
    with workers(tmp_path, upstream_url=f"{upstream_server.url}/silent") as (_, worker, _):
        stream, said = f"{PREFIX}digest:id", opening()[:3]
        account = Account("user", "", "mock", estimate("hello"), None)
        keep(worker.journal, stream, Asked(account, body("mock")), 1 << 20)
        worker.journal.take(stream, "gone", 60)
        entries = [Entry(stream, seq, block) for seq, block in enumerate(said, 1)]
        worker.journal.commit([Batch(stream, "gone", entries)])
        worker.journal.hand_over("gone")
        worker.recovery.start()
        until(lambda: worker.journal.bounds(stream)[1] > len(said), "the end")
        assert b'"writer_gone"' in worker.journal.read(stream, len(said), 1)[0].block
        until(lambda: counted(tmp_path) == [(1, estimate("hello"), estimate("Silence is"), 1)], "it to be counted")
    assert upstream_server.completions == []


@pytest.mark.parametrize(("tries", "kept_bytes"), [(MAX_ADOPTIONS, 1 << 20), (0, 0)])
def test_a_completion_is_adopted_only_so_often_and_only_with_its_request(
    tmp_path: Path, tries: int, kept_bytes: int
) -> None:
    with workers(tmp_path) as (_, worker, _):
        stream = f"{PREFIX}digest:id"
        worker.journal.take(stream, "gone", 0.0)
        keep(worker.journal, stream, Asked(Account("user", "", "poem", 1, None), body("poem"), tries), kept_bytes)
        worker.recovery.start()
        until(lambda: worker.journal.bounds(stream)[1], "the end")
        block = worker.journal.read(stream, 0, 1)[0]
    assert block.final and b'"writer_gone"' in block.block


def test_one_whose_record_nobody_can_read_or_whose_model_is_gone_ends_with_an_error(tmp_path: Path) -> None:
    with workers(tmp_path) as (_, worker, _):
        streams = [f"{PREFIX}digest:{number}" for number in range(3)]
        for stream in streams:
            worker.journal.take(stream, "gone", 0.0)
        keep(worker.journal, streams[1], Asked(Account("user", "", "away", 1, None), body("away")), 1 << 20)
        worker.journal.publish(f"asked:{streams[2]}", lambda _: b'["of", "another", "version"]', 1)
        worker.recovery.start()
        for stream in streams:
            until(lambda stream=stream: worker.journal.bounds(stream)[1], "the end")
            assert b'"writer_gone"' in worker.journal.read(stream, 0, 1)[0].block
        until(lambda: counted(tmp_path) == [(1, 1, 0, 1)], "the one of whom it is known to be counted")


def test_an_answer_is_handed_over_while_a_completion_gets_its_time_to_end(
    tmp_path: Path, upstream_server: MisbehavingServer
) -> None:
    url = f"{upstream_server.url}/silent"
    with workers(tmp_path, upstream_url=url, poem_delay_ms=50, drain_s=20) as (asking, one, other):
        other.recovery.start()
        with asking.post(PATH, json=body("mock"), headers=DURABLE, buffered=False) as response:
            next(response.response)
            answer = asking.post("/api/answers", json={"prompt": "x", "model": "poem"}).json["answer"]
            draining = threading.Thread(target=one.recovery.drain, args=(20,))
            draining.start()
            until(lambda: answer in other.producers.running(), "the answer to be adopted", 5)
            assert draining.is_alive() and one.completions.running()
            upstream_server.release()
            draining.join(20)
            assert b"[DONE]" in b"".join(response.response)
