"""One answer under one fault: begun, read by two readers, and judged by comparison with what the model said."""

from __future__ import annotations

import contextlib
import difflib
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import requests

from tests.faults.cluster import HEARTBEAT_S
from tests.faults.proxy import CuttingProxy
from tests.faults.readers import Reader
from tests.faults.upstream import TEXT

PATIENCE_S = 60.0
ASK_S = 10.0
SILENCE_S = 2.5 * HEARTBEAT_S  # as our page's own client
STAYS_S = 1.0


class Trial:
    """An answer, what is expected of it, and its readers: one who stays, and one who leaves and comes back each second.

    On two machines the second begins at the other one, and both turn to the next machine after each break.
    """

    def __init__(self) -> None:
        self.answer = str(uuid.uuid4())
        self.prompt = f"recite for {self.answer}"
        self.expected, self.state = TEXT, "complete"
        self.problems: list[str] = []
        self.went_on_s: float | None = None
        self.readers: list[Reader] = []
        self.proxies: list[CuttingProxy] = []

    def begin(self, session: requests.Session, url: str) -> str:
        """Ask for the answer, until it is accepted; return the conversation that it is in."""
        fields = {"prompt": self.prompt, "answer": self.answer}
        give_up_at = time.monotonic() + ASK_S
        while time.monotonic() < give_up_at:
            with contextlib.suppress(requests.ConnectionError):
                response = session.post(f"{url}/api/answers", json=fields, timeout=ASK_S)
                if response.status_code == 202:
                    return str(response.json()["conversation"])
                self.problems.append(f"POST: {response.status_code} {response.text[:200]}")
        self.problems.append("never accepted")
        return ""

    def read(self, ways: Sequence[Sequence[str]]) -> None:
        """Let the readers begin, each on its way."""
        for way, stays_s in zip(ways, (None, STAYS_S), strict=True):
            reader = Reader(way, self.answer, patience_s=PATIENCE_S, silence_s=SILENCE_S, stays_s=stays_s)
            self.readers.append(reader)
            reader.start()

    def judge(self, url: str, asked: int) -> Verdict:
        """Wait for the readers, look at the answer once more, and compare."""
        for reader in self.readers:
            reader.join()
            self.problems += [*reader.problems, *reader.unproven()]
        shown = requests.get(f"{url}/api/answers/{self.answer}", timeout=ASK_S).json()
        ends = {shown.get("state"), *((reader.done or {}).get("state") for reader in self.readers)}
        if ends != {self.state}:
            self.problems.append(f"states: {sorted(map(str, ends))}")
        if left := sum(proxy.left for proxy in self.proxies):
            self.problems.append(f"{left} cuts were not made")
        self._come_back(url)
        texts = [shown.get("content", ""), *(reader.text for reader in self.readers)]
        differences = [difference(self.expected, text) for text in texts]
        return Verdict(
            answer=self.answer,
            lost=max(lost for lost, _ in differences),
            doubled=max(doubled for _, doubled in differences),
            hanging=any(reader.done is None for reader in self.readers) or shown.get("state") == "running",
            asked=asked,
            resets=sum(reader.resets for reader in self.readers),
            went_on_s=self.readers[0].longest_pause_s if self.went_on_s is None else self.went_on_s,
            problems=self.problems,
        )

    def _come_back(self, url: str) -> None:
        """Ask again as one who has seen the end: there is nothing more."""
        headers = {"Last-Event-ID": f"{self.answer}:{self.readers[0].seq}"}
        with requests.get(f"{url}/api/answers/{self.answer}/events", headers=headers, stream=True, timeout=5) as again:
            if again.status_code != 204:
                self.problems.append(f"status {again.status_code} behind the end")


@dataclass(frozen=True)
class Verdict:
    """What became of one answer; it is whole if nothing at all was wrong with it."""

    answer: str
    lost: int
    doubled: int
    hanging: bool
    asked: int
    resets: int
    went_on_s: float
    problems: list[str]

    @property
    def whole(self) -> bool:
        """Tell if every reader has got exactly what was said, and could prove it."""
        return not (self.lost or self.doubled or self.hanging or self.problems)


@dataclass
class Row:
    """A line of the table: what became of the answers under one fault."""

    fault: str
    setup: str
    may_ask: int
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Tell if every answer was whole, and none has cost more than it may."""
        return all(each.whole and each.asked <= self.may_ask for each in self.verdicts)

    def cells(self) -> list[str]:
        """Write the line's cells, in the order of HEAD."""
        some = self.verdicts
        asked, went_on = [each.asked for each in some], [each.went_on_s for each in some]
        counts = [len(some), *(sum(each) for each in zip(*map(_counts, some), strict=True))]
        return [
            self.fault,
            self.setup,
            *map(str, counts),
            f"{statistics.mean(asked):.2f}, {max(asked)}",
            f"{statistics.median(went_on):.2f}, {max(went_on):.2f}",
        ]

    def complaints(self) -> list[str]:
        """Say what was wrong, answer by answer."""
        wrong = [each for each in self.verdicts if not each.whole or each.asked > self.may_ask]
        return [
            f"{self.fault}, {self.setup}, answer {each.answer}: lost {each.lost}, doubled {each.doubled}, "
            f"asked {each.asked} (may: {self.may_ask}), {'; '.join(each.problems)}"
            for each in wrong
        ]


HEAD = (
    "fault",
    "set-up",
    "runs",
    "answers whole",
    "characters lost",
    "characters doubled",
    "left hanging",
    "resets",
    "upstream requests per answer (mean, max)",
    "seconds until it went on (median, max)",
)


def _counts(verdict: Verdict) -> tuple[int, ...]:
    return int(verdict.whole), verdict.lost, verdict.doubled, int(verdict.hanging), verdict.resets


def difference(expected: str, text: str) -> tuple[int, int]:
    """Count the characters of `expected` that are missing in a text, and those that it has beyond it."""
    if text == expected:
        return 0, 0
    matcher = difflib.SequenceMatcher(None, expected, text, autojunk=False)
    common = sum(block.size for block in matcher.get_matching_blocks())
    return len(expected) - common, len(text) - common
