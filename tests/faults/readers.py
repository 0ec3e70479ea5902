"""Readers that come back: each keeps to the last seq it has seen, and notes whatever is not as it was promised."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from relay.sse import Decoder, Event

CONNECT_S = 2.0
RETRY_S = 0.05
COMES_UP = {502, 503, 504}  # a server that is being started, or has lost its database


class Reader(threading.Thread):
    """Read an answer to its end through the servers of `urls`, the next one after each break, for `patience_s` at most.

    `silence_s` without a byte is a break too; `stays_s` makes a reader that leaves by itself after so many seconds.
    """

    def __init__(
        self, urls: Sequence[str], answer: str, *, patience_s: float, silence_s: float, stays_s: float | None = None
    ) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self.seq = 0
        self.done: dict[str, Any] | None = None
        self.problems: list[str] = []
        self.resets = 0
        self.connections = 0
        self.longest_pause_s = 0.0
        self._urls = itertools.cycle(urls)
        self._answer = answer
        self._give_up_at = time.monotonic() + patience_s
        self._silence_s = silence_s
        self._stays_s = stays_s
        self._moved_at: float | None = None

    def run(self) -> None:
        """Read, and read on."""
        while self.done is None and time.monotonic() < self._give_up_at:
            try:
                self._read(next(self._urls))
            except (requests.RequestException, HTTPError, OSError):
                time.sleep(random.uniform(0, 2 * RETRY_S))

    def take(self, event: Event) -> None:
        """Take one event over, and note what is wrong with it."""
        answer, _, seq = event.id.rpartition(":")
        data = json.loads(event.data)
        if answer != self._answer:
            self.problems.append(f"an event of {answer}")
        if event.event == "reset":
            self.resets += 1
            self.text = data["content"]
        elif int(seq) != self.seq + 1:
            self.problems.append(f"seq {seq} ({event.event}) behind {self.seq}")
        self.seq = int(seq)
        if event.event == "message":
            self.text += data.get("content", "")
        elif event.event == "done":
            self.done = data
        if event.event in ("message", "done"):
            now = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now - (self._moved_at or now))
            self._moved_at = now

    def unproven(self) -> list[str]:
        """Say what of the terminal event does not fit the text that was read."""
        if self.done is None:
            return ["it never ended"]
        found = {"chars": len(self.text), "sha256": hashlib.sha256(self.text.encode()).hexdigest()}
        return [
            f"{name} of done: {self.done[name]}, read: {is_}" for name, is_ in found.items() if self.done[name] != is_
        ]

    def _read(self, url: str) -> None:
        self.connections += 1
        headers = {"Last-Event-ID": f"{self._answer}:{self.seq}"} if self.seq else {}
        path = f"{url}/api/answers/{self._answer}/events"
        with requests.get(path, headers=headers, stream=True, timeout=(CONNECT_S, self._silence_s)) as response:
            if response.status_code != 200:
                if response.status_code not in COMES_UP:
                    self.problems.append(f"status {response.status_code} behind seq {self.seq}")
                time.sleep(2 * RETRY_S)
                return
            self._take_all(response)

    def _take_all(self, response: requests.Response) -> None:
        leave_at = time.monotonic() + random.uniform(0.5, 1.5) * self._stays_s if self._stays_s else self._give_up_at
        decoder = Decoder()
        while time.monotonic() < leave_at and self.done is None:
            chunk = response.raw.read1(65536)
            if not chunk:
                return
            for event in decoder.feed(chunk):
                self.take(event)
