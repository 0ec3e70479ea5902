"""Measure what a token costs: `python -m bench [compare|scale|memory|flat|fanout …]` (docs/performance.md)."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench import machine, plot, report, scenarios
from bench.compare import compare
from bench.measure import Row
from bench.peers import PEERS, USUAL, ours
from bench.programs import ROOT, WORK


def main() -> int:
    """Measure, print, plot; return the exit status: 0 if every stream of ours was whole."""
    parser = options()
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    machine.raise_descriptor_limit()
    os.sched_setaffinity(0, machine.REST_CPUS)
    try:
        rows = list(read(asked.show)) if asked.show else list(kept(measure(asked, parser), asked.out))
    except machine.Broken as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print("\n" + "\n\n".join(filter(None, report.everything(rows))))
    if asked.plot:
        asked.plot.write_text(plot.as_svg(report.Results(rows)), encoding="utf-8")
    return int(any(row["is_ours"] and row["whole"] < row["streams"] for row in rows))


def options() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", help="compare (if nothing is said), scale, memory, flat, fanout"
    )
    parser.add_argument("--peers", help=f"all, or some of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--tests", default=report.TESTS, help=f"some of {report.TESTS}")
    parser.add_argument("--reps", type=int, default=3, metavar="N", help="repetitions")
    parser.add_argument("--share", type=float, default=1, help="of each load: 0.1 to try something out")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another tree of this project, beside this one")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the rows go, as JSON lines")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the comparison as SVG")
    parser.add_argument("--show", type=Path, nargs="+", metavar="FILE", help="measure nothing: print what is there")
    return parser


def measure(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> Iterator[Row]:
    """Do what is asked, and hand out each row as soon as it is there."""
    before = ours(asked.before.resolve(), "-before") if asked.before else []
    known = {peer.name: peer for peer in [*PEERS, *before]}
    names = [*USUAL, *(peer.name for peer in before)] if not asked.peers else asked.peers.split(",")
    names = list(known) if names == ["all"] else names
    for word in [*names, *asked.what]:
        if word not in known.keys() | scenarios.SCENARIOS.keys() | {"compare"}:
            parser.error(f"there is no {word}")
    peers = [known[name] for name in names]
    for what in asked.what or ["compare"]:
        if what == "compare":
            yield from compare(peers, asked.tests, asked.reps, asked.share)
        else:
            yield from scenarios.run(what, [peer for peer in peers if peer.tree], asked.share)


def kept(rows: Iterable[Row], path: Path | None) -> Iterator[Row]:
    """Write rows down, below a line that says what the machine is, and tell of each as it comes."""
    path = path or WORK / f"results/{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        about = machine.describe() | {"commit": commit(), "began": time.strftime("%Y-%m-%d %H:%M:%S%z")}
        print(json.dumps({"machine": about}), file=file)
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        for row in rows:
            print(json.dumps(row), file=file, flush=True)
            print(report.progress(row), file=sys.stderr, flush=True)
            yield row
    print(f"the rows: {path}", file=sys.stderr)


def commit() -> str:
    """Name the state of this tree; empty where there is no git."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def read(paths: Iterable[Path]) -> Iterator[Row]:
    """Read rows back."""
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "machine" not in row:
                yield row


if __name__ == "__main__":
    sys.exit(main())
