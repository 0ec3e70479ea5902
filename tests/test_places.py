"""How much runs for a token at once, over all workers: never more than it may. On both databases."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

import web.answers
import web.article
from answers import places as places_module
from answers.database import Database
from answers.limits import Limits
from answers.places import Places
from answers.store import AnswerRow, Store
from answers.tables import quotas
from relay.attachments import estimate
from relay.errors import TalkaboutError, TooManyAnswers
from relay.settings import Settings
from tests.apps import browser, client, here
from tests.test_store import at_once
from tests.waiting import until
from web.services import Services
from web.users import Caller


@pytest.fixture
def none_is_left(database: Database) -> Iterator[None]:
    """Leave the places that a test has taken, else they would be renewed for ever."""
    yield
    while TAKEN:
        places, place = TAKEN.pop()
        places.leave(place)


TAKEN: list[tuple[Places, str]] = []


def takes(places: Places, token: str, most: int) -> bool:
    place = str(uuid.uuid4())
    try:
        places.take(token, most, place)
    except TooManyAnswers:
        return False
    TAKEN.append((places, place))
    return True


@pytest.mark.usefixtures("none_is_left")
def test_of_many_at_once_no_more_have_a_place_than_may(database: Database, user: str) -> None:
    workers = [Places(database) for _ in range(8)]
    turns = iter(workers)
    assert sum(at_once(lambda: takes(next(turns), user, 3))) == 3


@pytest.mark.usefixtures("none_is_left")
def test_a_place_that_is_left_is_free_again(database: Database, user: str) -> None:
    places = Places(database)
    with places.taken(user, 1, str(uuid.uuid4())):
        assert not takes(places, user, 1) and takes(places, user + "2", 1)
    assert takes(places, user, 1)


@pytest.mark.usefixtures("none_is_left")
def test_an_answer_is_counted_while_it_runs_and_once(store: Store, database: Database, user: str) -> None:
    places, answer = Places(database), str(uuid.uuid4())
    with places.taken(user, 2, answer):
        store.begin(user, "x", "poem", answer=answer, token=user)
        assert takes(places, user, 2) and not takes(places, user, 2)
    assert not takes(places, user, 2)
    store.settle(answer, "complete")
    assert takes(places, user, 2)


@pytest.mark.usefixtures("none_is_left")
def test_the_places_of_a_killed_worker_are_free_before_long(
    database: Database, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "LASTS_S", 0.6)
    monkeypatch.setattr(places_module, "_RENEW_S", 0.1)
    alive, killed = Places(database), Places(database)
    killed._renewing = True  # it renews nothing any more
    assert takes(alive, user, 2) and takes(killed, user, 2) and not takes(alive, user, 2)
    until(lambda: takes(killed, user, 2))
    assert not takes(killed, user, 2)


def test_without_a_limit_the_database_is_not_asked(database: Database, user: str) -> None:
    Places(None).take(user, None, user)  # type: ignore[arg-type]
    Places(None).take("", 1, user)  # type: ignore[arg-type]


@pytest.mark.parametrize("route", ["/api/answers", "/talkeAbout"])
def test_a_token_has_as_many_at_once_as_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    caller = Caller("root", "tok", limits=Limits(answers_at_once=1))
    for module in (web.answers, web.article):
        monkeypatch.setattr(module, "current_caller", lambda: caller)
    with browser(tmp_path, poem_delay_ms=20) as made:
        first = made.post("/talkeAbout", json={"prompt": "x", "model": "poem"}, buffered=False)
        assert any(b"data:" in chunk for chunk in first.response)
        refused = made.post(route, json={"prompt": "x"})  # of whatever kind it is
        assert (refused.status_code, refused.json["code"]) == (429, "too_many_answers")
        first.close()
        until(lambda: asked(made, route) in (200, 202))


def asked(browser: FlaskClient, route: str) -> int:
    with browser.post(route, json={"prompt": "x"}) as response:
        return response.status_code


@pytest.fixture
def worker(database_settings: Settings) -> Iterator[Services]:
    """Make a worker of slow answers, of which a user may have one."""
    url, folder = database_settings.database_url, database_settings.data_dir
    one = Settings(data_dir=folder, database_url=url, poem_delay_ms=50, embedded_model=False, max_answers_per_user=1)
    with client(one) as made:
        yield here(made)
        here(made).store.close()


def together(method: Callable[..., object], before: bool) -> Callable[..., object]:
    """Let the first two calls of a method wait for each other, before or behind what it does."""
    both, first = threading.Barrier(2), [1, 2]

    def waits(*given: object) -> object:
        ours = bool(first and first.pop())
        if ours and before:
            both.wait(10)
        result = method(*given)
        if ours and not before:
            both.wait(10)
        return result

    return waits


def charged(database: Database, token: str) -> int:
    query = select(quotas.c.used).where(quotas.c.subject == f"token:{token}")
    return int(database.query(lambda connection: connection.scalar(query)) or 0)


def test_the_same_answer_begun_twice_at_once_runs_once_and_is_charged_once(
    worker: Services, database: Database, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.store, "answer", together(worker.store.answer, before=False))  # to both it is unknown
    caller, prompt = Caller(user, user, limits=Limits(tokens_per_day=1000, answers_at_once=1)), "x" * 400
    answer = str(uuid.uuid4())
    rows = at_once(lambda: worker.begin(caller, prompt, "poem", answer=answer), 2)
    assert [row.id for row in rows] == [answer, answer]
    assert charged(database, user) == estimate(prompt) > 1
    worker.producers.stop(rows[0])


@pytest.mark.parametrize("most", [1, 2])
def test_of_two_that_continue_an_answer_at_once_one_does(
    worker: Services, database: Database, user: str, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    caller = Caller(user, user, limits=Limits(tokens_per_day=1000, answers_at_once=most))
    row = worker.begin(caller, "x", "poem")
    until(lambda: worker.readers.as_it_is(row).chars > 20)
    row = worker.producers.stop(row)
    before = charged(database, user)
    monkeypatch.setattr(worker.producers, "go_on", together(worker.producers.go_on, before=True))
    assert sorted(at_once(lambda: continued(worker, caller, row), 2)) == ["Conflict", "running"]
    assert charged(database, user) == before + estimate(row.content)
    worker.producers.stop(row)


def continued(worker: Services, caller: Caller, row: AnswerRow) -> str:
    try:
        return worker.go_on(caller, row).state
    except TalkaboutError as error:
        return type(error).__name__


@pytest.mark.usefixtures("none_is_left")
def test_who_shares_a_place_does_not_leave_it(database: Database, user: str) -> None:
    places, answer = Places(database), str(uuid.uuid4())
    with places.taken(user, 1, answer):
        for sharing in (places, Places(database)):
            with sharing.taken(user, 1, answer):
                pass
        assert not takes(places, user, 1)
    assert takes(places, user, 1)
