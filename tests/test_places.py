"""How much runs for a token at once, over all workers: never more than it may. On both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import web.answers
import web.article
from answers import places as places_module
from answers.database import Database
from answers.limits import Limits
from answers.places import Places
from answers.store import Store
from relay.errors import TooManyAnswers
from tests.apps import browser
from tests.test_producers import until
from tests.test_store import at_once
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
