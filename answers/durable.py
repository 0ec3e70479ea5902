"""One durable completion: the model server's own chunks, each kept in the journal with an id of ours.

It is no answer of a conversation: nothing of it is in the database, and nobody can go on with it. When its worker dies,
another one says so in its stream, which ends there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial

from answers.journal import Batch, Entry, Journal
from answers.writer import Writer
from relay import spans, tally
from relay.chat import DONE
from relay.completion import read_to_end
from relay.errors import Draining, JournalError, TalkaboutError, UpstreamBroken
from relay.loop import spawn
from relay.passthrough import BLOCKS_AT_THE_END, error_block, full, has_ended
from relay.reply_errors import ReplyTooLong
from relay.settings import Settings
from relay.sse import Decoder, encode
from relay.tally import OnEnd
from relay.upstream import Call

log = logging.getLogger(__name__)

LEASE_S = 2.0


class Durable:
    """Write an opened call into its stream, to its end; `run` in a thread of its own, `stop` from any."""

    def __init__(self, id: str, stream: str, user: str, call: Call, on_end: OnEnd) -> None:
        self.id = id
        self.stream = stream
        self.user = user
        self.began_at = time.time()
        self.ended = threading.Event()
        self._call = call
        self._on_end = on_end
        self._reason: TalkaboutError | None = None
        self._refused = False
        self._seq = self._size = self._said = 0
        self._is_over = False
        self._new: list[Entry] = []
        self._last: deque[bytes] = deque(maxlen=BLOCKS_AT_THE_END)

    def stop(self, reason: TalkaboutError) -> None:
        """End it for that reason; returns at once, and does nothing once it has ended."""
        if not self.ended.is_set():
            self._reason = self._reason or reason
            self._call.stop()

    def refuse(self) -> None:
        """Take note that the journal takes nothing more of it from us."""
        self._refused = True
        self._call.stop()

    def run(self, owner: str, journal: Journal, writer: Writer, settings: Settings) -> None:
        """Write it; `owner` holds its lease, which is given up with the last entry."""
        try:
            try:
                self._copy(owner, writer, settings)
            except TalkaboutError as error:
                log.warning("completion %s: %s: %s", self.id, type(error).__name__, error)
                self._reason = self._reason or error
                self._say_end(error_block(full(self._reason), self._next_id()))
            self._settle(owner, journal, writer)
        except (JournalError, Draining) as error:
            log.error("completion %s is left to another worker: %s", self.id, error)
        finally:
            writer.forget(self.stream, self.refuse)
            self._leave()

    def _copy(self, owner: str, writer: Writer, settings: Settings) -> None:
        decoder = Decoder(settings.max_event_bytes)

        def take(piece: bytes) -> bool:
            for event in decoder.feed(piece):
                self._add(event.data, event.event, settings.max_reply_bytes)
                if self._is_over:
                    return True
            return bool(self._new) and not self._hand_over(owner, writer)

        while self._call.read(take):
            if self._is_over:
                return
            writer.append(Batch(self.stream, owner, self._new))
            self._new = []
        if not has_ended(reversed(self._last)):
            raise UpstreamBroken("the stream ended without [DONE] and without a finish reason")
        self._say_end(encode(DONE, None, self._next_id()))

    def _hand_over(self, owner: str, writer: Writer) -> bool:
        """Hand what is new to the journal without waiting; false if that is to be done in a thread."""
        if not writer.offer(Batch(self.stream, owner, self._new)):
            return False
        self._new = []
        return True

    def _add(self, data: str, event: str, max_bytes: int) -> None:
        block = encode(data, None if event == "message" else event, self._next_id())
        self._size += len(block)
        self._said += len(data) + tally.AROUND
        if self._size > max_bytes:
            raise ReplyTooLong(f"more than {max_bytes} bytes")
        if data.strip() == DONE or data.startswith(('{"error"', '{ "error"')):
            self._say_end(block)
            return
        self._last.append(block)
        self._seq += 1
        self._new.append(Entry(self.stream, self._seq, block))

    def _say_end(self, block: bytes) -> None:
        self._is_over = True
        self._seq += 1
        self._new.append(Entry(self.stream, self._seq, block, final=True))

    def _next_id(self) -> str:
        return f"{self.id}:{self._seq + 1}"

    def _settle(self, owner: str, journal: Journal, writer: Writer) -> None:
        """Write the end, behind whatever the journal may have lost; another worker's end stays."""
        while not self._refused or journal.mend(self.stream, owner, self._seq - 1, LEASE_S):
            if self._refused:
                self._new = self._new[-1:]
                writer.begin(self.stream, self._seq - 1, self.refuse)
            writer.append(Batch(self.stream, owner, self._new))
            if writer.durable(self.stream, self._seq):
                return
            self._refused = True

    def _leave(self) -> None:
        self.ended.set()
        prompt, completion, chars = tally.of_stream(self._last, self._said)
        spans.count(self._call.span, prompt, completion)
        if self._call.ended or self._reason:
            self._call.close()
        else:
            spawn(partial(read_to_end, self._call))
        self._on_end(prompt, completion, chars)
