"""Attack a server of ours in every way listed, and print what came of it: `python -m tests.attacks [--only WORD]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.attacks import access, connections, inputs
from tests.attacks.honest import Honest
from tests.attacks.outcome import Attack, Outcome
from tests.attacks.target import Target
from tests.beside import Beside

ATTACKS = (*connections.ATTACKS, *inputs.ATTACKS, *access.ATTACKS)
HEAD = (
    "attack",
    "tried",
    "refused",
    "served, harmless",
    "harm",
    "memory before, most, after (MB)",
    "honest answers, not whole",
    "honest wait for the first event, median, longest (ms)",
    "what holds",
)


@dataclass
class Row:
    """A line of the table."""

    attack: Attack
    outcome: Outcome
    honest: Honest
    memory: Memory

    @property
    def is_good(self) -> bool:
        """Tell if nothing was broken, and no honest user has noticed."""
        return not self.complaints()

    def complaints(self) -> list[str]:
        """Say what was wrong."""
        return [f"{self.attack.name}: {what}" for what in [*self.outcome.broken, *self.honest.problems]]

    def cells(self) -> list[str]:
        """Write the line's cells, in the order of HEAD."""
        counts = (self.outcome.tried, self.outcome.refused, self.outcome.served, len(self.outcome.broken))
        memory = ", ".join(f"{each:.0f}" for each in (self.memory.before, self.memory.most, self.memory.after))
        honest = f"{len(self.honest.firsts)}, {len(self.honest.problems)}"
        holds = "; ".join([self.attack.holds, *self.outcome.notes])
        return [self.attack.name, *map(str, counts), memory, honest, self.honest.waited(), holds]


class Memory(Beside):
    """What the workers have in memory, in MB, while it is entered."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target
        self.before = self.most = self.after = target.memory_mb()

    def go_on(self) -> None:
        """Look again and again, at last when all is over."""
        while not self.leave.wait(0.1):
            self.most = max(self.most, self._target.memory_mb())
        self.after = self._target.memory_mb()


def try_out(target: Target, attack: Attack, size: int) -> Row:
    """Attack, while an honest user goes on asking."""
    with Memory(target) as memory, Honest(target) as honest:
        outcome = attack.run(target, size)
    return Row(attack, outcome, honest, memory)


def main() -> int:
    """Run the attacks, one after the other; return the exit status: 0 if all was held."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="only attacks whose name holds this")
    asked = parser.parse_args()
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="talkabout-attacks-") as folder, Target(Path(folder)) as target:
        for attack in ATTACKS:
            if asked.only in attack.name:
                rows.append(try_out(target, attack, attack.size))
                print("\n".join([" | ".join(rows[-1].cells()), *rows[-1].complaints()]), file=sys.stderr, flush=True)
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    print("\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    print(f"\n{sum(row.outcome.tried for row in rows)} tries in {time.monotonic() - began:.0f} s")
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
