"""Which models there are, asked of upstreams that answer late, never, or not any more."""

from __future__ import annotations

import pytest

from relay import entry as module
from relay.catalog import STAND_IN, Catalog, UnknownModel
from relay.entry import Entry
from relay.upstream import Upstream
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import MODEL
from tests.waiting import until


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have upstreams asked again each time."""
    monkeypatch.setattr(module, "_REMEMBER_S", 0.0)
    monkeypatch.setattr(module, "_REMEMBER_ALIVE_S", 0.0)


def entry(server: MisbehavingServer, behaviour: str = "normal") -> Entry:
    return Entry(Upstream("test", f"{server.url}/{behaviour}"))


def found(models: Catalog, wanted: str | None) -> tuple[list[Entry], str]:
    """Tell which servers a model leads to, and under which name."""
    route, name = models.find(wanted)
    return route.entries, name


def test_the_first_list_is_waited_for(upstream_server: MisbehavingServer) -> None:
    assert entry(upstream_server).models() == [MODEL]


def test_a_list_is_remembered_for_a_while(upstream_server: MisbehavingServer) -> None:
    asked = entry(upstream_server)
    for _ in range(5):
        asked.models()
    assert len(upstream_server.requests) == 1


def test_nobody_waits_while_the_list_is_asked_for_again(upstream_server: MisbehavingServer, forgetful: None) -> None:
    asked = entry(upstream_server)
    asked.models()
    asked.upstream = entry(upstream_server, "slow-headers").upstream
    assert asked.models() == asked.models() == [MODEL]
    upstream_server.wait_for_requests(2)
    assert not upstream_server.released.is_set()


def test_an_upstream_that_stops_answering_keeps_its_list_and_is_not_alive(
    upstream_server: MisbehavingServer, forgetful: None
) -> None:
    asked = entry(upstream_server)
    assert asked.alive()
    asked.upstream = Upstream("test", "http://127.0.0.1:9")
    until(lambda: not asked.alive())
    assert asked.models() == [MODEL]


def test_an_upstream_that_comes_back_is_found_again(upstream_server: MisbehavingServer, forgetful: None) -> None:
    asked = Entry(Upstream("test", "http://127.0.0.1:9"))
    assert asked.models() == [] and not asked.alive()
    asked.upstream = entry(upstream_server).upstream
    until(lambda: asked.models() == [MODEL] and asked.alive())


def test_a_model_that_nobody_has_is_unknown(upstream_server: MisbehavingServer) -> None:
    models = Catalog([entry(upstream_server), Entry(Upstream("other", "http://127.0.0.1:9"), ("known",))])
    assert models.find("known")[1] == "known" and models.find(None)[1] == MODEL
    with pytest.raises(UnknownModel):
        models.find("no such")


def test_a_model_that_nobody_lists_may_be_that_of_a_server_that_was_never_there(
    upstream_server: MisbehavingServer, forgetful: None
) -> None:
    away = Entry(Upstream("away", "http://127.0.0.1:9"))
    models = Catalog([entry(upstream_server), away])
    assert found(models, "its own") == ([away], "its own")
    assert found(models, MODEL)[0] == [models.entries[0]]
    away.upstream = entry(upstream_server).upstream
    until(lambda: away.models() == [MODEL])
    with pytest.raises(UnknownModel):
        models.find("its own")


@pytest.mark.parametrize("behaviour", ["404", "html", "list-empty", "500", "no-answer"])
def test_default_stands_for_an_upstream_that_lists_nothing(upstream_server: MisbehavingServer, behaviour: str) -> None:
    first = entry(upstream_server, behaviour)
    models = Catalog([first, Entry(Upstream("other", "http://127.0.0.1:9"), ("known",), spare=True)])
    assert models.models() == [STAND_IN, "known"]
    assert found(models, None) == found(models, STAND_IN) == ([first], STAND_IN)
    assert found(models, "whatever") == ([first], "whatever")
    assert models.find("known")[1] == "known"


@pytest.mark.parametrize("behaviour", ["404", "html", "list-empty"])
def test_an_upstream_that_only_has_no_list_is_alive(upstream_server: MisbehavingServer, behaviour: str) -> None:
    assert entry(upstream_server, behaviour).alive()
    assert not entry(upstream_server, "500").alive()


@pytest.mark.parametrize("wanted", [None, STAND_IN, MODEL])
def test_an_upstream_that_comes_back_is_used_at_once(upstream_server: MisbehavingServer, wanted: str | None) -> None:
    asked = Entry(Upstream("test", "http://127.0.0.1:9"))
    models = Catalog([asked])
    assert models.models() == [STAND_IN]
    asked.upstream = entry(upstream_server).upstream
    assert found(models, wanted) == ([asked], MODEL)


def test_the_model_that_the_operator_set_is_asked_without_a_list(upstream_server: MisbehavingServer) -> None:
    first = entry(upstream_server, "slow-headers")
    models = Catalog([first], "mine")
    assert found(models, None) == ([first], "mine")
    upstream_server.wait_for_requests()  # in the background
    assert found(models, None) == ([first], "mine")
    assert len(upstream_server.requests) == 1 and not upstream_server.released.is_set()


@pytest.mark.parametrize("default", ["", "mine"])
def test_a_server_whose_models_are_known_is_asked_once_whose_it_is(
    upstream_server: MisbehavingServer, default: str, forgetful: None
) -> None:
    one = Entry(Upstream("test", f"{upstream_server.url}/xinference", continues="none"), ("mine",))
    models = Catalog([one], default)
    models.find("mine")
    until(one.upstream.names_requests)
    for _ in range(3):
        models.find("mine")
    assert len(upstream_server.requests) == 1
