"""Channels: each user's own event stream, kept in the journal, so that a reader can come back for what it missed.

    publish ──> journal ──> one tail thread per worker ──Pipe.offer──> every reader of the channel on this worker

A reader that resumes is brought up to date from the journal first, at its own pace, and joins the tail when it has
everything. Its `seq` decides what it still gets, so that nothing is doubled or lost in between.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable

from answers.journal import Entry, Journal
from relay.emitter import terminal_data
from relay.errors import BadUserId, Draining, JournalError, TalkaboutError
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import PING, RETRY_MS, encode

POLL_S = 0.04
TROUBLE_S = 1.0  # pause after the journal could not be read
PRUNE_EVERY_S = 60.0
PRUNE_BATCH = 200
BATCH = 64
LAST_WORD_S = 1.0

log = logging.getLogger(__name__)

_CURSOR = re.compile(r"[0-9]{1,18}")


class _Reader:
    """Keep what one reader of a channel has got so far."""

    def __init__(self, stream: str, seq: int, pipe: Pipe) -> None:
        self.stream = stream
        self.seq = seq
        self.pipe = pipe

    def block(self, entry: Entry) -> bytes:
        """Return what to send for an entry: nothing if the reader has it, with a reset if some before it are lost."""
        missing = entry.seq - self.seq - 1
        if missing < 0:
            return b""
        self.seq = entry.seq
        return _reset(entry.seq) + entry.block if missing else entry.block


class Channels:
    """Publish to and follow the channels of all users; close() ends what this worker follows."""

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._lock = threading.Lock()
        self._readers: dict[str, set[_Reader]] = defaultdict(set)
        self._listeners: dict[str, list[Callable[[str], None]]] = defaultdict(list)
        self._tail: threading.Thread | None = None
        self._pos = 0
        self._news = threading.Event()
        self._closed = False
        self._prune_at = 0.0

    def publish(self, user: str, data_json: str, event: str | None = None) -> str:
        """Publish an event to a user's channel, on every worker, and return its id.

        Raises BadUserId, BadEventField for an event that no stream can carry, and JournalError.
        """
        return str(self._append(_channel(user), lambda seq: encode(data_json, event, str(seq))))

    def announce(self, stream: str, text: str) -> None:
        """Tell every listener of a stream a text, on every worker; no user can read or write there."""
        self._append(stream, lambda _seq: text.encode())

    def listen(self, stream: str, callback: Callable[[str], None]) -> None:
        """Call `callback` with every text announced from now on, in the tail thread, until close()."""
        with self._lock:
            self._start_tail()
            self._listeners[stream].append(callback)

    def subscribe(self, user: str, last_event_id: str | None) -> Pipe:
        """Follow a user's channel: `open`, what came after the id `last_event_id`, then everything as it comes.

        Who resumes gets its own id back with `open`. An id that cannot be honoured gets `reset` with the first seq that
        is still kept, and goes on from there. Who takes the pipe must abandon it when nobody reads it any more. Raises
        BadUserId, JournalError and Draining.
        """
        stream = _channel(user)
        kept_from, last = self._journal.first(stream), self._journal.last(stream)
        cursor = _cursor(last_event_id, last)
        # With the cursor as its id, a connection that is cut right behind `open` comes back for the same events.
        seq = last if cursor is None else max(cursor, 0)
        opening = encode(json.dumps({"user": user}), "open", str(seq), RETRY_MS)
        if cursor is not None and cursor < kept_from - 1:
            opening, seq = opening + _reset(kept_from), kept_from - 1
        reader = _Reader(stream, seq, self._pipe())
        reader.pipe.put(opening)
        reader.pipe.on_abandon(lambda reason: self._leave(reader, reason))
        if not self._join(reader):
            threading.Thread(target=self._catch_up, args=(reader,), daemon=True).start()
        return reader.pipe

    def close(self) -> None:
        """End every channel that this worker follows with a terminal event, and stop the tail thread."""
        with self._lock:
            self._closed = True
            readers = [reader for group in self._readers.values() for reader in group]
            tail = self._tail
        for reader in readers:
            reader.pipe.abandon(Draining(), LAST_WORD_S)
        self._news.set()
        if tail is not None:
            tail.join()

    def _append(self, stream: str, make_block: Callable[[int], bytes]) -> int:
        seq = self._journal.append(stream, make_block, self._settings.channel_keep_events)
        self._news.set()
        self._prune()
        return seq

    def _pipe(self) -> Pipe:
        return Pipe(
            max_bytes=self._settings.reader_buffer_bytes,
            reader_timeout_s=self._settings.reader_timeout_s,
            heartbeat_s=self._settings.heartbeat_s,
            heartbeat=PING,
        )

    def _join(self, reader: _Reader) -> bool:
        """Hand a reader over to the tail, if it has all that was published; raises Draining after close()."""
        with self._lock:
            # The order counts: what is committed after the tail's start is the tail's, what was before shows in `last`.
            self._start_tail()
            if self._journal.last(reader.stream) != reader.seq:
                return False
            if reader.pipe.reason is None:
                self._readers[reader.stream].add(reader)
            return True

    def _leave(self, reader: _Reader, reason: TalkaboutError) -> None:
        with self._lock:
            readers = self._readers[reader.stream]
            readers.discard(reader)
            if not readers:
                del self._readers[reader.stream]
        # Without an id: only the reader knows how far it has got.
        reader.pipe.close(encode(terminal_data("interrupted", reason), "done"))

    def _catch_up(self, reader: _Reader) -> None:
        try:
            while not self._join(reader):
                entries = self._journal.read(reader.stream, reader.seq, BATCH)
                for entry in entries:
                    reader.pipe.put(reader.block(entry))
                if not entries:  # all of it was pruned since
                    reader.seq = self._journal.first(reader.stream) - 1
                    reader.pipe.put(_reset(reader.seq + 1))
        except TalkaboutError as error:
            reader.pipe.abandon(error, LAST_WORD_S)

    def _start_tail(self) -> None:
        if self._closed:
            raise Draining
        if self._tail is None or not self._tail.is_alive():
            self._pos = self._journal.end()
            self._tail = threading.Thread(target=self._follow, daemon=True)
            self._tail.start()

    def _follow(self) -> None:
        while self._is_wanted():
            self._news.clear()
            try:
                entries = self._journal.tail(self._pos, BATCH)
            except JournalError as error:
                log.error("channels stand still: %s", error)
                self._news.wait(TROUBLE_S)
                continue
            for entry in entries:
                self._pos = entry.pos
                self._fan_out(entry)
            self._prune()
            if len(entries) < BATCH:
                self._news.wait(POLL_S)

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._closed or not (self._readers or self._listeners):
                self._tail = None
            return self._tail is not None

    def _fan_out(self, entry: Entry) -> None:
        with self._lock:
            readers = list(self._readers.get(entry.stream, ()))
            listeners = list(self._listeners.get(entry.stream, ()))
        for reader in readers:
            if block := reader.block(entry):
                reader.pipe.offer(block)
        for listener in listeners:
            try:
                listener(entry.block.decode())
            except Exception:  # the edge of the tail: a listener's fault must not stop everybody's channels
                log.exception("a listener of %s failed", entry.stream)

    def _prune(self) -> None:
        """Delete what is too old, one small batch at a time; a failure only means that it is done later."""
        now = time.monotonic()
        if now < self._prune_at:
            return
        self._prune_at = now + PRUNE_EVERY_S
        try:
            if self._journal.prune(time.time() - self._settings.channel_keep_s, PRUNE_BATCH) == PRUNE_BATCH:
                self._prune_at = now
        except JournalError as error:
            log.warning("old events stay for now: %s", error)


def _channel(user: str) -> str:
    """Name the journal's stream of a user's channel."""
    if not 1 <= len(user) <= 128 or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in user):
        raise BadUserId(f"expected 1 to 128 characters without control characters, got {user[:160]!r}")
    return f"channel:{user}"


def _cursor(last_event_id: str | None, last: int) -> int | None:
    """Return the seq that a reader has seen; None if it names none, -1 if it names one that never was."""
    if not last_event_id:
        return None
    seq = int(last_event_id) if _CURSOR.fullmatch(last_event_id) else -1
    return seq if seq <= last else -1


def _reset(first: int) -> bytes:
    return encode(json.dumps({"from": first}), "reset", str(first - 1))
