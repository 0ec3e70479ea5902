"""What is kept of an answer: it goes on, and is read, with its whole text, however much of it the journal has lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from answers.answer import stream_of
from answers.redis_scripts import events
from answers.store import AnswerRow
from relay.pipe import Pipe
from relay.poem import POEM
from relay.settings import Settings
from relay.sse import Decoder, Event
from tests.apps import client
from tests.redis_server import RedisServer
from tests.test_producers import begun, state_of, until
from web.services import Services

ROOM = 1 << 40


@pytest.fixture(params=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Keep the journal in either engine; the poem takes four seconds."""
    url = request.getfixturevalue("redis").url if request.param == "redis" else ""
    return Settings(data_dir=tmp_path, journal_url=url, poem_delay_ms=10, embedded_model=False)


@pytest.fixture
def worker(settings: Settings) -> Iterator[Services]:
    with client(settings) as web:
        yield web.application.extensions["talkabout"]


@pytest.fixture
def redis_workers(tmp_path: Path, redis: RedisServer) -> Iterator[tuple[Services, Services]]:
    """Make two workers, none of which looks after leases yet."""
    settings = Settings(data_dir=tmp_path, journal_url=redis.url, poem_delay_ms=10, embedded_model=False)
    with client(settings) as one, client(settings) as other:
        yield one.application.extensions["talkabout"], other.application.extensions["talkabout"]


def says(worker: Services, row: AnswerRow, chars: int) -> None:
    until(lambda: worker.readers.as_it_is(row).chars >= chars)


def stop(worker: Services) -> tuple[AnswerRow, float]:
    """Stop an answer in the midst of its text; return it, and a time at which it had said some of that."""
    row = begun(worker)
    says(worker, row, 10)
    midway = time.time()
    says(worker, row, 30)
    return worker.producers.stop(row), midway


def prune(worker: Services, row: AnswerRow, before: float) -> tuple[int, int]:
    """Let what is older go, and return what is left of the answer."""
    worker.journal.publish("newest", lambda _seq: b"", 1)  # SQLite keeps the newest entry of all
    while worker.journal.prune(before, ROOM):
        pass
    return worker.journal.bounds(stream_of(row.id))


def read(worker: Services, row: AnswerRow, after: int | None) -> list[Event]:
    """Read an answer that comes to its end."""
    until(lambda: state_of(worker, row) == "complete")
    return in_pipe(worker.readers.follow(row, after))


def in_pipe(pipe: Pipe) -> list[Event]:
    return Decoder().feed(b"".join(pipe))


def text_of(got: list[Event], text: str = "") -> str:
    for event in got:
        data = json.loads(event.data)
        text = data["content"] if event.event == "reset" else text + data.get("content", "")
    return text


def ends_whole(worker: Services, row: AnswerRow, *cursors: int | None) -> None:
    """Check that everybody gets all of the text, whatever they have seen of it."""
    for cursor in cursors:
        got = read(worker, row, cursor)
        done = json.loads(got[-1].data)
        assert (text_of(got), done["state"], done["chars"]) == (POEM, "complete", len(POEM))
    found = worker.store.answer(row.id)
    assert found and found.content == POEM


def test_an_answer_goes_on_when_the_journal_has_nothing_of_it_any_more(worker: Services) -> None:
    stopped, _ = stop(worker)
    first, last = prune(worker, stopped, time.time() + 5)
    row = worker.producers.go_on(stopped)
    new = read(worker, row, last)
    assert first == last + 1 and (new[0].event, new[0].id) == ("reset", f"{row.id}:{first}")
    assert json.loads(new[0].data)["content"] == stopped.content
    assert json.loads(new[1].data) == {"phase": "recovering"}
    ends_whole(worker, row, 0, 1, last - 1, last, None)


def test_an_answer_goes_on_when_the_journal_has_only_its_end(worker: Services) -> None:
    stopped, midway = stop(worker)
    first, last = prune(worker, stopped, midway)
    assert 1 < first <= last
    row = worker.producers.go_on(stopped)
    ends_whole(worker, row, 0, 1, first, last - 1, last, None)


def test_an_answer_goes_on_when_redis_has_forgotten_its_numbers_too(
    redis_workers: tuple[Services, Services], redis: RedisServer
) -> None:
    worker, _ = redis_workers
    stopped, _ = stop(worker)
    with redis.client() as inside:
        assert inside.delete(events(stream_of(stopped.id))) == 1
    row = worker.producers.go_on(stopped)
    new = read(worker, row, 0)
    assert [(event.event, event.id) for event in new[:2]] == [("open", f"{row.id}:1"), ("reset", f"{row.id}:2")]
    ends_whole(worker, row, 0, 999, None)


def test_who_adopts_what_redis_has_lost_tells_everybody_all_of_it(
    redis_workers: tuple[Services, Services], redis: RedisServer
) -> None:
    here, there = redis_workers
    row = here.producers.go_on(stop(here)[0])
    says(here, row, 50)
    here.recovery.drain()
    redis.clear()
    early = there.readers.follow(row, 20)
    there.recovery.start()
    until(lambda: row.id in there.producers.running())
    ends_whole(there, row, 0, None)
    assert text_of(in_pipe(early), "what it has seen") == POEM


def test_what_redis_has_lost_of_a_running_answer_is_shown_again(
    redis_workers: tuple[Services, Services], redis: RedisServer
) -> None:
    worker, _ = redis_workers
    row = begun(worker)
    says(worker, row, 20)
    redis.clear()
    says(worker, row, 30)
    assert POEM.startswith(worker.readers.as_it_is(row).content)
    ends_whole(worker, row, 0, 5, None)


def test_the_text_before_what_is_kept_ends_where_that_begins(worker: Services) -> None:
    stopped, midway = stop(worker)
    whole = in_pipe(worker.readers.follow(stopped, 0))
    first, last = prune(worker, stopped, midway)
    for upto in (first - 1, first + 5, last):
        seen = text_of([event for event in whole if int(event.id.rpartition(":")[2]) <= upto])
        assert worker.readers.so_far(stopped, upto).content == seen
