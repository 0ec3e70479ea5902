"""The comparison: every repetition goes through all peers before the next begins."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.loads import LOADS, Load
from bench.machine import Broken, wait_until_quiet
from bench.measure import Measured, Row, running
from bench.peers import Peer

DISTURBED_CORES = 0.25
QUIET_PATIENCE_S = 2.0
SECOND_TRY = "ABDE"  # C takes too long, and a second one would hide what memory the first has brought
ONLY_FOR_DELAYS = {"direct": "A"}  # no relay at all: what is added is counted from there
# Nothing is held against aiohttp there; the floors wait for nobody who reads slowly, and cost no less for many.
NEVER = {"aiohttp": "C", "floor": "BC", "bare": "BC"}
ONCE = {"litellm": "C"}  # it takes minutes


def compare(peers: list[Peer], tests: str, repetitions: int, share: float) -> Iterator[Row]:
    """Measure; the order moves on by a part with each repetition, so that nobody always follows the same one."""
    for repetition in range(repetitions):
        first = repetition * len(peers) // repetitions
        for peer in peers[first:] + peers[:first]:
            wanted = [LOADS[test] for test in tests if _is_wanted(peer, test, repetition)]
            try:
                yield from _repetition(peer, wanted, repetition, share)
            except Broken as error:
                if peer.tree:
                    raise
                print(f"{peer.name}: {error}", file=sys.stderr)


def _is_wanted(peer: Peer, test: str, repetition: int) -> bool:
    return (
        test in ONLY_FOR_DELAYS.get(peer.name, test)
        and test not in NEVER.get(peer.name, "")
        and (not repetition or test not in ONCE.get(peer.name, ""))
        and peer.share.get(test, 1) > 0
    )


def _repetition(peer: Peer, wanted: list[Load], repetition: int, share: float) -> Iterator[Row]:
    if not wanted:
        return
    with running(peer) as measured:
        for load in wanted:
            asked = load.scaled(share * peer.share.get(load.name, 1))
            row = _quietest(measured, asked) if share == 1 else measured.under(asked)
            yield {"repetition": repetition, **row}


def _quietest(measured: Measured, load: Load) -> Row:
    """Measure, and once more if the machine had much else to do meanwhile; take the less disturbed one."""
    rows: list[Row] = []
    while not rows or (rows[-1]["foreign_cores"] > DISTURBED_CORES and len(rows) < 2 and load.name in SECOND_TRY):
        wait_until_quiet(DISTURBED_CORES, QUIET_PATIENCE_S)
        rows.append(measured.under(load, with_memory=load.name == "C"))
    return min(rows, key=lambda row: float(row["foreign_cores"]))
