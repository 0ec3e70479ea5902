"""A call that may go to several servers: which one is asked, when the next one is, and who is left alone meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from relay import catalog, health
from relay.catalog import Catalog, UnknownModel
from relay.completion import read_to_end
from relay.continuation import NONE, PREFILL
from relay.entry import Entry
from relay.errors import UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamStopped, UpstreamUnreachable
from relay.gate import Gate
from relay.health import CLOSED, HALF_OPEN, OPEN
from relay.line import Line
from relay.route import Route, RoutedCall
from relay.route_errors import PromptTooLong, UpstreamBusy
from relay.upstream import Timeouts, Upstream
from tests.calls import whole
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, MODEL, Exchange, events
from tests.waiting import until

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1000, "stream": True}
DEAD = "http://127.0.0.1:9"
WHOLE = b"".join(events())


@pytest.fixture
def other_server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers rest for moments only."""
    monkeypatch.setattr(health, "FIRST_PAUSE_S", 0.02)


def entry(url: str, known: tuple[str, ...] | None = (MODEL,), **more: Any) -> Entry:
    timeouts = more.pop("timeouts", Timeouts())
    return Entry(
        Upstream(url[-20:], url, retries=0, timeouts=timeouts, continues=more.pop("continues", NONE)), known, **more
    )


def route(*entries: Entry, gate: Gate | None = None) -> Route:
    return Route(MODEL, lambda: list(entries), gate or Gate())


def read(call: RoutedCall) -> bytes:
    """Read a call as an answer's producer does."""
    got: list[bytes] = []
    try:
        call.open()
        while call.read(lambda piece: bool(got.append(piece))):
            pass
        return b"".join(got)
    finally:
        call.close()


class Holding(threading.Thread):
    """A call that is opened in another thread, and keeps its slot until it is closed."""

    def __init__(self, call: RoutedCall) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.error: UpstreamError | None = None
        self.opened = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.call.open()
        except UpstreamError as error:
            self.error = error
        self.opened.set()


# ---- before the first byte -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour", ["429-long", "500", "503-always", "404", "html", "no-answer", "slow-headers", "slow-first-token"]
)
def test_what_fails_before_its_first_byte_is_done_by_the_next(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, behaviour: str
) -> None:
    bad = entry(f"{upstream_server.url}/{behaviour}", timeouts=Timeouts(first_byte=0.3))
    good = entry(f"{other_server.url}/normal")
    assert read(route(bad, good).call(BODY)) == WHOLE
    assert len(upstream_server.requests) == len(other_server.requests) == 1
    assert (bad.running, good.running) == (0, 0)


def test_a_server_that_is_not_there_is_passed_over(upstream_server: MisbehavingServer) -> None:
    dead, good = entry(DEAD), entry(f"{upstream_server.url}/normal")
    assert read(route(dead, good).call(BODY)) == WHOLE
    assert (dead.health.state, good.health.state) == (OPEN, CLOSED)


@pytest.mark.parametrize("behaviour", ["headers-alone", "empty"])
def test_a_server_that_ends_its_stream_without_a_byte_is_passed_over(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, behaviour: str
) -> None:
    bad, good = entry(f"{upstream_server.url}/{behaviour}"), entry(f"{other_server.url}/normal")
    assert read(route(bad, good).call(BODY)) == WHOLE
    with pytest.raises(UpstreamBroken):
        read(route(entry(f"{upstream_server.url}/{behaviour}")).call(BODY))


@pytest.mark.parametrize("behaviour", ["401", "too-long"])
def test_what_is_wrong_with_the_request_is_told_at_once(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, behaviour: str
) -> None:
    bad, good = entry(f"{upstream_server.url}/{behaviour}"), entry(f"{other_server.url}/normal")
    with pytest.raises(UpstreamRefused):
        read(route(bad, good).call(BODY))
    assert other_server.requests == [] and bad.health.state == CLOSED


def test_when_all_fail_the_one_that_may_pass_is_told(upstream_server: MisbehavingServer) -> None:
    entries = [entry(DEAD), entry(f"{upstream_server.url}/500")]
    with pytest.raises(UpstreamUnreachable):
        read(route(*entries).call(BODY))


