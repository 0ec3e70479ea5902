"""The honest users: they ask and read all the while, and note how long that takes and whether all of it comes."""

from __future__ import annotations

import hashlib
import json
import statistics
import time

import requests

from relay.sse import Decoder
from tests.attacks.target import HONEST, Target
from tests.beside import Beside

TEXT = "What holds when others push? 能守得住嗎？"


class Honest(Beside):
    """One honest user, who asks one question after the other while it is entered; times are in seconds."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.firsts: list[float] = []
        self.problems: list[str] = []
        self._target = target

    def waited(self) -> str:
        """Write the median and the longest wait for the first event, in milliseconds."""
        return f"{1000 * statistics.median(self.firsts):.0f}, {1000 * max(self.firsts):.0f}" if self.firsts else "-"

    def go_on(self) -> None:
        """Ask once at least, and again and again."""
        while not self.firsts or not self.leave.is_set():
            try:
                with self._target.session(HONEST) as session:
                    self._ask(session)
            except (requests.RequestException, OSError, ValueError) as exc:
                self.problems.append(f"honest: {exc}")
                self.firsts.append(float("inf"))
            self.leave.wait(0.02)

    def _ask(self, session: requests.Session) -> None:
        began = time.monotonic()
        asked = {"prompt": TEXT}
        headers = {"Accept": "text/event-stream"}
        with session.post(
            f"{self._target.url}/api/answers", json=asked, headers=headers, stream=True, timeout=10
        ) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            decoder, text, done = Decoder(), "", {}
            first = None
            while chunk := response.raw.read1(65536):
                first = first or time.monotonic() - began
                for event in decoder.feed(chunk):
                    data = json.loads(event.data)
                    text += data.get("content", "") if event.event == "message" else ""
                    done = data if event.event == "done" else done
        self.firsts.append(first or float("inf"))
        if text != TEXT or done.get("sha256") != hashlib.sha256(TEXT.encode()).hexdigest():
            raise ValueError(f"read {text!r}, {done}")
