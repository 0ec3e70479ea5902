"""Which spans leave the server, how they belong together, what never stands in them, and that nobody waits for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from relay import spans
from relay.errors import SettingError
from relay.settings import Settings, load, secrets_of
from tests.apps import client, here
from tests.collector import Collector, Span
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TOKENS
from tests.servers import ROOT, Server
from tests.test_streams import EVENTS
from tests.waiting import until
from web.callers import Caller

PROMPT, KEY, TOKEN, HEADER = "a-very-private-prompt", "key-of-the-upstream", "token-of-alice", "token-of-the-collector"
ALICE = {"Authorization": f"Bearer {TOKEN}"}
REMOTE = "b7ad6b7169203331"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Traced(NamedTuple):
    """A server that sends its traces, where it sends them, and the model server behind it."""

    server: Server
    collector: Collector
    upstream: MisbehavingServer

    def ask(self, path: str, body: dict[str, Any], number: int, **headers: str) -> list[Span]:
        """Ask for something under a trace of its own; give its spans, once those that are awaited are there."""
        trace = f"{len(self.collector.bodies):016x}{time.monotonic_ns():016x}"
        told = {**ALICE, **headers, "traceparent": f"00-{trace}-{REMOTE}-01", "X-Request-Id": "its-id"}
        requests.post(f"{self.server.url}{path}", json=body, headers=told, timeout=30)
        until(lambda: len(self.collector.of(trace)) >= number, f"{number} spans")
        return self.collector.of(trace)

    def complete(self, model: str, number: int, **more: Any) -> list[Span]:
        """Ask for a completion."""
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
        return self.ask("/v1/chat/completions", body, number)


def upstreams(folder: Path, upstream: MisbehavingServer) -> str:
    """Write a file with model servers, each with a model of the name of what it does."""
    has = {"openai": ["openai"], "500": ["500"], "503-always": ["either"], "cut-mid-chunk": ["cut-mid-chunk"]}
    text = "".join(
        f'[upstream.{name}]\nurl = "{upstream.url}/{name}"\nkey = "{KEY}"\nmodels = {models}\n'
        for name, models in has.items()
    )
    other = f'[upstream.other]\nurl = "{upstream.url}/openai"\nkey = "{KEY}"\nmodels = ["either"]\nweight = 0.01\n'
    (folder / "upstreams.toml").write_text(text + other)
    return str(folder / "upstreams.toml")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    with MisbehavingServer() as upstream, Collector() as collector:
        settings = {
            ENDPOINT: f"{collector.url}/",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{HEADER}",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "TALKABOUT_AUTH": "token",
            "TALKABOUT_TOKENS": f"alice={TOKEN}",
            "TALKABOUT_LOG": "json",
            "TALKABOUT_UPSTREAM_RETRIES": "0",
            "TALKABOUT_UPSTREAMS": upstreams(folder, upstream),
        }
        with Server(folder, workers=2, **settings) as server:
            yield Traced(server, collector, upstream)


def by_kind(spans: list[Span]) -> dict[str, Span]:
    return {span.kind: span for span in spans}


def test_an_answer_s_spans_are_a_tree_from_the_caller_s_to_the_model_server_s(traced: Traced) -> None:
    spans = by_kind(traced.ask("/api/answers", {"prompt": PROMPT, "model": "openai"}, 3, **EVENTS))
    server, answer, call = spans["server"], spans["internal"], spans["client"]
    assert [server.parent, answer.parent, call.parent] == [REMOTE, server.id, answer.id]
    assert (server.name, answer.name, call.name) == ("POST /api/answers", "answer", "chat openai")
    sent = traced.upstream.completions[-1].headers
    assert sent["traceparent"] == f"00-{call.trace}-{call.id}-01"
    assert sent["x-request-id"] == "its-id"
    assert not any(span.failed for span in spans.values())


def test_an_answer_s_span_tells_of_its_life(traced: Traced) -> None:
    spans = by_kind(traced.ask("/api/answers", {"prompt": PROMPT, "model": "openai"}, 3, **EVENTS))
    answer, facts = spans["internal"], spans["internal"].facts
    assert answer.events == ["answer begun", "answer's first token", "answer ended"]
    assert facts["talkabout.state"] == "complete"
    assert facts["talkabout.answer"] == spans["server"].facts["talkabout.answer"]
    assert (facts["talkabout.upstream"], facts["gen_ai.request.model"]) == ("openai", "openai")


def test_a_request_s_span_tells_how_it_went_by_the_conventions_names(traced: Traced) -> None:
    [span] = traced.ask("/api/answers", {"prompt": ""}, 1)
    assert span.facts == {
        "http.request.method": "POST",
        "http.route": "/api/answers",
        "http.response.status_code": 422,
        "url.scheme": "http",
        "talkabout.request": "its-id",
        "talkabout.token": "environment",
        "enduser.pseudo.id": "2bd806c97f0e",
    }
    assert not span.failed  # the caller has
    assert (span.who["service.name"], span.who["deployment.environment.name"]) == ("talkabout", "tests")


@pytest.mark.parametrize(("streamed", "events"), [(True, ["first_token"]), (False, [])])
def test_a_completion_s_call_tells_when_it_began_to_answer_and_what_it_cost(
    traced: Traced, streamed: bool, events: list[str]
) -> None:
    spans = by_kind(traced.complete("openai", 2, stream=streamed))
    call = spans["client"]
    assert call.parent == spans["server"].id
    assert call.events == events
    assert call.facts == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": len(TOKENS),
        "http.response.status_code": 200,
        "talkabout.upstream": "openai",
    }


def test_a_durable_completion_s_call_tells_what_it_cost(traced: Traced) -> None:
    body = {"model": "openai", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    spans = by_kind(traced.ask("/v1/chat/completions", body, 2, **{"Talkabout-Durable": "true"}))
    assert spans["client"].facts["gen_ai.usage.output_tokens"] == len(TOKENS)
    assert spans["server"].facts["talkabout.answer"]


def test_a_model_server_that_refuses_is_named_in_what_failed(traced: Traced) -> None:
    spans = by_kind(traced.complete("500", 2))
    call, server = spans["client"], spans["server"]
    assert call.failed and server.failed
    assert (call.facts["error.type"], call.facts["http.response.status_code"]) == ("upstream_refused", 500)
    assert (server.facts["error.type"], server.facts["http.response.status_code"]) == ("502", 502)


def test_an_answer_that_breaks_off_has_a_span_for_each_time_that_its_model_was_asked(traced: Traced) -> None:
    spans = traced.ask("/api/answers", {"prompt": PROMPT, "model": "cut-mid-chunk"}, 3, **EVENTS)
    calls, answer = [span for span in spans if span.kind == "client"], by_kind(spans)["internal"]
    assert all(call.facts["error.type"] == "upstream_broken" and call.parent == answer.id for call in calls)
    assert (answer.facts["talkabout.state"], answer.failed) == ("interrupted", True)


def test_a_call_that_another_server_takes_over_is_a_span_beside_that_which_failed(traced: Traced) -> None:
    spans = traced.complete("either", 3)
    calls = {span.facts["talkabout.upstream"]: span for span in spans if span.kind == "client"}
    assert (calls["503-always"].failed, calls["other"].failed, by_kind(spans)["server"].failed) == (True, False, False)
    asked = [request.headers["traceparent"].split("-")[2] for request in traced.upstream.requests[-2:]]
    assert asked == [calls["503-always"].id, calls["other"].id]


def test_a_model_s_name_that_nobody_lists_is_not_told(traced: Traced) -> None:
    assert PROMPT not in str(traced.ask("/v1/chat/completions", {"model": PROMPT, "messages": []}, 1))


def test_a_stream_s_span_lasts_as_long_as_it_is_read(traced: Traced) -> None:
    trace = f"{time.monotonic_ns():032x}"
    told = {**ALICE, "traceparent": f"00-{trace}-{REMOTE}-01"}
    with requests.get(f"{traced.server.url}/sse/connect/alice", headers=told, stream=True, timeout=30) as response:
        next(response.iter_content(1))
        traced.ask("/api/answers", {"prompt": ""}, 1)
        assert traced.collector.of(trace) == []
    until(lambda: traced.collector.of(trace), "its end")


def test_what_the_caller_does_not_sample_is_not_sent_but_goes_on_to_the_model_server(traced: Traced) -> None:
    trace = f"{time.monotonic_ns():032x}"
    told = {**ALICE, "traceparent": f"00-{trace}-{REMOTE}-00"}
    body = {"model": "openai", "messages": []}
    requests.post(f"{traced.server.url}/v1/chat/completions", json=body, headers=told, timeout=30)
    assert traced.upstream.completions[-1].headers["traceparent"].startswith(f"00-{trace}-")
    traced.ask("/api/answers", {"prompt": ""}, 1)
    assert traced.collector.of(trace) == []


def test_a_trace_that_begins_here_is_found_in_the_log(traced: Traced) -> None:
    requests.get(f"{traced.server.url}/v1/models", headers={**ALICE, "X-Request-Id": "begins-here"}, timeout=30)

    def begun() -> list[Span]:
        return [span for span in traced.collector.spans if span.facts.get("talkabout.request") == "begins-here"]

    until(begun, "the span")
    [line] = [line for line in traced.server.log.read_text().splitlines() if '"request":"begins-here"' in line]
    assert f'"trace":"{begun()[0].trace}"' in line


def test_neither_health_nor_files_are_traced(traced: Traced) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/static/css/base.css"):
        requests.get(f"{traced.server.url}{path}", headers=ALICE, timeout=30)
    traced.ask("/api/answers", {"prompt": ""}, 1)
    routes = {span.facts.get("http.route") for span in traced.collector.spans}
    assert not routes & {"/healthz", "/readyz", "/metrics", "/static/<path:filename>"}


def test_no_prompt_key_token_or_address_leaves_in_a_span(traced: Traced) -> None:
    server = traced.server
    requests.get(f"{server.url}/nowhere/{PROMPT}?token={TOKEN}", headers=ALICE, timeout=30)
    requests.request(PROMPT.upper(), f"{server.url}/", headers=ALICE, timeout=30)
    requests.post(f"{server.url}/login", data={"token": TOKEN}, timeout=30)
    requests.get(f"{server.url}/talkeAbouttestEvent?prompt={PROMPT}", headers=ALICE, timeout=30)
    spans = traced.ask("/api/answers", {"prompt": PROMPT, "model": "openai"}, 3, **EVENTS)
    assert spans
    sent = b"".join(traced.collector.bodies).lower()
    for secret in (PROMPT, KEY, TOKEN, HEADER, "alice", "127.0.0.1", "cookie"):
        assert secret.encode() not in sent, secret


def test_each_worker_names_itself_and_the_collector_s_headers_are_sent(traced: Traced) -> None:
    def workers() -> int:
        requests.get(f"{traced.server.url}/v1/models", headers=ALICE, timeout=30)
        return len({span.who["service.instance.id"] for span in traced.collector.spans})

    until(lambda: workers() == 2, "both workers")
    assert {headers["authorization"] for headers in traced.collector.headers} == {f"Bearer {HEADER}"}


def loaded(server: Server) -> bool:
    """Tell if a server's workers have the library of OpenTelemetry's wire in memory."""
    return any("_upb" in Path(f"/proc/{pid}/maps").read_text() for pid in [server.process.pid, *server.workers()])


def test_without_an_endpoint_nothing_of_it_is_imported(server: Server, traced: Traced) -> None:
    assert loaded(traced.server)
    assert not loaded(server)


@pytest.fixture
def told_nobody() -> Iterator[None]:
    """Let nobody be told of what later tests do in this process."""
    yield
    spans.tell(None)


@pytest.mark.usefixtures("told_nobody")
def test_an_answer_that_another_worker_adopts_has_a_span_of_each(tmp_path: Path) -> None:
    with Collector() as collector:
        to = {"otel_endpoint": collector.url, "otel_delay_ms": 20}
        settings = Settings(data_dir=tmp_path, embedded_model=False, poem_delay_ms=100, **to)
        with client(settings) as one, client(settings) as other:
            row = here(one).begin(Caller("user"), PROMPT, "poem")
            until(lambda: here(one).readers.as_it_is(row).chars > 0)
            here(one).recovery.drain()
            chars = here(one).readers.as_it_is(row).chars
            here(other).recovery.start()
            until(lambda: here(other).readers.as_it_is(row).chars > chars)
            here(other).producers.stop(row)
        until(lambda: sum(span.name == "answer" for span in collector.spans) == 2, "both")
    first, second = (span for span in collector.spans if span.name == "answer")
    assert first.facts["talkabout.answer"] == second.facts["talkabout.answer"] == row.id
    assert first.events == ["answer begun", "answer's first token", "answer handed over"]
    assert second.events == ["answer adopted", "answer's first token", "answer is being stopped", "answer ended"]
    assert (first.facts.get("talkabout.state"), second.facts["talkabout.state"]) == (None, "stopped")
    calls = [span for span in collector.spans if span.kind == "client"]
    assert [call.events[-1] for call in calls] == ["stopped", "stopped"] and not any(call.failed for call in calls)


def test_a_worker_that_ends_sends_what_it_has(tmp_path: Path) -> None:
    with Collector() as collector:
        with Server(tmp_path, **{ENDPOINT: collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}) as server:
            requests.get(f"{server.url}/v1/models", timeout=30)
        assert [span.name for span in collector.spans] == ["GET /v1/models"]


def test_a_collector_that_hangs_or_is_away_delays_neither_answers_nor_the_end(tmp_path: Path) -> None:
    settings = {"OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}
    collector = Collector()
    collector.hangs = True
    with Server(tmp_path, **{ENDPOINT: collector.url, **settings}) as server:

        def ask(times: int) -> float:
            began = time.monotonic()
            for _ in range(times):
                assert requests.get(f"{server.url}/v1/models", timeout=30).ok
            return time.monotonic() - began

        with collector:
            ask(1)
            assert collector.asked.wait(20)
            assert ask(100) < 20  # more than may wait, and none for the collector's half second
            until(lambda: "the collector does not take traces in time" in server.log.read_text(), "the log")
        assert ask(1) < 5
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert server.log.read_text().count("does not take traces") == 1


WHO_RUNS = """
from gevent import monkey; monkey.patch_all()
import os, subprocess, sys, threading, time
from relay.settings import load
from web.otel import Traces