def test_all_are_asked_again_after_a_pause(upstream_server: MisbehavingServer, other_server: MisbehavingServer) -> None:
    both = [
        Entry(Upstream(name, f"{server.url}/503", retries=2), (MODEL,))
        for name, server in (("one", upstream_server), ("other", other_server))
    ]
    assert read(route(*both).call(BODY)) == WHOLE
    assert len(upstream_server.requests) + len(other_server.requests) == 3


def test_after_its_first_byte_an_answer_stays_where_it_is(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    bad, good = entry(f"{upstream_server.url}/cut-mid-chunk"), entry(f"{other_server.url}/normal")
    with pytest.raises(UpstreamBroken):
        read(route(bad, good).call(BODY))
    assert other_server.requests == [] and bad.health.state == OPEN
    assert read(route(bad, good).call(BODY)) == WHOLE
    assert len(other_server.requests) == 1


def test_a_stop_ends_a_call_and_no_other_server_is_asked(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    bad, good = entry(f"{upstream_server.url}/slow-headers"), entry(f"{other_server.url}/normal")
    call = route(bad, good).call(BODY)
    threading.Thread(target=lambda: (upstream_server.wait_for_requests(), call.stop())).start()
    with pytest.raises(UpstreamStopped):
        read(call)
    assert other_server.requests == [] and (bad.running, bad.health.state) == (0, CLOSED)


# ---- who is asked ----------------------------------------------------------------------------------------------------


def test_requests_are_shared_out_by_weight(upstream_server: MisbehavingServer) -> None:
    heavy = entry(f"{upstream_server.url}/normal", weight=3)
    light = entry(f"{upstream_server.url}/crlf")
    shared = route(heavy, light)
    for _ in range(8):
        read(shared.call(BODY))
    asked = Counter(request.path.split("/")[1] for request in upstream_server.requests)
    assert asked == {"normal": 6, "crlf": 2}


def test_the_least_busy_is_asked_by_its_weight(upstream_server: MisbehavingServer) -> None:
    heavy = entry(f"{upstream_server.url}/silent", weight=3)
    light = entry(f"{upstream_server.url}/slow-first-token")
    shared = route(heavy, light)
    calls = [shared.call(BODY) for _ in range(8)]
    for call in calls:
        call.open()
    assert (heavy.running, light.running) == (6, 2)
    for call in calls:
        call.close()
    assert (heavy.running, light.running) == (0, 0)


def test_each_server_is_asked_for_its_own_name_and_told_only_what_it_knows(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    xinference = entry(f"{upstream_server.url}/xinference", None, aliases={"fast": MODEL})
    other = entry(f"{other_server.url}/normal", aliases={"fast": "vendor/Fast-7B:latest"})
    found, name = Catalog([xinference, other]).find("fast")
    until(xinference.upstream.names_requests)
    body = {**BODY, "model": name, "logit_bias": {"5": 1}}
    for _ in range(2):
        call = found.call(body, request_id="r-1")
        call.open()
        call.close()
    found.abort(name, "r-1")
    first = upstream_server.completions[0].json
    assert (first["model"], first["request_id"], first["logit_bias"]) == (MODEL, "r-1", {"5": 1})
    second = other_server.completions[0].json
    assert second["model"] == "vendor/Fast-7B:latest" and "request_id" not in second
    assert upstream_server.requests[-1].path == f"/xinference/v1/models/{MODEL}/requests/r-1/abort"


def test_a_text_is_gone_on_with_only_by_who_can(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    cannot = entry(f"{upstream_server.url}/normal")
    can = entry(f"{other_server.url}/normal", continues=PREFILL)
    both = route(cannot, can)
    assert both.continues() == PREFILL
    assert read(both.call(BODY, kept="Silence ")) == WHOLE
    assert upstream_server.requests == []
    assert other_server.requests[0].json["messages"][-1] == {"role": "assistant", "content": "Silence"}


# ---- health ----------------------------------------------------------------------------------------------------------


def test_a_dead_server_is_left_alone_and_tried_again_once_it_lists_its_models(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, quick: None
) -> None:
    sick, good = entry(DEAD), entry(f"{other_server.url}/normal")
    both = route(sick, good)
    read(both.call(BODY))
    assert sick.health.state == OPEN
    sick.upstream = Upstream("back", f"{upstream_server.url}/normal", retries=0)
    until(lambda: (read(both.call(BODY)), sick.health.state != OPEN)[1])
    assert next(request.path for request in upstream_server.requests) == "/normal/v1/models"
    until(lambda: (read(both.call(BODY)), sick.health.state == CLOSED)[1])
    assert any(request.path.endswith("completions") for request in upstream_server.requests)


def test_a_server_that_may_be_back_is_tried_by_one_request_at_a_time(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    sick = entry(f"{upstream_server.url}/slow-headers", timeouts=Timeouts(first_byte=10))
    good = entry(f"{other_server.url}/silent")
    sick.health.state = HALF_OPEN
    both = route(sick, good)
    trial = Holding(route(sick, gate=both.gate).call(BODY))
    upstream_server.wait_for_requests()
    calls = [both.call(BODY) for _ in range(3)]
    for call in calls:
        call.open()
    assert (sick.running, good.running) == (1, 3)
    upstream_server.release()
    assert trial.opened.wait(20) and sick.health.state == CLOSED
    for call in (trial.call, *calls):
        call.close()


def test_an_old_request_that_leaves_does_not_end_a_trial() -> None:
    one, good, gate = entry(DEAD), entry(DEAD), Gate()
    old, trial = Line(Timeouts()), Line(Timeouts())
    gate.enter([one], "", old)
    one.health.state = HALF_OPEN
    gate.enter([one], "", trial)
    gate.leave(one, 0.0, old)
    assert gate.enter([one, good], "", Line(Timeouts())) is good
    gate.leave(one, 0.0, trial)
    assert gate.enter([one], "", Line(Timeouts())) is one


def test_a_server_that_closes_after_done_has_answered_well(
    upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unended(x: Exchange) -> None:
        x.head(Transfer_Encoding="chunked")
        x.chunked(WHOLE)

    monkeypatch.setitem(BEHAVIOURS, "unended", unended)
    one = entry(f"{upstream_server.url}/unended")
    one.health.failed(UpstreamRefused(500))
    call = route(one).call(BODY)
    call.open()
    assert call.read(lambda piece: b"[DONE]" in piece)
    read_to_end(call)
    assert (one.health.state, one.running) == (CLOSED, 0)
    assert [bool(one.health.failed(UpstreamRefused(500))) for _ in range(3)] == [False, False, True]


def test_when_all_are_down_they_are_asked_all_the_same(upstream_server: MisbehavingServer) -> None:
    one = entry(f"{upstream_server.url}/normal")
    one.failed(UpstreamUnreachable("gone"))
    assert one.health.state == OPEN
    assert read(route(one).call(BODY)) == WHOLE
    assert one.health.state == CLOSED


def test_pauses_grow_with_each_failure_and_many_at_once_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(health, "monotonic", lambda: clock[0])
    sick, pauses = health.Health(), []
    for _ in range(9):
        pauses.append(sick.failed(UpstreamUnreachable("gone")))
        assert [sick.failed(UpstreamBroken("gone")) for _ in range(5)] == [0.0] * 5
        clock[0] = sick.rests_until
    assert all(2.0**n / 2 <= pause <= min(2.0**n, 60) for n, pause in enumerate(pauses[:6]))
    assert all(30 <= pause <= 60 for pause in pauses[6:])
    sick.succeeded()
    assert sick.failed(UpstreamUnreachable("gone")) <= 1


@pytest.mark.parametrize(
    ("error", "rests"),
    [
        (UpstreamRefused(429, retry_after=30), [30]),
        (UpstreamRefused(503, retry_after=3600), [60]),
        (UpstreamRefused(400), [0, 0, 0, 0]),
        (UpstreamRefused(404), [0, 0, 0, 0]),
        (UpstreamStopped("stopped"), [0, 0, 0, 0]),
    ],
)
def test_a_server_rests_as_long_as_it_asks_to_and_not_for_what_users_do(error: UpstreamError, rests: list[int]) -> None:
    sick = health.Health()
    assert [sick.failed(error) for _ in rests] == rests


def test_one_500_is_no_failure_of_the_server_but_three_are() -> None:
    sick = health.Health()
    assert [bool(sick.failed(UpstreamRefused(500))) for _ in range(3)] == [False, False, True]


# ---- slots -----------------------------------------------------------------------------------------------------------


def test_users_take_turns_in_the_queue(upstream_server: MisbehavingServer) -> None:
    one, gate = entry(f"{upstream_server.url}/slow-first-token", limit=1), Gate()
    held = Holding(route(one, gate=gate).call(BODY, user="a"))
    assert held.opened.wait(20)
    waiting = []
    for user in ("a", "a", "a", "b", "c", "b"):
        waiting.append((user, Holding(route(one, gate=gate).call(BODY, user=user))))
        until(lambda: gate.waiting_for(one) == len(waiting))
    order = []
    while waiting:
        held.call.close()
        until(lambda: any(each.opened.is_set() for _, each in waiting))
        called = next(pair for pair in waiting if pair[1].opened.is_set())
        waiting.remove(called)
        order.append(called[0])
        held = called[1]
    held.call.close()
    assert order == ["a", "b", "c", "a", "b", "a"] and one.running == 0


def test_a_full_queue_refuses_and_says_when_to_come_back(upstream_server: MisbehavingServer) -> None:
    one, gate = entry(f"{upstream_server.url}/slow-first-token", limit=1), Gate(length=1, wait_s=20)
    first = Holding(route(one, gate=gate).call(BODY))
    assert first.opened.wait(20)
    second = Holding(route(one, gate=gate).call(BODY))
    until(lambda: gate.waiting_for(one) == 1)
    with pytest.raises(UpstreamBusy) as refused:
        route(one, gate=gate).expect_room()
    with pytest.raises(UpstreamBusy):
        route(one, gate=gate).call(BODY).open()
    assert refused.value.retriable and 1 <= refused.value.wait_s <= 60
    second.call.stop()
    assert second.opened.wait(20) and isinstance(second.error, UpstreamStopped)
    assert gate.waiting_for(one) == 0
    first.call.close()
    assert read(route(entry(f"{upstream_server.url}/normal", limit=1), gate=gate).call(BODY)) == WHOLE


def test_who_is_refused_is_told_by_how_long_slots_were_held(upstream_server: MisbehavingServer) -> None:
    one, gate = entry(f"{upstream_server.url}/normal", limit=2), Gate(length=0)
    line = Line(Timeouts())
    held = [gate.enter([one], "", line) for _ in range(2)]
    gate.leave(held.pop(), 81.0, line)  # an eighth of what is new counts: 1 + 80 / 8 seconds
    gate.enter([one], "", line)
    with pytest.raises(UpstreamBusy) as refused:
        gate.expect_room([one])
    assert refused.value.wait_s == 6  # of two slots


def test_who_waits_too_long_for_a_slot_is_refused(upstream_server: MisbehavingServer) -> None:
    one, gate = entry(f"{upstream_server.url}/slow-first-token", limit=1), Gate(wait_s=0.05)
    first = Holding(route(one, gate=gate).call(BODY))
    assert first.opened.wait(20)
    with pytest.raises(UpstreamBusy):
        route(one, gate=gate).call(BODY).open()
    assert (one.running, gate.waiting_for(one)) == (1, 0)
    first.call.close()


def test_who_waits_takes_the_first_slot_of_any_server(upstream_server: MisbehavingServer) -> None:
    gate = Gate()
    entries = [entry(f"{upstream_server.url}/slow-first-token", limit=1) for _ in range(2)]
    holding = [Holding(route(each, gate=gate).call(BODY)) for each in entries]
    assert all(each.opened.wait(20) for each in holding)
    third = Holding(route(*entries, gate=gate).call(BODY))
    until(lambda: gate.waiting_for(entries[0]) == gate.waiting_for(entries[1]) == 1)
    holding[1].call.close()
    assert third.opened.wait(20) and third.error is None
    assert [each.running for each in entries] == [1, 1]
    for each in (holding[0], third):
        each.call.close()


def test_who_waits_is_called_when_a_server_is_back(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, quick: None
) -> None:
    gate, sick = Gate(), entry(DEAD)
    busy = entry(f"{upstream_server.url}/silent", limit=1)
    first = Holding(route(busy, gate=gate).call(BODY))
    assert first.opened.wait(20)
    sick.health.state, sick.health.rests_until = OPEN, time.monotonic() + 3600
    waits = Holding(route(sick, busy, gate=gate).call(BODY))
    until(lambda: gate.waiting_for(sick) == 1)
    sick.upstream = Upstream("back", f"{other_server.url}/silent", retries=0)
    sick.health.rests_until = time.monotonic()
    assert waits.opened.wait(20) and waits.error is None
    assert (sick.running, busy.running, gate.waiting_for(sick)) == (1, 1, 0)
    for each in (first, waits):
        each.call.close()


def test_a_stop_reaches_the_connection_of_a_call_that_has_waited() -> None:
    one, gate, first, second = entry(DEAD, limit=1), Gate(), Line(Timeouts()), Line(Timeouts())
    gate.enter([one], "", first)
    waits = threading.Thread(target=gate.enter, args=([one], "", second))
    waits.start()
    until(lambda: gate.waiting_for(one) == 1)
    gate.leave(one, 0.0, first)
    waits.join()
    cut = threading.Event()
    second.answered(cut.set)
    second.stop()
    assert cut.is_set()


def test_who_is_killed_in_the_queue_leaves_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    one, gate, first, second = entry(DEAD, limit=1), Gate(), Line(Timeouts()), Line(Timeouts())
    gate.enter([one], "", first)

    def killed(_event: threading.Event, _seconds: float | None = None) -> bool:
        raise SystemExit

    monkeypatch.setattr(threading.Event, "wait", killed)
    with pytest.raises(SystemExit):
        gate.enter([one], "", second)
    monkeypatch.undo()
    assert (gate.waiting_for(one), one.running) == (0, 1)
    gate.leave(one, 0.0, first)
    assert one.running == 0


def test_a_slot_is_free_again_however_a_call_ends(upstream_server: MisbehavingServer) -> None:
    for behaviour in ("normal", "401", "no-answer", "cut-mid-chunk", "error-object", "empty", "html"):
        one = entry(f"{upstream_server.url}/{behaviour}", limit=1)
        with contextlib.suppress(UpstreamError):
            read(route(one).call(BODY))
        assert one.running == 0, behaviour


# ---- the length of a prompt ------------------------------------------------------------------------------------------


def prompt(size: int) -> dict[str, Any]:
    parts = [{"type": "text", "text": "x" * size}, {"type": "image_url", "image_url": {"url": "data:" + "y" * 9999}}]
    return {**BODY, "messages": [{"role": "user", "content": parts}]}


def test_a_prompt_that_cannot_fit_is_refused_and_nobody_is_asked(upstream_server: MisbehavingServer) -> None:
    one = entry(f"{upstream_server.url}/normal", context=100)
    with pytest.raises(PromptTooLong):
        read(route(one).call(prompt(801)))
    assert upstream_server.requests == [] and one.running == 0
    assert read(route(one).call(prompt(800))) == WHOLE


def test_a_long_prompt_goes_where_it_fits(upstream_server: MisbehavingServer, other_server: MisbehavingServer) -> None:
    small, large = entry(f"{upstream_server.url}/normal", context=100), entry(f"{other_server.url}/normal")
    for _ in range(3):
        read(route(small, large).call(prompt(801)))
    assert (len(upstream_server.requests), len(other_server.requests)) == (0, 3)


@pytest.mark.parametrize("messages", [None, 5, "text", [5, None, {"content": 5}, {"content": [5, {"text": 5}]}]])
def test_a_body_that_makes_no_sense_is_left_to_the_server(upstream_server: MisbehavingServer, messages: object) -> None:
    one = entry(f"{upstream_server.url}/normal", context=100)
    assert read(route(one).call({**BODY, "messages": messages})) == WHOLE


@pytest.mark.parametrize(("size", "most"), [(0, 1000), (600, 800), (2997, 125), (7000, 125)])
def test_no_more_is_asked_for_than_there_is_room_for(upstream_server: MisbehavingServer, size: int, most: int) -> None:
    one = entry(f"{upstream_server.url}/normal", context=1000)
    read(route(one).call({**prompt(size), "max_completion_tokens": 5}))
    asked = upstream_server.requests[0].json
    assert (asked["max_tokens"], asked["max_completion_tokens"]) == (most, 5)


# ---- the catalog -----------------------------------------------------------------------------------------------------


def test_a_model_leads_to_every_server_that_has_it_and_is_listed_once(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer
) -> None:
    listed = entry(f"{upstream_server.url}/normal", None)
    named = entry(f"{other_server.url}/normal", (MODEL, "own"), aliases={"fast": "own"})
    models = Catalog([listed, named])
    assert models.models() == [MODEL, "own", "fast"]
    until(lambda: models.find(MODEL)[0].entries == [listed, named])
    assert models.find("fast")[0].entries == [named]
    with pytest.raises(UnknownModel):
        models.find("no such")


def test_an_answer_can_go_on_at_a_server_that_came_after_it_had_begun(
    upstream_server: MisbehavingServer, other_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_OTHERS_S", 0.01)
    slow = entry(f"{upstream_server.url}/slow-list", None, continues=PREFILL)
    here = entry(f"{other_server.url}/cut-clean", None, continues=PREFILL)
    here.models()
    found, _ = Catalog([here, slow]).find(MODEL)
    assert found.entries == [here]
    upstream_server.release()
    until(slow.names)
    found.call(BODY)
    assert found.entries == [here, slow]
    here.known = slow.known = ()  # both say that they have it no more: they are asked, and say so themselves
    found.call(BODY)
    assert found.entries == [here, slow]


def test_one_server_is_enough_to_be_ready_and_to_have_a_default(upstream_server: MisbehavingServer) -> None:
    dead, good = entry(DEAD, None), entry(f"{upstream_server.url}/normal", None)
    models = Catalog([dead, good, Entry(Upstream("poem", DEAD), ("poem",), spare=True)])
    assert models.default() == MODEL and models.ready()
    assert not Catalog([entry(DEAD), Entry(Upstream("x", f"{upstream_server.url}/normal"), spare=True)]).ready()
    until(lambda: [state.healthy for state in models.states()] == [False, True, True])


def test_who_looks_how_servers_do_finds_one_that_is_back(upstream_server: MisbehavingServer, quick: None) -> None:
    one = entry(DEAD)
    models = Catalog([one])
    assert not models.ready()
    one.upstream = Upstream("back", f"{upstream_server.url}/normal", retries=0)
    until(lambda: [state.healthy for state in models.states()] == [True])


def test_one_failed_look_at_a_list_that_nobody_needs_does_not_last(upstream_server: MisbehavingServer) -> None:
    one = entry(f"{upstream_server.url}/slow-list", timeouts=Timeouts(first_byte=0.05))
    models = Catalog([one])
    assert not models.ready() and [state.healthy for state in models.states()] == [True]


def test_states_count_who_runs_and_who_waits(upstream_server: MisbehavingServer) -> None:
    one = entry(f"{upstream_server.url}/slow-first-token", limit=1)
    models = Catalog([one])
    calls = [Holding(models.find(MODEL)[0].call(BODY)) for _ in range(2)]
    until(lambda: [(state.running, state.waiting) for state in models.states()] == [(1, 1)])
    for each in calls:
        each.call.stop()
        each.opened.wait(20)
        each.call.close()
    assert [(state.running, state.waiting) for state in models.states()] == [(0, 0)]


def test_a_server_that_breaks_off_under_a_plain_reader_rests_too(upstream_server: MisbehavingServer) -> None:
    bad = entry(f"{upstream_server.url}/cut-mid-chunk")
    with pytest.raises(UpstreamBroken):
        whole(route(bad).call(BODY))
    assert (bad.health.state, bad.running) == (OPEN, 0)


def test_a_plain_call_works_too(upstream_server: MisbehavingServer) -> None:
    assert whole(route(entry(f"{upstream_server.url}/normal")).call(BODY)) == WHOLE
