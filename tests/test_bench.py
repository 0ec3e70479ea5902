"""The benchmark is believed only because its client believes nothing: whatever is wrong with a stream is found."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import plot, scenarios
from bench.peers import PEERS
from bench.programs import built
from bench.report import Results, comparison, delays
from tests.servers import ROOT

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"data: [DONE]\n\n"
CLEAN = b"0\r\n\r\n"


def stamp(number: int, stream: int = 1) -> bytes:
    return b"t=000000001000000.%d.%x " % (number, stream)


def event(text: bytes) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text


def token(number: int, stream: int = 1) -> bytes:
    return event(stamp(number, stream))


def numbered(number: int, seq: int) -> bytes:
    return token(number)[:-1] + b"id: 0b1c-7:%d\n\n" % seq


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def chunked(*events: bytes) -> bytes:
    return HEAD + b"".join(map(chunk, events)) + CLEAN


def sized(size: int, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)


@contextmanager
def saying(answer: bytes, *, holding: bool = False) -> Iterator[int]:
    """Serve the same bytes to everybody, in small pieces, whatever is asked; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # the test is over
                    return
                client.recv(65536)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for start in range(0, len(answer), 50):
                    client.sendall(answer[start : start + 50])
                held.enter_context(client)
                if not holding:
                    client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def read(port: int, *options: str) -> dict[str, Any]:
    """Let the load client read streams of three tokens, one after the other; return its last word."""
    command = [str(built("load")), "-p", str(port), "-n", "3", "-t", "5", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == (0 if said["whole"] == said["streams"] else 1)
    return said


GOOD = [token(0), token(1), token(2), END]


@pytest.mark.parametrize(
    "answer",
    [
        chunked(*GOOD),
        chunked(b"".join(GOOD)),
        chunked(*(each.replace(b"\n", b"\r\n") for each in GOOD)),
        chunked(event(stamp(0) + stamp(1)), *GOOD[2:]),
        sized(len(b"".join(GOOD)), b"".join(GOOD)),
        b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(GOOD),
    ],
    ids=["chunked", "in one chunk", "CRLF", "two tokens in an event", "with a length", "until the connection ends"],
)
def test_a_whole_stream_is_whole(answer: bytes) -> None:
    with saying(answer) as port:
        said = read(port)
    assert (said["whole"], said["tokens"], said["faults"]) == (1, 3, {}), said


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("order", chunked(token(0), token(2), END)),
        ("order", chunked(token(0), token(1), END)),
        ("order", chunked(token(0), token(1), token(1), token(2), END)),
        ("order", chunked(token(0), token(2), token(1), END)),
        ("order", chunked(*GOOD[:3], token(3), END)),
        ("order", chunked(token(0), token(1), END, token(2))),
        ("foreign", chunked(token(0), token(1, stream=2), token(2), END)),
        ("no_end", chunked(*GOOD[:3])),
        ("no_end", chunked(*GOOD[:3], b"data: [DONE]\n")),
        ("cut", HEAD + b"".join(map(chunk, GOOD))),
        ("cut", HEAD + chunk(token(0)) + chunk(token(1))[:30]),
        ("cut", sized(9999, b"".join(GOOD))),
        ("refused", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        ("refused", b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, GOOD)) + CLEAN),
    ],
)
def test_what_is_wrong_with_a_stream_is_found(fault: str, answer: bytes) -> None:
    with saying(answer) as port:
        said = read(port)
    assert (said["whole"], said["faults"]) == (0, {fault: 1}), said


def test_two_readers_never_get_the_same_stream_unless_that_is_asked_for() -> None:
    with saying(chunked(*GOOD)) as port:
        assert read(port, "-r", "3")["faults"] == {"foreign": 2}
        assert read(port, "-r", "3", "-s")["whole"] == 3


