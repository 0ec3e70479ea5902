"""What `/metrics` says: over all workers, of dead ones too, and to whom."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from answers.measures import SECONDS, Histogram, Measures
from answers.migrate import migrate
from app import create_app
from relay.catalog import OTHER
from relay.settings import Settings
from tests.servers import ROOT, Server
from tests.test_streams import EVENTS
from tests.waiting import until
from web.metric_files import fold


class Numbers:
    """What a server's `/metrics` says now."""

    def __init__(self, url: str) -> None:
        text = requests.get(f"{url}/metrics", timeout=20).text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def of(self, name: str, **labels: str) -> float:
        """Add up the samples of a name, without its prefix, that have these labels."""
        wanted = labels.items()
        found = [each for each in self.samples if each.name == f"talkabout_{name}" and wanted <= each.labels.items()]
        return sum(each.value for each in found)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run two workers whose model server is away; the poem is there."""
    folder = tmp_path_factory.mktemp("metrics")
    with Server(folder, 2, TALKABOUT_UPSTREAM_URL="http://127.0.0.1:9", TALKABOUT_MODEL="away") as server:
        yield server


def ask(server: Server, model: str) -> None:
    """Have an answer written to its end."""
    fields = {"prompt": "x", "model": model, "answer": str(uuid.uuid4())}
    assert requests.post(f"{server.url}/api/answers", json=fields, headers=EVENTS, timeout=30).ok


def test_answers_are_counted_with_their_end_and_their_pace(running: Server) -> None:
    for _ in range(4):
        ask(running, "poem")
    poem = {"upstream": "poem", "model": "poem"}
    until(lambda: Numbers(running.url).of("answers_ended_total", state="complete", **poem) == 4, "four ends")
    now = Numbers(running.url)
    assert now.of("answers_begun_total", **poem) == 4
    assert now.of("first_token_seconds_count", **poem) == 4
    assert now.of("between_tokens_seconds_count", **poem) > 4 * 100
    assert now.of("between_tokens_seconds_bucket", le="120.0", **poem) == now.of("between_tokens_seconds_count", **poem)
    assert now.of("journal_lag_seconds_count") > 0
    assert now.of("answers_running") == now.of("journal_waiting_bytes") == 0


def test_an_upstream_s_failures_are_counted_by_their_kind(running: Server) -> None:
    ask(running, "away")
    away = {"upstream": "upstream", "model": "away"}
    until(lambda: Numbers(running.url).of("answers_ended_total", state="failed", **away) == 1, "the failure")
    assert Numbers(running.url).of("upstream_errors_total", kind="upstream_unreachable", **away) == 1


def test_an_upstream_that_failed_when_it_was_asked_is_not_healthy(running: Server) -> None:
    def is_ill() -> bool:
        requests.get(f"{running.url}/readyz", timeout=20)
        return Numbers(running.url).of("upstream_healthy", upstream="upstream") == 0

    until(is_ill, "the upstream to be known as ill")
    assert Numbers(running.url).of("upstream_healthy", upstream="poem") == 1


def test_the_relay_s_refusals_are_counted_too(running: Server) -> None:
    def count() -> float:
        return Numbers(running.url).of("upstream_errors_total", upstream="upstream")

    before = count()
    assert requests.post(f"{running.url}/talkeAbout", json={"prompt": "x"}, timeout=20).status_code == 502
    until(lambda: count() == before + 1, "the refusal")


def test_a_killed_worker_takes_its_files_along_and_not_what_it_has_counted(running: Server) -> None:
    ask(running, "poem")
    until(lambda: Numbers(running.url).of("answers_running") == 0, "the end")
    before = Numbers(running.url)
    killed = running.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: running.answers() and Numbers(running.url).of("worker_exits_total") == 2, "their successors")
    after = Numbers(running.url)
    for name in ("answers_begun_total", "first_token_seconds_count", "between_tokens_seconds_sum"):
        assert after.of(name) >= before.of(name) > 0
    left = {path.stem.rpartition("_")[2] for path in (running.log.parent / "metrics").glob("*.db")}
    assert not left & {str(pid) for pid in killed}


def test_what_the_dead_have_counted_is_added_up(tmp_path: Path) -> None:
    for pid, value in ((1, 2.0), (2, 3.0)):
        file = MmapedDict(str(tmp_path / f"counter_{pid}.db"))
        file.write_value("key", value, 0.0)
        file.close()
        fold(tmp_path, pid)
    assert [each[:2] for each in MmapedDict.read_all_values_from_file(str(tmp_path / "counter_gone.db"))] == [
        ("key", 5)
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"counter_gone.db", "lock"}


def test_a_file_that_was_broken_by_a_kill_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "counter_1.db").write_bytes(b"\xff\x00\x00\x00\x00\x00\x00\x00\xf0\x00\x00\x00" + bytes(50))
    fold(tmp_path, 1)
    assert "is lost" in caplog.text and not (tmp_path / "counter_1.db").exists()


def test_a_duration_falls_under_the_first_bound_that_it_does_not_pass() -> None:
    histogram = Histogram()
    histogram.observe(0.001)
    histogram.observe(0.002, 3)
    histogram.observe(1e9)
    counts, total = histogram.take()
    assert (counts[:3], counts[len(SECONDS)], total) == ([1, 3, 0], 1, pytest.approx(1e9 + 0.007))
    assert histogram.take() == ([0] * (len(SECONDS) + 1), 0.0)


def test_names_from_outside_do_not_become_many() -> None:
    measures = Measures()
    for number in range(1000):
        measures.of("upstream", f"model {number}").begun += 1
    assert len(list(measures)) == 101
    assert measures.of("upstream", "one more") is measures.of(OTHER, OTHER)


@pytest.mark.parametrize("auth", ["none", "token"])
def test_with_a_token_of_their_own_the_metrics_are_for_whoever_has_it(tmp_path: Path, auth: str) -> None:
    settings = Settings(data_dir=tmp_path, metrics_token="scraper", auth=auth, tokens="alice=hers")
    migrate(settings)
    client = create_app(settings).test_client()
    for given in ("", "Bearer hers", "Bearer ", "Basic scraper", "Bearer scraperé"):
        headers = {"Authorization": given.encode().decode("latin-1")}
        response = client.get("/metrics", headers=headers)
        assert (response.status_code, response.mimetype) == (401, "application/problem+json")
    assert client.get("/metrics", headers={"Authorization": "Bearer scraper"}).status_code == 200


@pytest.mark.parametrize("shipped", ["grafana.json", "alerts.yml"])
def test_the_shipped_dashboard_and_alerts_ask_for_numbers_that_there_are(running: Server, shipped: str) -> None:
    text = (ROOT / "deploy" / shipped).read_text()
    asked = set(re.findall(r"\btalkabout_[a-z_]+", text))
    ask(running, "poem")
    ask(running, "away")
    assert len(asked) > 8
    until(lambda: asked <= {each.name for each in Numbers(running.url).samples}, f"all of {asked}")


def test_the_shipped_dashboard_shows_every_number_that_the_documents_name() -> None:
    expressions = [
        target["expr"]
        for panel in json.loads((ROOT / "deploy/grafana.json").read_text())["panels"]
        for target in panel["targets"]
    ]
    documented = set(re.findall(r"`(talkabout_[a-z_]+)`", (ROOT / "docs/seeing.md").read_text()))
    assert {name for name in documented if not any(name in expression for expression in expressions)} == set()
