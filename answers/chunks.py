"""The chunks of one durable completion, on their way into its stream in the journal: each with an id of ours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from answers.accounts import Accounts
from answers.begun import Begun
from answers.journal import Batch, Entry, Journal, read_all
from answers.pen import LEASE_S
from answers.writer import Writer
from relay import tally
from relay.chat import DONE
from relay.errors import TalkaboutError
from relay.passthrough import error_block, full, has_ended
from relay.reply_errors import ReplyTooLong
from relay.settings import Settings
from relay.sse import encode


class Desk(NamedTuple):
    """What a worker writes its completions with; `owner` holds their leases."""

    owner: str
    journal: Journal
    writer: Writer
    accounts: Accounts
    settings: Settings


class Chunks:
    """Number what a completion says behind the seq `last`, and write it, until `drop`.

    `on_refused` is called when the journal takes nothing more of it from us.
    """

    def __init__(self, id: str, stream: str, desk: Desk, last: int, on_refused: Callable[[], None]) -> None:
        self.is_over = False
        self.refused = False
        self.begun: Begun | None = None  # what was said before the request that runs
        self._id = id
        self._stream = stream
        self._owner, self._journal, self._writer, _, self._settings = desk
        self._on_refused = on_refused
        self._max_bytes = self._settings.max_reply_bytes
        self._seq, self._size, self._said = last, 0, 0
        self._new: list[Entry] = []
        self._last: deque[bytes] = deque(maxlen=tally.BLOCKS_AT_THE_END)
        self._writer.begin(stream, last, self.refuse)

    def add(self, data: str, event: str) -> None:
        """Take what the model server said; what is its end is the stream's. Raises ReplyTooLong."""
        if self.begun is not None and not (data := self.begun.joined(data)):
            return
        block = encode(data, None if event == "message" else event, self._next_id())
        self._size += len(block)
        self._said += len(data) + tally.AROUND
        if self._size > self._max_bytes:
            raise ReplyTooLong(f"more than {self._max_bytes} bytes")
        if data.strip() == DONE or data.startswith(('{"error"', '{ "error"')):
            self._end(block)
            return
        self._last.append(block)
        self._seq += 1
        self._new.append(Entry(self._stream, self._seq, block))

    def done(self) -> None:
        """End as the model has."""
        self._end(encode(DONE, None, self._next_id()))

    def fail(self, error: TalkaboutError) -> None:
        """End with an error."""
        self._end(error_block(full(error), self._next_id()))

    def offer(self) -> bool:
        """Hand what is new to the journal without ever waiting; false if that is for `write`, in a thread."""
        if self._new:
            if not self._writer.offer(Batch(self._stream, self._owner, self._new)):
                return False
            self._new = []
        return True

    def write(self) -> None:
        """Hand what is new to the journal. Raises JournalError, and Draining."""
        if self._new:
            self._writer.append(Batch(self._stream, self._owner, self._new))
            self._new = []

    def refuse(self) -> None:
        """Take note that the journal takes nothing more of it from us."""
        self.refused = True
        self._on_refused()

    def drop(self) -> None:
        """Write nothing more."""
        self._writer.forget(self._stream, self.refuse)

    def settled(self) -> bool:
        """Write the end, behind whatever the journal may have lost; false where another worker writes it."""
        while not self.refused or self._journal.mend(self._stream, self._owner, self._seq - 1, LEASE_S):
            if self.refused:
                self._new = self._new[-1:]
                self._writer.begin(self._stream, self._seq - 1, self.refuse)
            self._writer.append(Batch(self._stream, self._owner, self._new))
            if self._writer.durable(self._stream, self._seq):
                return True
            self.refused = True
        return False

    def read_back(self) -> Begun | None:
        """Read all that is said so far; none if another worker writes. Raises JournalError, and Draining."""
        self.write()
        if not self._writer.durable(self._stream, self._seq):
            return None
        entries = read_all(self._journal, self._stream)
        begun = Begun(entries, self._seq)
        self._size, self._said = begun.size, begun.said
        self._last.extend(entry.block for entry in entries[-tally.BLOCKS_AT_THE_END :])
        return begun

    def has_ended(self) -> bool:
        """Tell if what was said last says that the completion has ended, and was not cut."""
        return has_ended(reversed(self._last))

    def spent(self) -> tuple[int | None, int | None, int]:
        """Tell how much it was; what one of several requests has counted is not all."""
        prompt, completion, chars = tally.of_stream(self._last, self._said)
        return (None, None, chars) if self.begun and self.begun.text else (prompt, completion, chars)

    def _end(self, block: bytes) -> None:
        self.is_over = True
        self._seq += 1
        self._new.append(Entry(self._stream, self._seq, block, final=True))

    def _next_id(self) -> str:
        return f"{self._id}:{self._seq + 1}"