def test_ids_must_count_where_events_are_numbered() -> None:
    for seqs, faults in (((1, 2, 3), {}), ((1, 3, 4), {"id": 1}), ((1, 1, 2), {"id": 1})):
        with saying(chunked(*(numbered(i, seq) for i, seq in enumerate(seqs)), END)) as port:
            assert read(port, "-i")["faults"] == faults
    with saying(chunked(*GOOD)) as port:
        assert read(port, "-i")["faults"] == {"id": 1}


def test_a_stream_that_stands_still_is_given_up() -> None:
    with saying(HEAD + chunk(token(0)), holding=True) as port:
        assert read(port, "-t", "0.3")["faults"] == {"late": 1}


def test_nobody_at_the_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert read(port, "-r", "4")["faults"] == {"refused": 4}


def test_a_small_run_is_complete_and_says_so(tmp_path: Path) -> None:
    rows, picture = tmp_path / "rows.jsonl", tmp_path / "speed.svg"
    what = ["--peers", "nginx,raw,durable", "--tests", "DB", "--reps", "1", "--share", "0.02"]
    command = [sys.executable, "-m", "bench", *what, "--out", str(rows), "--plot", str(picture)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    machine, *measured = map(json.loads, rows.read_text().splitlines())
    assert machine["machine"]["cpus"] > 0
    assert {(row["peer"], row["test"]) for row in measured} == {
        (p, t) for p in ("nginx", "raw", "durable") for t in "DB"
    }
    assert all(row["whole"] == row["streams"] and row["us_per_token"] > 0 for row in measured)
    assert done.stdout.count("≤ 1.3 nginx: ") == 1
    assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_one_answer_reaches_many_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(scenarios.FAN_OUT, streams=20, tokens=150, interval_us=20_000, ramp_s=0.2)
    monkeypatch.setattr(scenarios, "FAN_OUT", few)
    durable = next(peer for peer in PEERS if peer.name == "durable")
    cost, whole = (row["finding"]["value"] for row in scenarios.fanout(durable, 1))
    assert (whole, cost > 0) == (20, True)


def row(peer: str, test: str, cost: float, repetition: int = 0, **more: object) -> dict[str, Any]:
    times = {"p50": cost * 10, "p99": cost * 100}
    base = {"whole": 10, "streams": 10, "tokens": 100, "wall_s": 2.0, "foreign_cores": 0.0, "redis_us_per_token": 0.0}
    costs = {"us_per_token": cost, "ms_per_request": cost / 10, "delay_us": times, "first_us": times}
    return {"peer": peer, "test": test, "repetition": repetition, **base, **costs, **more}


def test_ratios_are_of_medians_and_are_held_against_what_was_promised() -> None:
    raw = [row("raw", "A", cost, i) for i, cost in enumerate((60.0, 190.0, 62.0))]
    results = Results([row("nginx", "A", 30.0), *raw, row("naive", "D", 20.0), row("raw", "D", 13.0)])
    assert results.ratio("A", "raw", "nginx") == pytest.approx(62 / 30)
    assert results.verdict("A", "raw") == "≤ 2 nginx: MISS"
    assert results.verdict("D", "raw") == "≤ 0.6 naive: MISS"
    assert results.verdict("A", "nginx") == ""
    assert Results([row("nginx", "A", 30.0), *raw[:1]]).verdict("A", "raw") == "≤ 2 nginx: pass"
    assert "62.0 (60.0–190.0)" in comparison(results)


def test_delays_are_what_is_added_to_the_bare_way() -> None:
    table = delays(Results([row("direct", "A", 3.0), row("raw", "A", 30.0), row("nginx", "A", 4.0)]))
    assert "0.27 (≤ 0.3: pass)" in table
    assert "direct" not in table
    assert delays(Results([row("raw", "A", 30.0)])) == ""


def test_the_picture_cuts_off_what_is_far_away() -> None:
    svg = plot.as_svg(Results([row("nginx", "A", 30.0), row("raw", "A", 60.0), row("litellm", "A", 1200.0)]))
    widths = [float(bar.get("width", 0)) for bar in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")]
    assert max(widths[1:]) < plot.WIDTH
    assert "1,200 →" in svg
