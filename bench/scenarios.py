"""What does not fit into the comparison: ten thousand streams, memory, a flat cost, and one answer for many readers.

Each yields rows with a `finding`: what was found, and the limit that it is held against, if there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

from bench.loads import Load
from bench.measure import Measured, Row, running
from bench.peers import Peer

SCALE = Load("scale", "10,000 streams, a token each 2 s", 10_000, 45, 2_000_000, ramp_s=60, patience_s=300)
ANSWERS = Load("memory", "2,000 answers with a reader each", 2000, 15, 2_000_000, ramp_s=20)
READERS = Load("memory", "2,000 readers of one answer that says nothing", 2000, 3, 12_000_000, ramp_s=6)
FAN_OUT = Load("fanout", "1,000 readers of one answer, a token each 100 ms", 1000, 220, 100_000, ramp_s=5)
FLAT_STREAMS = (10, 100, 1000, 5000)
FLAT_TOKENS_PER_S = 2000  # whatever the number of streams: so the pauses between wake-ups are the same
FLAT_WINDOW_S = 12
FLAT_SPREAD = 1.2
OPENING_S = 0.008  # that a new stream may take; the ramps are made for that


def run(name: str, peers: list[Peer], share: float) -> Iterator[Row]:
    """Run one scenario on some of our paths; `share` is how much of its load."""
    for peer in peers:
        yield from SCENARIOS[name](peer, share)


def scale(peer: Peer, share: float) -> Iterator[Row]:
    """Let ten thousand streams live at the same time, on two workers and all CPUs."""
    load = SCALE.scaled(share)
    with running(peer, workers=2) as measured:
        row = measured.under(load, with_memory=True)
        yield found(row, "streams alive at once", row["open_most"], at_least=load.streams)
        yield found(row, "whole streams", row["whole"], at_least=load.streams)
        yield found(row, "delay of a token, p50, ms", row["delay_us"]["p50"] / 1000)
        yield found(row, "delay of a token, p99, ms", row["delay_us"]["p99"] / 1000)
        yield found(row, "kB a stream", _growth_kb(row) / load.streams)


def memory(peer: Peer, share: float) -> Iterator[Row]:
    """Weigh running answers with their reader, and readers that wait."""
    answers, readers = ANSWERS.scaled(share), READERS.scaled(share)
    with running(peer) as measured:
        row = measured.under(answers, with_memory=True)
        what = "running answer with its reader" if peer.numbered else "relayed stream"
        yield found(row, f"kB a {what}", _growth_kb(row) / answers.streams, at_most=90 if peer.numbered else None)
    if not peer.numbered:
        return
    with running(peer) as measured:
        row = measured.under(readers, "-s", "-P", begin(measured, readers), with_memory=True)
        yield found(row, "kB an idle reader", _growth_kb(row) / readers.streams, at_most=30)


def flat(peer: Peer, share: float) -> Iterator[Row]:
    """Bring the same tokens a second over few streams and over many; only what a token costs counts, no beginnings."""
    costs = []
    for streams in FLAT_STREAMS:
        load = _flat_load(max(5, int(streams * share)))
        with running(peer) as measured:
            row = measured.under(load)
        costs.append(row["window"].get("us_per_token", float("nan")))
        yield found(row, f"µs a token over {load.streams} streams", costs[-1])
    yield found(row, "dearest to cheapest", max(costs) / min(costs), at_most=FLAT_SPREAD)


def _flat_load(streams: int) -> Load:
    ramp_s = streams * OPENING_S
    interval_s = streams / FLAT_TOKENS_PER_S
    tokens = int((ramp_s + FLAT_WINDOW_S) / interval_s) + 2
    return Load("flat", "", streams, tokens, int(interval_s * 1e6), ramp_s, patience_s=2 * ramp_s + 60)


def fanout(peer: Peer, share: float) -> Iterator[Row]:
    """Let a thousand readers follow one answer; only what an event costs counts, not how they came."""
    if not peer.numbered:
        return
    load = FAN_OUT.scaled(share)
    with running(peer) as measured:
        row = measured.under(load, "-s", "-P", begin(measured, load))
        cost = row["window"].get("us_per_token", float("nan"))
        yield found(row, "µs a reader and event", cost, at_most=25)
        yield found(row, "whole readers", row["whole"], at_least=load.streams)


def begin(measured: Measured, load: Load) -> str:
    """Begin an answer that nobody reads yet; return where it can be read."""
    connection = HTTPConnection("127.0.0.1", measured.place.port, timeout=30)
    body = measured.peer.body(load.tokens, load.interval_us)
    connection.request("POST", measured.peer.path, body, {"Content-Type": "application/json"})
    path: str = json.loads(connection.getresponse().read())["events"]
    connection.close()
    return path


def found(row: Row, what: str, value: float, at_most: float | None = None, at_least: float | None = None) -> Row:
    """Add a finding to a row."""
    return row | {"finding": {"what": what, "value": round(value, 3), "at_most": at_most, "at_least": at_least}}


def _growth_kb(row: Row) -> float:
    sizes = [mark["pss_kb"] for mark in row["marks"].values()]
    return float(max(sizes) - sizes[0])


SCENARIOS: dict[str, Callable[[Peer, float], Iterator[Row]]] = {
    each.__name__: each for each in (scale, memory, flat, fanout)
}
