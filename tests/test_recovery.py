"""Taking on what a killed worker has left: what fails with one answer keeps no other waiting."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import requests

from answers.accounts import Account
from answers.answer import Answer, stream_of
from answers.asked import Asked, keep
from answers.completions import PREFIX
from answers.entries import Batch, Entry
from relay.chat import Delta
from relay.poem import POEM
from relay.settings import Settings
from tests.apps import client, here
from tests.faults.cluster import Upstream
from tests.faults.upstream import MODEL, TEXT
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import event
from tests.servers import Server
from tests.test_durable import body
from tests.waiting import until


def show(server: Server, answer: str) -> dict[str, object]:
    shown: dict[str, object] = requests.get(f"{server.url}/api/answers/{answer}", timeout=20).json()
    return shown


def begin(server: Server, model: str) -> str:
    """Begin an answer, and wait for some of its text."""
    asked = {"prompt": "x", "model": model}
    answer: str = requests.post(f"{server.url}/api/answers", json=asked, timeout=20).json()["answer"]
    until(lambda: len(str(show(server, answer)["content"])) > 10, "some text")
    return answer


def test_after_a_kill_an_answer_whose_model_is_gone_ends_and_the_others_go_on(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path, delay_ms=12)
    upstream.start()
    server = Server(
        tmp_path, 1, TALKABOUT_UPSTREAM_URL=upstream.url, TALKABOUT_POEM_DELAY_MS="15", TALKABOUT_SECRET_KEY="k"
    )
    try:
        server.start()
        gone, other = begin(server, MODEL), begin(server, "poem")
        workers = server.workers()
        server.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
    finally:
        upstream.kill()
    del server.environ["TALKABOUT_UPSTREAM_URL"]
    with server:
        until(lambda: show(server, gone)["state"] != "running", "the end of the one")
        until(lambda: show(server, other)["state"] != "running", "the end of the other")
        shown, whole = show(server, gone), show(server, other)
    assert (whole["state"], whole["content"]) == ("complete", POEM)
    assert shown["state"] == "interrupted" and 10 < len(str(shown["content"])) < len(TEXT)
    assert TEXT.startswith(str(shown["content"]))


def test_an_answer_that_cannot_be_read_back_keeps_no_other_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(Settings(data_dir=tmp_path, poem_delay_ms=0, embedded_model=False)) as web:
        worker = here(web)
        bad, good = (worker.store.begin("user", "x", "poem")[0] for _ in range(2))
        stream = stream_of(bad.id)
        worker.journal.take(stream, "gone", 60)
        worker.journal.commit([Batch(stream, "gone", [Entry(stream, 1, b"data: no JSON\n\n")])])
        worker.journal.hand_over("gone")
        worker.journal.take(stream_of(good.id), "gone", 0.0)
        worker.recovery.start()
        until(lambda: (row := worker.store.answer(good.id)) and row.state == "complete", "the other to be complete")
        found = worker.store.answer(bad.id)
    assert found and found.state == "running" and f"{stream} is not adopted" in caplog.text


def test_who_adopts_tells_xinference_to_give_up_what_the_dead_worker_asked(
    tmp_path: Path, upstream_server: MisbehavingServer
) -> None:
    url = f"{upstream_server.url}/xinference"
    with client(Settings(data_dir=tmp_path, upstream_url=url, embedded_model=False)) as web:
        worker = here(web)
        row = worker.store.begin("user", "x", "mock")[0]
        answer = Answer(row.id, row.conversation, row.model)
        answer.open()
        answer.append([Delta("Silence")])
        completion = f"{PREFIX}digest:some-id"
        said = [Entry(completion, 1, event({"content": "Silence"}))]
        keep(worker.journal, completion, Asked(Account("user", "", "mock", 1, None), body("mock")), 1 << 20)
        for stream, entries in ((stream_of(row.id), answer.new), (completion, said)):
            worker.journal.take(stream, "gone", 60)
            worker.journal.commit([Batch(stream, "gone", entries)])
        worker.journal.hand_over("gone")
        worker.recovery.start()
        paths = {f"/xinference/v1/models/mock/requests/{each}/abort" for each in (row.id, "some-id")}
        until(lambda: paths <= {request.path for request in upstream_server.requests}, "both to be given up")
        assert upstream_server.completions == []
