"""Answers over the wire: begun once, read from anywhere, stopped for good, continued without a fault."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from answers.database import FILE
from relay.poem import POEM
from relay.sse import Event
from tests.misbehaving import MisbehavingServer, Request
from tests.misbehaviours import TEXT
from tests.servers import Server
from tests.streams import events, opened, read_events
from tests.waiting import until

EVENTS = {"Accept": "text/event-stream"}
WAIT_S = 20.0


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run two workers and a poem that takes about three seconds."""
    with Server(tmp_path_factory.mktemp("slow"), workers=2, TALKABOUT_POEM_DELAY_MS="15") as running:
        yield running


def begin(server: Server, **fields: Any) -> str:
    response = requests.post(f"{server.url}/api/answers", json={"prompt": "x", **fields}, timeout=10)
    assert response.status_code == 202, response.text
    answer: str = response.json()["answer"]
    return answer


def follow(server: Server, answer: str, last: str = "") -> Iterator[Event]:
    """Follow an answer to its end, over as many connections as it takes."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with opened("GET", f"{server.url}/api/answers/{answer}/events", headers=headers) as response:
                for event in events(response):
                    last = event.id
                    yield event
                    if event.event == "done":
                        return
        except (requests.ConnectionError, urllib3.exceptions.HTTPError):
            time.sleep(0.1)


def text_of(got: list[Event]) -> str:
    text = ""
    for event in got:
        data = json.loads(event.data)
        text = data["content"] if event.event == "reset" else text + data.get("content", "")
    return text


def show(server: Server, answer: str) -> dict[str, Any]:
    shown: dict[str, Any] = requests.get(f"{server.url}/api/answers/{answer}", timeout=10).json()
    return shown


def test_an_answer_is_begun_and_followed_from_its_first_event(server: Server) -> None:
    answer = begin(server)
    got = list(follow(server, answer))
    assert [event.id for event in got] == [f"{answer}:{seq}" for seq in range(1, len(got) + 1)]
    done = json.loads(got[-1].data)
    assert (text_of(got), done["state"], done["chars"]) == (POEM, "complete", len(POEM))
    assert done["sha256"] == hashlib.sha256(POEM.encode()).hexdigest()


def test_a_post_that_accepts_events_is_the_stream_itself(server: Server) -> None:
    with opened("POST", f"{server.url}/api/answers", json={"prompt": "x"}, headers=EVENTS) as response:
        answer = response.headers["X-Answer-Id"]
        assert response.headers["Content-Location"] == f"/api/answers/{answer}/events"
        assert text_of(list(events(response))) == POEM


def test_an_answer_can_be_shown_at_any_time(slow: Server) -> None:
    answer = begin(slow)
    running = show(slow, answer)
    list(follow(slow, answer))
    ended = show(slow, answer)
    assert (running["state"], POEM.startswith(running["content"])) == ("running", True)
    assert (ended["state"], ended["content"], ended["finish_reason"]) == ("complete", POEM, "stop")


def test_the_same_id_never_asks_the_model_again(server: Server) -> None:
    answer = str(uuid.uuid4())
    with ThreadPoolExecutor(4) as pool:
        posts = list(pool.map(lambda _: begin(server, answer=answer), range(4)))
    assert posts == [answer] * 4
    assert [event.event for event in follow(server, answer)].count("open") == 1


def test_the_same_id_for_another_prompt_is_a_conflict(server: Server) -> None:
    answer = begin(server)
    response = requests.post(f"{server.url}/api/answers", json={"prompt": "y", "answer": answer}, timeout=10)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


def test_a_post_with_last_event_id_resumes_and_never_asks_again(server: Server) -> None:
    answer = begin(server)
    list(follow(server, answer))
    headers = {**EVENTS, "Last-Event-ID": f"{answer}:5"}
    got = read_events("POST", f"{server.url}/api/answers", json={"prompt": "x"}, headers=headers)
    assert got[0].id == f"{answer}:6"


def test_a_reader_comes_back_for_what_it_has_not_seen(slow: Server) -> None:
    answer = begin(slow)
    got: list[Event] = []
    while not got or got[-1].event != "done":
        for event in follow(slow, answer, got[-1].id if got else ""):
            got.append(event)
            if len(got) % 17 == 0:
                break
    assert [int(event.id.rpartition(":")[2]) for event in got] == list(range(1, len(got) + 1))
    assert text_of(got) == POEM


def test_many_readers_on_two_workers_see_the_same(slow: Server) -> None:
    answer = begin(slow)
    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(lambda _: list(follow(slow, answer)), range(6)))
    assert all(each == seen[0] for each in seen) and text_of(seen[0]) == POEM


def test_whoever_has_seen_the_end_is_told_to_stay_away(server: Server) -> None:
    answer = begin(server)
    last = list(follow(server, answer))[-1].id
    url = f"{server.url}/api/answers/{answer}/events"
    assert requests.get(url, headers={"Last-Event-ID": last}, timeout=10).status_code == 204
    assert requests.get(url, params={"last_event_id": last}, timeout=10).status_code == 204


@pytest.mark.parametrize("cursor", ["nonsense", "{other}:3", "{answer}:99999"])
def test_a_cursor_that_makes_no_sense_gets_the_whole_text(server: Server, cursor: str) -> None:
    answer = begin(server)
    list(follow(server, answer))
    last = cursor.format(answer=answer, other=uuid.uuid4())
    first, *_, done = read_events("GET", f"{server.url}/api/answers/{answer}/events", headers={"Last-Event-ID": last})
    assert (first.event, json.loads(first.data)["content"], done.event) == ("reset", POEM, "done")


def test_leaving_is_not_stopping(slow: Server) -> None:
    with opened("POST", f"{slow.url}/api/answers", json={"prompt": "x"}, headers=EVENTS) as response:
        answer = response.headers["X-Answer-Id"]
        next(events(response))
    while (shown := show(slow, answer))["state"] == "running":
        time.sleep(0.1)
    assert (shown["state"], shown["content"]) == ("complete", POEM)


def test_an_answer_that_nobody_reads_is_stopped_after_its_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"TALKABOUT_POEM_DELAY_MS": "200", "TALKABOUT_ABANDON_AFTER_S": "1"}
    with Server(tmp_path_factory.mktemp("abandoned"), **settings) as server:
        answer = begin(server)
        while (shown := show(server, answer))["state"] == "running":
            time.sleep(0.1)
    assert shown["state"] == "stopped" and POEM.startswith(shown["content"])


def test_stop_stops_from_any_worker_again_and_again(slow: Server) -> None:
    answer = begin(slow)
    next(event for event in follow(slow, answer) if event.event == "message")
    receipts = [requests.post(f"{slow.url}/api/answers/{answer}/stop", timeout=20).json() for _ in range(6)]
    assert all(receipt == receipts[0] for receipt in receipts)
    assert (receipts[0]["state"], receipts[0]["upstream_closed"]) == ("stopped", True)
    got = list(follow(slow, answer))
    assert json.loads(got[-1].data)["state"] == "stopped"
    assert len(text_of(got)) == receipts[0]["chars"] < len(POEM)


def test_xinference_is_told_to_give_up_each_time_by_another_name_and_nobody_waits_for_it(
    upstream_server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = f"{upstream_server.url}/busy-xinference"
    with Server(tmp_path_factory.mktemp("xinference"), TALKABOUT_UPSTREAM_URL=url) as server:
        answer = begin(server)
        next(event for event in follow(server, answer) if event.event == "message")
        requests.post(f"{server.url}/api/answers/{answer}/stop", timeout=20)
        with opened("POST", f"{server.url}/api/answers/{answer}/continue", headers=EVENTS) as response:
            next(event for event in events(response) if event.event == "message")
            requests.post(f"{server.url}/api/answers/{answer}/stop", timeout=20)
        further = begin(server, conversation=show(server, answer)["conversation"])
        next(event for event in follow(server, further) if event.event == "message")
        requests.post(f"{server.url}/api/answers/{further}/stop", timeout=20)
        until(lambda: len(requests_to(upstream_server, "/abort")) == 3)
        given_up = requests_to(upstream_server, "/abort")
        assert not any(request.closed.is_set() for request in given_up)
    first, second, third = [request.json["request_id"] for request in requests_to(upstream_server, "/completions")]
    assert first == answer != second and third == further  # the names that whoever adopts them would give up
    assert [request.path.split("/")[-2] for request in given_up] == [first, second, third]


def requests_to(server: MisbehavingServer, path: str) -> list[Request]:
    return [request for request in server.requests if request.path.endswith(path)]


def test_an_answer_that_breaks_off_again_and_again_is_settled(
    upstream_server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"TALKABOUT_UPSTREAM_URL": f"{upstream_server.url}/cut-clean", "TALKABOUT_UPSTREAM_CONTINUES": "prefill"}
    with Server(tmp_path_factory.mktemp("broken"), **settings) as server:
        answer = begin(server)
        done = json.loads(list(follow(server, answer))[-1].data)
        shown = show(server, answer)
    asked = upstream_server.completions
    assert (done["state"], shown["state"], len(asked)) == ("interrupted", "interrupted", 4)
    assert asked[1].json["messages"][-1] == {"role": "assistant", "content": TEXT}


def test_two_stops_at_once_get_the_same_receipt(slow: Server) -> None:
    answer = begin(slow)
    with ThreadPoolExecutor(4) as pool:
        posts = pool.map(lambda _: requests.post(f"{slow.url}/api/answers/{answer}/stop", timeout=20).json(), range(4))
    receipts = list(posts)
    assert all(receipt == receipts[0] for receipt in receipts) and receipts[0]["state"] == "stopped"


def test_a_stopped_answer_continues_where_its_text_ends(slow: Server) -> None:
    answer = begin(slow)
    next(event for event in follow(slow, answer) if "東" in event.data)
    requests.post(f"{slow.url}/api/answers/{answer}/stop", timeout=20)
    with opened("POST", f"{slow.url}/api/answers/{answer}/continue", headers=EVENTS) as response:
        new = list(events(response))
    assert json.loads(new[0].data) == {"phase": "recovering"} and new[-1].event == "done"
    assert (show(slow, answer)["state"], show(slow, answer)["content"]) == ("complete", POEM)
    assert text_of(list(follow(slow, answer))) == POEM


def test_who_reads_an_answer_that_is_about_to_go_on_is_not_told_to_stay_away(tmp_path: Path) -> None:
    with Server(tmp_path, TALKABOUT_POEM_DELAY_MS="15") as server:
        answer = begin(server)
        next(event for event in follow(server, answer) if "東" in event.data)
        requests.post(f"{server.url}/api/answers/{answer}/stop", timeout=20)
        last = list(follow(server, answer))[-1].id
        with sqlite3.connect(tmp_path / FILE) as database:  # as Continue does first; the rest is done by who adopts it
            database.execute("UPDATE messages SET state = 'running' WHERE id = ?", (answer,))
        url = f"{server.url}/api/answers/{answer}/events"
        more = requests.get(url, headers={"Last-Event-ID": last}, timeout=WAIT_S)
        assert more.status_code == 200 and "event: done" in more.text
        assert (show(server, answer)["state"], show(server, answer)["content"]) == ("complete", POEM)


def test_an_answer_that_is_whole_cannot_be_continued(server: Server) -> None:
    answer = begin(server)
    list(follow(server, answer))
    assert requests.post(f"{server.url}/api/answers/{answer}/continue", timeout=10).status_code == 409


def test_another_users_answer_does_not_exist(server: Server) -> None:
    answer = begin(server)
    with requests.Session() as browser:
        browser.get(server.url, timeout=10)
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/stop"), ("POST", "/continue")):
            response = browser.request(method, f"{server.url}/api/answers/{answer}{path}", timeout=10)
            assert response.status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"answer": "no uuid"}, "answer"),
        ({"model": "none"}, "model"),
        ({"answer": 5}, "answer"),
    ],
)
def test_a_wrong_field_is_named(server: Server, fields: dict[str, Any], field: str) -> None:
    response = requests.post(f"{server.url}/api/answers", json={"prompt": "x", **fields}, timeout=10)
    assert (response.status_code, response.json()["field"]) == (422, field)


def test_one_user_may_have_only_so_many_answers_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"TALKABOUT_POEM_DELAY_MS": "100", "TALKABOUT_MAX_ANSWERS_PER_USER": "2"}
    with Server(tmp_path_factory.mktemp("greedy"), **settings) as server:
        begin(server)
        begin(server)
        response = requests.post(f"{server.url}/api/answers", json={"prompt": "x"}, timeout=10)
    assert (response.status_code, response.json()["code"]) == (429, "too_many_answers")
    assert int(response.headers["Retry-After"]) > 0


def test_one_user_may_have_only_so_many_readers_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"TALKABOUT_POEM_DELAY_MS": "100", "TALKABOUT_MAX_READERS_PER_USER": "1"}
    with Server(tmp_path_factory.mktemp("curious"), **settings) as server:
        url = f"{server.url}/api/answers/{begin(server)}/events"
        with opened("GET", url) as first, opened("GET", url) as second:
            assert (first.status_code, second.status_code, second.json()["code"]) == (200, 429, "too_many_readers")


@pytest.mark.parametrize("fault", ["one worker", "all workers", "reload"])
def test_an_answer_outlives_its_worker(tmp_path_factory: pytest.TempPathFactory, fault: str) -> None:
    with Server(tmp_path_factory.mktemp("mortal"), workers=2, TALKABOUT_POEM_DELAY_MS="15") as server:
        answer = begin(server)
        got: list[Event] = []
        reading = threading.Thread(target=lambda: got.extend(follow(server, answer)))
        reading.start()
        while len(show(server, answer)["content"]) < 20:
            time.sleep(0.05)
        _bring_about(server, fault)
        reading.join()
    assert [int(event.id.rpartition(":")[2]) for event in got] == list(range(1, len(got) + 1))
    assert text_of(got) == POEM and json.loads(got[-1].data)["state"] == "complete"


def _bring_about(server: Server, fault: str) -> None:
    if fault == "reload":
        server.process.send_signal(signal.SIGHUP)
        return
    workers = server.workers()
    for pid in workers if fault == "all workers" else workers[:1]:
        os.kill(pid, signal.SIGKILL)
