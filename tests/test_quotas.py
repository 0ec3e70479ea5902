"""Limits of requests and tokens: kept by all workers together, honest about when more is left. On both databases."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from sqlalchemy import Connection, func, select

from answers import quotas as quotas_module
from answers.database import Database
from answers.limits import Limits
from answers.quotas import Quotas
from answers.store import Store
from answers.tables import quotas
from answers.usage import Spent
from relay.errors import DatabaseError, JournalError, NotFound
from relay.limit_errors import LimitReached
from relay.settings import Settings
from tests.apps import browser, here, owner
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT, TOKENS
from tests.servers import Server
from tests.test_store import at_once
from tests.test_usage import used
from tests.waiting import until

FREE = Limits()
MINUTE_S, DAY_S = 60, 86_400


class Clock:
    """The time as `time.time()` tells it, at the beginning of a day, moved by hand."""

    def __init__(self) -> None:
        self.now = 20_000.0 * DAY_S

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(quotas_module, "time", made)
    return made


def ask(
    quotas: Quotas, user: str, tokens: int = 0, token: str = "", own: Limits = FREE, costs: int | None = None
) -> None:
    """Make a request that costs what was thought, or `costs`."""
    with quotas.charging(user, token, own, tokens) as charge:
        pass
    quotas.settle(charge, Spent(tokens if costs is None else costs, 0))


def refused(quotas: Quotas, user: str, tokens: int = 0, token: str = "", own: Limits = FREE) -> tuple[str, int]:
    """Make a request that is refused; tell by which limit, and when to come back."""
    with pytest.raises(LimitReached) as caught:
        ask(quotas, user, tokens, token, own)
    return caught.value.limit, caught.value.wait_s


def test_requests_are_counted_by_the_minute_of_the_clock(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=3))
    clock.now += 50
    for _ in range(3):
        ask(quotas, user)
    assert refused(quotas, user) == ("requests_per_minute", 10)
    clock.now += 10
    ask(quotas, user)


def test_requests_are_counted_by_the_day(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=5, requests_per_day=2))
    ask(quotas, user)
    clock.now += DAY_S - 90
    ask(quotas, user)
    assert refused(quotas, user) == ("requests_per_day", 90)
    clock.now += 90
    ask(quotas, user)


def test_a_refused_request_is_charged_nothing(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=2, tokens_per_day=10))
    ask(quotas, user, 10)
    assert refused(quotas, user, 1)[0] == refused(quotas, user, 1)[0] == "tokens_per_day"
    ask(quotas, user)
    assert refused(quotas, user)[0] == "requests_per_minute"


def test_tokens_are_charged_by_what_they_come_to(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(tokens_per_minute=100))
    ask(quotas, user, 90, costs=10)
    ask(quotas, user, 90)
    assert refused(quotas, user, 1) == ("tokens_per_minute", 60)


def test_what_is_overdrawn_is_paid_off_first(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(tokens_per_minute=100))
    ask(quotas, user, 10, costs=450)
    assert refused(quotas, user, 50) == ("tokens_per_minute", 4 * MINUTE_S)
    assert refused(quotas, user, 51) == ("tokens_per_minute", 5 * MINUTE_S)
    clock.now += 4 * MINUTE_S - 1
    assert refused(quotas, user, 50) == ("tokens_per_minute", 1)
    clock.now += 1
    ask(quotas, user, 50)


def test_a_prompt_that_is_longer_than_the_limit_passes_when_nothing_was_used(
    database: Database, user: str, clock: Clock
) -> None:
    quotas = Quotas(database, Limits(tokens_per_minute=100))
    ask(quotas, user, 250)
    assert refused(quotas, user, 250) == ("tokens_per_minute", 3 * MINUTE_S)
    clock.now += 3 * MINUTE_S
    ask(quotas, user, 250)


def test_a_request_that_fails_gets_its_tokens_back(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(tokens_per_minute=100))
    with pytest.raises(NotFound), quotas.charging(user, "", FREE, 100):
        raise NotFound
    ask(quotas, user, 100)


def test_each_user_is_counted_alone_and_so_is_a_token_with_limits_of_its_own(
    database: Database, user: str, clock: Clock
) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=1))
    own = Limits(requests_per_minute=3)
    ask(quotas, user)
    ask(quotas, user + "2")
    assert refused(quotas, user, token=user) == ("requests_per_minute", 60)
    for _ in range(3):
        ask(quotas, user, token=user, own=own)
    assert refused(quotas, user, token=user, own=own) == ("requests_per_minute", 60)


def test_a_limit_that_is_lowered_holds_at_once(database: Database, user: str, clock: Clock) -> None:
    for _ in range(3):
        ask(Quotas(database, Limits(requests_per_minute=9)), user)
    assert refused(Quotas(database, Limits(requests_per_minute=2)), user) == ("requests_per_minute", 60)


def test_of_many_at_once_no_more_pass_than_may(database: Database, user: str) -> None:
    quotas = Quotas(database, Limits(requests_per_day=5))

    def passes() -> bool:
        try:
            ask(quotas, user)
        except LimitReached:
            return False
        return True

    assert sum(at_once(passes, 12)) == 5


def test_without_limits_the_database_is_not_asked(user: str) -> None:
    nowhere = Database(Settings(data_dir=Path("/nowhere")))
    ask(Quotas(nowhere, FREE), user, 1000)


def test_what_is_paid_off_is_forgotten(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=1, tokens_per_day=10))
    ask(quotas, user, 5, costs=25)
    while quotas.purge():
        pass
    assert refused(quotas, user)[0] == "requests_per_minute"
    clock.now += 2 * DAY_S
    quotas.purge()
    assert refused(quotas, user, 10) == ("tokens_per_day", DAY_S)  # of 25 two days have paid 20
    clock.now += DAY_S
    quotas.purge()
    assert database.query(lambda connection: rows_of(connection, user)) == 0


def rows_of(connection: Connection, user: str) -> int:
    query = select(func.count()).where(quotas.c.subject == f"user:{user}")
    return int(connection.scalar(query) or 0)


def test_an_answer_is_settled_with_its_charge(store: Store, database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(tokens_per_day=100))
    with quotas.charging(user, "", FREE, 10) as charge:
        row, _ = store.begin(user, "x", "poem", charged=charge)
    store.settle(row.id, "complete", Spent(20, 30))
    store.settle(row.id, "complete", Spent(20, 30))
    ask(quotas, user, 50)
    assert refused(quotas, user, 1) == ("tokens_per_day", DAY_S)


ROUTES = {
    "/api/answers": {"prompt": "x"},
    "/stream": {"name": "x"},
    "/talkeAbout": {"prompt": "x"},
}


def test_a_limit_holds_over_all_workers_and_routes(tmp_path: Path, database_settings: Settings, user: str) -> None:
    """The poem's answers are short; every worker takes requests, as the kernel deals them out."""
    settings = {"TALKABOUT_DATABASE_URL": database_settings.database_url, "TALKABOUT_LIMIT_REQUESTS_PER_DAY": "20"}
    settings |= {"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": f"{user}=secret"}
    headers = {"Authorization": "Bearer secret"}
    with Server(tmp_path, workers=2, **settings) as server, ThreadPoolExecutor(8) as pool:
        routes = [*ROUTES.items()] * 15
        asks = [pool.submit(requests.post, server.url + path, json=json, headers=headers) for path, json in routes]
        got = [each.result() for each in asks]
        assert sum(each.ok for each in got) == 20
        no = next(each for each in got if not each.ok)
        problem, wait = no.json(), int(no.headers["Retry-After"])
        assert (no.status_code, problem["code"], problem["limit"]) == (429, "limit_reached", "requests_per_day")
        assert 0 < wait <= DAY_S and str(wait) in problem["detail"]
        page = requests.post(f"{server.url}/", data={"prompt": "x"}, headers={**headers, "Accept": "text/html"})
        assert (
            page.status_code == 429 and "as much as you may" in page.text and int(page.headers["Retry-After"]) <= DAY_S
        )
        mine = next(each.json()["answer"] for each in got if each.ok and "/api/" in each.url)
        again = requests.post(f"{server.url}/api/answers", json={"prompt": "x", "answer": mine}, headers=headers)
        resumed = requests.post(f"{server.url}/api/answers", headers={**headers, "Last-Event-ID": f"{mine}:1"})
        assert again.status_code == 202 and resumed.ok  # attaching is not asking


