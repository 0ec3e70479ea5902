"""Several model servers behind the whole application: one dies, one is full, one is short, and the file changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from relay.upstream_file import VARIABLE
from tests import apps
from tests.faults.cluster import Pair
from tests.faults.upstream import TEXT as RECITED
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import MODEL, TEXT
from tests.servers import ROOT, Server
from tests.waiting import until

KEY = "sk-secret-7531"


def configuration(folder: Path, **lines: str) -> str:
    """Write the file: upstreams by name, with what stands in their tables."""
    path = folder / "upstreams.toml"
    path.write_text("\n".join(f"[upstream.{name}]\n{text}" for name, text in lines.items()), encoding="utf-8")
    return str(path)


def ask(server: Server) -> dict[str, object]:
    """Begin an answer, and give its id."""
    answer = requests.post(f"{server.url}/api/answers", json={"prompt": "x"}, timeout=20).json()["answer"]
    return show(server, answer)


def show(server: Server, answer: object) -> dict[str, object]:
    shown: dict[str, object] = requests.get(f"{server.url}/api/answers/{answer}", timeout=20).json()
    return shown


def settled(server: Server) -> dict[str, object]:
    """Begin an answer, and show it at its end."""
    answer = ask(server)["answer"]
    until(lambda: show(server, answer)["state"] != "running", "the end of the answer")
    return show(server, answer)


def test_an_answer_whose_server_is_killed_goes_on_at_another_without_a_seam(tmp_path: Path) -> None:
    with Pair(tmp_path, delay_ms=6) as servers, Server(tmp_path, TALKABOUT_UPSTREAMS=servers.line) as server:
        answer = ask(server)["answer"]
        until(lambda: len(str(show(server, answer)["content"])) > 20, "some text")
        writing, other = servers.in_turn()
        writing.kill()
        until(lambda: show(server, answer)["state"] != "running", "the end of the answer")
        shown, ready = show(server, answer), requests.get(f"{server.url}/readyz", timeout=20)
    assert (shown["state"], shown["content"]) == ("complete", RECITED)
    assert (writing.asked(), other.asked()) == ({"x": 1}, {"x": 1})
    assert ready.status_code == 200


def test_sighup_reads_the_file_again_and_a_broken_one_changes_nothing(
    upstream_server: MisbehavingServer, tmp_path: Path
) -> None:
    def says(what: str) -> bool:
        return what in server.log.read_text()

    def reload() -> None:
        before = set(server.workers())
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not before & set(server.workers()) and server.answers(), "new workers")

    path = configuration(tmp_path, first=f'url = "{upstream_server.url}/normal"\nmodels = ["{MODEL}"]')
    with Server(tmp_path, TALKABOUT_UPSTREAMS=path, TALKABOUT_DRAIN_S="0") as server:
        assert settled(server)["content"] == TEXT
        configuration(tmp_path, second=f'url = "{upstream_server.url}/crlf"\nkey = "{KEY}"\nmodels = ["{MODEL}"]')
        reload()
        assert settled(server)["content"] == TEXT and upstream_server.completions[-1].path.startswith("/crlf/")
        assert upstream_server.completions[-1].headers["authorization"] == f"Bearer {KEY}"

        configuration(tmp_path, third=f'url = "{upstream_server.url}/normal"\nkey = "{KEY}"\nweight = "{KEY}"')
        reload()
        said = (
            f"the upstreams stay as they are: {VARIABLE}: {path}: upstream.third.weight: expected a number, got a text"
        )
        assert says(said) and settled(server)["content"] == TEXT
        killed = server.workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        until(lambda: not set(killed) & set(server.workers()) and server.answers(), "workers in their place")
        assert settled(server)["content"] == TEXT and upstream_server.completions[-1].path.startswith("/crlf/")
        environs = [Path(f"/proc/{worker}/environ").read_bytes() for worker in server.workers()]
        assert not any(KEY.encode() in environ for environ in environs) and not says(KEY)


def test_a_broken_file_stops_start_up_with_one_sentence(tmp_path: Path) -> None:
    path = configuration(tmp_path, one=f'url = "http://one.example"\nkey = "{KEY}"\ncontext = "long"')
    environ = Server(tmp_path, TALKABOUT_UPSTREAMS=path).environ
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    ended = subprocess.run(command, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and KEY not in ended.stderr and "Traceback" not in ended.stderr
    sentence = f"talkabout: {VARIABLE}: {path}: upstream.one.context: expected a whole number, got a text"
    assert ended.stderr.splitlines()[-1] == sentence


@pytest.mark.parametrize("path", ["/api/answers", "/stream", "/talkeAbout"])
def test_a_full_queue_is_a_503_that_says_when_to_come_back(
    upstream_server: MisbehavingServer, tmp_path: Path, path: str
) -> None:
    file = configuration(tmp_path, one=f'url = "{upstream_server.url}/silent"\nmax_concurrent = 1')
    with apps.browser(tmp_path, upstreams=file, upstream_queue=0, drain_s=0) as client:
        client.post("/api/answers", json={"prompt": "x"})
        until(lambda: apps.here(client).catalog.states()[0].running == 1, "the one slot to be taken")
        refused = client.post(path, json={"prompt": "x", "name": "x"})
        assert (refused.status_code, refused.json["code"]) == (503, "upstream_busy")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        upstream_server.release()
        until(lambda: apps.here(client).catalog.states()[0].running == 0, "the slot to be free again")
        assert TEXT[:7].encode() in client.post("/talkeAbout", json={"prompt": "x"}).data


@pytest.mark.parametrize("path", ["/stream", "/talkeAbout"])
def test_a_prompt_that_cannot_fit_is_the_prompt_s_fault(
    upstream_server: MisbehavingServer, tmp_path: Path, path: str
) -> None:
    file = configuration(
        tmp_path, one=f'url = "{upstream_server.url}/normal"\ncontext = 10\nmodels = ["{MODEL}"]\ncontinues = "none"'
    )
    with apps.browser(tmp_path, upstreams=file) as client:
        refused = client.post(path, json={"prompt": "x" * 81, "name": "x" * 81})
        assert (refused.status_code, refused.json["detail"]) == (422, "The prompt is longer than the model can take.")
        assert upstream_server.completions == []


def test_an_answer_that_waits_for_a_slot_can_be_stopped(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    file = configuration(
        tmp_path, one=f'url = "{upstream_server.url}/silent"\nmax_concurrent = 1\nmodels = ["{MODEL}"]'
    )
    with apps.browser(tmp_path, upstreams=file, web_concurrency=1) as client:
        catalog = apps.here(client).catalog
        answers = [client.post("/api/answers", json={"prompt": "x"}).json["answer"] for _ in range(2)]
        until(lambda: (catalog.states()[0].running, catalog.states()[0].waiting) == (1, 1), "one to wait")
        states = [client.post(f"/api/answers/{answer}/stop").json["state"] for answer in reversed(answers)]
        assert states == ["stopped", "stopped"]
        until(lambda: (catalog.states()[0].running, catalog.states()[0].waiting) == (0, 0), "nobody to be left")


@pytest.mark.parametrize(
    ("path", "code"),
    [("503-always", "upstream_refused"), ("cut-clean", "upstream_broken"), ("cut-mid-chunk", "upstream_broken")],
)
@pytest.mark.parametrize("asked", ["/talkeAbout", "/v1/chat/completions", "/api/answers"])
def test_a_failure_is_counted_under_the_server_that_failed(
    upstream_server: MisbehavingServer, tmp_path: Path, path: str, code: str, asked: str
) -> None:
    servers = {name: f"{upstream_server.url}/{kind}" for name, kind in (("first", "500"), ("second", path))}
    file = configuration(tmp_path, **{name: f'url = "{url}"\nmodels = ["{MODEL}"]' for name, url in servers.items()})
    with apps.browser(tmp_path, upstreams=file, upstream_retries=0) as client:

        def errors(name: str) -> dict[str, int]:
            return dict(apps.here(client).producers.measures.of(name, MODEL).errors)

        body = {"prompt": "x", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        with client.post(asked, json=body) as response:
            response.get_data()
        until(lambda: errors("second") == {code: 1}, "the failure to be counted")
        assert errors("first") == {}
