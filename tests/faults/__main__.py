"""Try every fault on N answers and print the table: `python -m tests.faults [N] [--only WORD]`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.faults import FAULTS, Fault, try_out
from tests.faults.trial import HEAD, Row

RUNS = 20
DELAY_MS = 15


def main() -> int:
    """Run the faults, one after the other; return the exit status: 0 if every answer is whole."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=RUNS, metavar="N", help="answers for each fault")
    parser.add_argument("--only", default="", metavar="WORD", help="only faults whose name or set-up holds this")
    asked = parser.parse_args()
    began = time.monotonic()
    faults = [fault for fault in FAULTS if asked.only in f"{fault.name}, {fault.setup}"]
    rows: list[Row] = []
    for setup, some in groupby(faults, lambda fault: fault.setup):
        rows += run(setup, list(some), asked.runs)
    print("\n" + table(rows))
    print(f"\n{sum(len(row.verdicts) for row in rows)} answers in {time.monotonic() - began:.0f} s")
    return 0 if all(row.is_good for row in rows) else 1


def run(setup: str, faults: list[Fault], runs: int) -> list[Row]:
    """Try faults on one set-up, and tell each result as it comes; the logs stay if anything was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="talkabout-faults-"))
    rows = []
    with Cluster(setup, folder, DELAY_MS) as cluster:
        for fault in faults:
            rows.append(Row(fault.name, setup, fault.may_ask))
            for left in range(runs, 0, -fault.at_once):
                try_out(cluster, fault, min(left, fault.at_once), rows[-1])
            print("\n".join([" | ".join(rows[-1].cells()), *rows[-1].complaints()]), file=sys.stderr, flush=True)
    if all(row.is_good for row in rows):
        shutil.rmtree(folder)
    else:
        print(f"the logs of {setup}: {folder}", file=sys.stderr)
    return rows


def table(rows: list[Row]) -> str:
    """Write the rows in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
