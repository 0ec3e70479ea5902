"""What is new in many streams at once: one blocked XREAD for a whole worker."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from typing import Any

from answers.entries import Entry
from answers.redis_line import RedisLine
from answers.redis_protocol import Refused, packed
from answers.redis_scripts import BOUNDS, call, events
from relay.errors import JournalError

BLOCK_S = 2.0
ANSWER_S = BLOCK_S + 2.0
POLL_S = 0.04
REST_S = 0.02  # after news; asking for hundreds of streams costs a millisecond, and they bring news all the time
AT_ONCE = 100  # of each stream
WAKE_KEPT_S = 60


class RedisTail:
    """Wait for news by a connection of its own, which keeps its place in each stream.

    In a Redis Cluster one XREAD cannot read streams of several slots; there it looks into each of them every 40 ms, in
    one pipeline. A failure ends the wait, and never hides that Redis was lost: a stream whose end is before our place
    afterwards has lost entries, and is read anew from its beginning.
    """

    def __init__(self, url: str) -> None:
        self._line = RedisLine(url, answer_s=ANSWER_S, retries=0)
        # Read along with the streams, so that a wake that comes before the wait ends it too; CLIENT UNBLOCK would not.
        self._wake_key = f"talkabout:{{wake:{uuid.uuid4().hex}}}".encode()
        self._woken = b"0-0"
        self._places: dict[str, int] = {}
        self._keys: dict[str, bytes] = {}
        self._rest_until = 0.0
        self._in_doubt = True
        self._scattered = False

    def wait(self, streams: Collection[str], timeout_s: float) -> list[Entry]:
        """Return what is new in these streams since the last call."""
        give_up_at = time.monotonic() + timeout_s
        time.sleep(max(0.0, min(self._rest_until - time.monotonic(), timeout_s)))
        try:
            self._take_places(streams)
            while True:
                left = give_up_at - time.monotonic()
                woken = self._woken
                entries = self._entries(self._news(min(left, BLOCK_S)))
                if entries:
                    self._rest_until = time.monotonic() + REST_S
                if entries or left <= 0 or woken != self._woken:
                    return entries
        except JournalError:
            self._in_doubt = True
            raise

    def wake(self, line: RedisLine) -> None:
        """Let `wait` return, by a line on which nobody waits."""
        line.do(
            packed("XADD", self._wake_key, "MAXLEN", 1, "*", "wake", ""), packed("EXPIRE", self._wake_key, WAKE_KEPT_S)
        )

    def close(self) -> None:
        """Close the connection."""
        self._in_doubt = True
        self._line.close()

    def _take_places(self, streams: Collection[str]) -> None:
        places = {stream: self._places[stream] for stream in streams if stream in self._places}
        asked = list(streams) if self._in_doubt else [stream for stream in streams if stream not in places]
        found: list[Any] = []
        if asked or self._in_doubt:
            commands = (call(BOUNDS, events(stream)) for stream in asked)
            found = self._line.do(packed("EXISTS", self._wake_key), *commands)[1:]
        for stream, (_first, last) in zip(asked, found, strict=True):
            place = places.get(stream, last)
            places[stream] = place if place <= last else 0
        self._keys = {stream: self._keys.get(stream) or events(stream).encode() for stream in places}
        self._places, self._in_doubt = places, False

    def _news(self, block_s: float) -> list[Any]:
        places = {self._keys[stream]: b"%d-0" % place for stream, place in self._places.items()}
        places[self._wake_key] = self._woken
        if not self._scattered:
            try:
                block = ("BLOCK", max(1, round(block_s * 1000))) if block_s > 0 else ()
                command = packed("XREAD", "COUNT", AT_ONCE, *block, "STREAMS", *places, *places.values())
                return self._line.do(command)[0] or []
            except JournalError as error:
                if not (isinstance(error.__cause__, Refused) and error.__cause__.code == "CROSSSLOT"):
                    raise
                self._scattered = True
        commands = [packed("XREAD", "COUNT", AT_ONCE, "STREAMS", key, place) for key, place in places.items()]
        found = [row for rows in self._line.do(*commands) for row in rows or ()]
        if not found and block_s > 0:
            time.sleep(min(POLL_S, block_s))
        return found

    def _entries(self, found: list[Any]) -> list[Entry]:
        streams = {key: stream for stream, key in self._keys.items()}
        entries: list[Entry] = []
        for key, rows in found:
            if key in streams:
                entries += [entry(streams[key], *row) for row in rows]
            elif rows:
                self._woken = rows[-1][0]
        for each in entries:
            self._places[each.stream] = each.seq
        return entries


def entry(stream: str, name: bytes, fields: list[bytes]) -> Entry:
    """Make an entry of what Redis keeps of it."""
    return Entry(stream, int(name.partition(b"-")[0]), fields[1], bool(fields[3]))