ran = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note():
    while True:
        os.write(ran, b"%d " % os.getpid())
        time.sleep(0.0005)

threading.Thread(target=note, daemon=True).start()
traces = Traces(load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, None))
for _ in range(20):
    time.sleep(0.003)  # something else is due meanwhile
    subprocess.run(["true"])
"""


def test_nothing_of_a_worker_runs_in_the_children_that_it_forks(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WHO_RUNS, str(tmp_path / "ran")], cwd=ROOT, check=True)
    assert len(set((tmp_path / "ran").read_text().split())) == 1


def test_missing_packages_stop_the_start_and_are_named(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry/__init__.py").write_text("")
    environ = {**Server(tmp_path).environ, ENDPOINT: "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"talkabout: {ENDPOINT}: traces need the packages of requirements-traces.txt" in done.stderr
    assert "Traceback" not in done.stderr


SOMEWHERE = {ENDPOINT: "http://collector.example:4318"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (ENDPOINT, "collector:4318", "an http or https URL"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector", "an http or https URL"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "one of http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key", "name=value pairs"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=x%0d%0ay", "name=value pairs"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "0.1 to 120"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "one of always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "a whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "no more than OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_TRACES_EXPORTER", "console", "one of otlp, none"),
    ],
)
def test_a_wrong_value_names_itself_where_traces_are_wanted_and_is_not_looked_at_where_not(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingError, match=f"{name}: expected {expected}") as caught:
        load({**SOMEWHERE, name: value}, None)
    assert "api-key" not in str(caught.value)
    for off in (
        {ENDPOINT: "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ""},
        {"OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ):
        assert load({**SOMEWHERE, name: value, **off}, None).traces_url == ""


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        (SOMEWHERE, "http://collector.example:4318/v1/traces"),
        ({ENDPOINT: "https://x.example/otlp/"}, "https://x.example/otlp/v1/traces"),
        ({**SOMEWHERE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other.example/x"}, "http://other.example/x"),
    ],
)
def test_traces_go_where_the_standard_variables_say(given: dict[str, str], url: str) -> None:
    assert load(given, None).traces_url == url


def test_the_collector_s_headers_are_secrets() -> None:
    assert "Bearer abc" in secrets_of(
        load({**SOMEWHERE, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc"}, None)
    )
