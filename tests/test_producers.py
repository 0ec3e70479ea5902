"""Producers on two workers, in this process: what is stopped, who continues, and whose lease it is."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answers.answer import stream_of
from answers.pen import LEASE_S
from answers.producers import STOPS
from answers.store import AnswerRow
from relay.asking import SHORT_S
from relay.errors import Conflict, Draining
from relay.settings import Settings
from tests.apps import client
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import LISTS, MODEL, TEXT
from tests.waiting import until
from web.callers import Caller
from web.services import Services


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Services, Services]]:
    """Make two workers, whose poem takes many seconds."""
    settings = Settings(data_dir=tmp_path, poem_delay_ms=100, embedded_model=False)
    with client(settings) as one, client(settings) as other:
        here, there = (each.application.extensions["talkabout"] for each in (one, other))
        here.recovery.start()
        there.recovery.start()
        yield here, there


def begun(worker: Services, model: str | None = "poem", user: str = "user") -> AnswerRow:
    """Begin an answer, and wait for its first words."""
    row = worker.begin(Caller(user), "x", model)
    until(lambda: worker.readers.as_it_is(row).chars > 0)
    return row


def state_of(worker: Services, row: AnswerRow) -> str:
    found = worker.store.answer(row.id)
    assert found
    return found.state


def test_a_stop_that_is_heard_late_leaves_the_continued_answer_alone(workers: tuple[Services, Services]) -> None:
    here, there = workers
    row = begun(here)
    stopped = there.producers.stop(row)
    assert stopped.state == "stopped"
    late = here.journal.read(STOPS, 0, 100)[-1].block
    heard: list[str] = []
    here.follower.listen(STOPS, heard.append)
    here.producers.go_on(stopped)
    seq = here.journal.publish(STOPS, lambda _seq: late, 100)
    until(lambda: late.decode() in heard)
    chars = here.readers.as_it_is(row).chars
    until(lambda: here.readers.as_it_is(row).chars > chars)
    assert state_of(here, row) == "running" and seq > 1
    assert there.producers.stop(row).state == "stopped"


def test_an_adopted_answer_can_be_stopped_from_elsewhere(workers: tuple[Services, Services]) -> None:
    here, there = workers
    row = begun(here)
    here.recovery.drain()
    until(lambda: row.id in there.producers.running())
    assert here.producers.stop(row).state == "stopped"


def test_an_answer_whose_first_event_cannot_be_written_is_adopted(workers: tuple[Services, Services]) -> None:
    here, there = workers
    answer = str(uuid.uuid4())
    here.recovery.retire()
    here.producers.writer.close()
    with pytest.raises(Draining):
        here.begin(Caller("user"), "x", "poem", answer=answer)
    until(lambda: answer in there.producers.running())
    assert answer not in here.producers.running()


def test_a_model_server_that_would_begin_anew_is_not_asked_by_who_adopts(
    tmp_path: Path, upstream_server: MisbehavingServer
) -> None:
    settings = Settings(data_dir=tmp_path, upstream_url=f"{upstream_server.url}/silent", embedded_model=False)
    with client(settings) as one, client(settings) as other:
        here, there = (each.application.extensions["talkabout"] for each in (one, other))
        row = begun(here, None)
        here.recovery.drain()
        there.recovery.start()
        until(lambda: state_of(there, row) != "running")
        shown = there.store.answer(row.id)
    asked = upstream_server.completions
    assert shown and (shown.state, shown.error, len(asked)) == ("interrupted", "upstream_broken", 1)
    assert shown.content and TEXT.startswith(shown.content)


def test_an_answer_begins_and_ends_before_its_server_says_what_it_is(
    tmp_path: Path, upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LISTS, "normal", LISTS["slow-list"])
    url = f"{upstream_server.url}/normal"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model=MODEL, embedded_model=False)) as one:
        here = one.application.extensions["talkabout"]
        began = time.monotonic()
        row = here.begin(Caller("user"), "x", None)
        until(lambda: state_of(here, row) != "running")
        assert state_of(here, row) == "complete" and time.monotonic() - began < SHORT_S


def test_an_answer_that_takes_longer_to_take_up_than_a_lease_lasts_is_adopted_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"  # asked for its list, twice, it says nothing
        settings = Settings(data_dir=tmp_path, upstream_url=url, first_byte_timeout_s=1.5, embedded_model=False)
        with client(settings) as one, client(settings) as other:
            here, there = (each.application.extensions["talkabout"] for each in (one, other))
            row, _ = here.store.begin("user", "x", "m")
            here.journal.take(stream_of(row.id), "gone", 0.0)
            began = time.monotonic()
            for worker in (here, there):
                worker.recovery.start()
            until(lambda: state_of(here, row) == "failed")
            assert time.monotonic() - began > LEASE_S
            assert here.store.adopted(row.id) == 2  # counted for the second time, now


@pytest.mark.parametrize("both_here", [True, False])
def test_of_two_that_continue_at_once_one_does_and_nobody_loses_the_lease(
    workers: tuple[Services, Services], both_here: bool
) -> None:
    here, there = workers
    stopped = here.producers.stop(begun(here))
    producers = [here.producers, here.producers if both_here else there.producers]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(each.go_on, stopped) for each in producers]
    errors = [each.exception() for each in asked]
    assert errors.count(None) == 1 and isinstance(next(filter(None, errors)), Conflict)
    _keeps_its_lease(workers, stopped)


def test_an_answer_that_runs_keeps_its_lease_when_it_is_to_be_continued(workers: tuple[Services, Services]) -> None:
    row = begun(workers[0])
    for worker in workers:
        with pytest.raises(Conflict):
            worker.producers.go_on(row)
    _keeps_its_lease(workers, row)


def test_of_many_leases_each_look_renews_some_and_none_runs_out(
    workers: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("producers", "recovery"):
        monkeypatch.setattr(f"answers.{module}.RENEWED_AT_ONCE", 2)
    here, there = workers
    renew, asked = here.journal.renew, []
    monkeypatch.setattr(here.journal, "renew", lambda *each: (asked.append(each[1]), renew(*each))[1])
    rows = [here.begin(Caller("user"), "x", "poem") for _ in range(4)]
    ends = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < ends:
        assert there.journal.orphans(10) == [] and there.producers.running() == {}
        time.sleep(0.01)
    assert max(map(len, asked)) == 2 and set().union(*asked) == {stream_of(row.id) for row in rows}


def _keeps_its_lease(workers: tuple[Services, Services], row: AnswerRow) -> None:
    """Look all the time that an adoption would take: the lease never runs out, and nobody adopts the answer."""
    writes = [row.id in worker.producers.running() for worker in workers]
    assert writes.count(True) == 1
    ends = time.monotonic() + LEASE_S
    while time.monotonic() < ends:
        assert stream_of(row.id) not in workers[0].journal.orphans(10)
        assert writes == [row.id in worker.producers.running() for worker in workers]
        time.sleep(0.005)
    found = workers[0].store.answer(row.id)
    assert found and (found.state, found.adoptions) == ("running", 0)