@pytest.mark.parametrize(
    ("path", "spent"), [("normal", (1, 3, len(TOKENS), 0)), ("finish-null", (1, 1, -(-len(TEXT) // 4), 1))]
)
def test_the_article_s_relay_is_counted_too(
    tmp_path: Path, upstream_server: MisbehavingServer, path: str, spent: tuple[int, ...]
) -> None:
    """Where nobody has counted its tokens, they are told by its length."""
    url = f"{upstream_server.url}/{path}"
    with browser(tmp_path, upstream_url=url, limit_tokens_per_day=3) as made:
        with made.post("/talkeAbout", json={"prompt": "x"}) as response:
            assert response.get_data().endswith(b"[DONE]\n\n")
        until(lambda: used(here(made).usage, owner(made)) == spent)
        until(lambda: made.post("/talkeAbout", json={"prompt": "x"}).status_code == 429)


FAILURES = [JournalError("away"), RuntimeError("no TalkaboutError")]


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_fails_behind_an_answer_that_runs_gives_no_tokens_back(
    store: Store, database: Database, user: str, clock: Clock, failure: Exception
) -> None:
    quotas, answer = Quotas(database, Limits(tokens_per_day=100)), str(uuid.uuid4())
    with pytest.raises(type(failure)), quotas.charging(user, "", FREE, 60, answer) as charge:
        store.begin(user, "x", "poem", answer=answer, charged=charge)
        raise failure
    assert refused(quotas, user, 41)[0] == "tokens_per_day"
    store.settle(answer, "complete", Spent(20, 50))
    assert refused(quotas, user, 31)[0] == "tokens_per_day"
    ask(quotas, user, 30)


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_fails_before_an_answer_stands_gives_its_tokens_back(
    database: Database, user: str, clock: Clock, failure: Exception
) -> None:
    quotas = Quotas(database, Limits(tokens_per_day=100))
    with pytest.raises(type(failure)), quotas.charging(user, "", FREE, 100, str(uuid.uuid4())):
        raise failure
    ask(quotas, user, 100)


def test_a_database_that_goes_does_not_hide_what_has_failed(
    database: Database, user: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_work: object) -> None:
        raise DatabaseError("away")

    quotas = Quotas(database, Limits(tokens_per_day=100))
    for method in ("read", "write"):
        with (
            pytest.raises(NotFound),
            monkeypatch.context() as gone,
            quotas.charging(user, "", FREE, 50, str(uuid.uuid4())),
        ):
            gone.setattr(database, method, away)
            raise NotFound
    assert refused(quotas, user, 1)[0] == "tokens_per_day"


def test_a_request_that_was_made_twice_is_charged_once(database: Database, user: str, clock: Clock) -> None:
    quotas = Quotas(database, Limits(requests_per_minute=2, tokens_per_day=10))
    with quotas.charging(user, "", FREE, 5) as first, quotas.charging(user, "", FREE, 5) as again:
        quotas.give_back(again, first)
    ask(quotas, user, 5)
    assert refused(quotas, user)[0] == "requests_per_minute"


def test_with_a_limit_used_up_the_same_answer_can_be_asked_for_twice_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"prompt": "x", "answer": str(uuid.uuid4())}
    with browser(tmp_path, limit_requests_per_minute=1) as made:
        worker, user = here(made), owner(made)

        def go_on(_seconds: float) -> None:
            worker.store.begin(user, "x", "poem", answer=asked["answer"])

        with worker.quotas.charging(user, "", FREE, 1):  # as the first has been, whose answer does not yet stand
            monkeypatch.setattr("web.services.time", SimpleNamespace(sleep=go_on))
            assert made.post("/api/answers", json=asked).status_code == 202
        monkeypatch.undo()
        assert made.post("/api/answers", json={"prompt": "x"}).status_code == 429
        assert made.post("/api/answers", json=asked).status_code == 202
