"""Reading an answer: from any cursor, on any worker, as events or as text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from answers.answer import Answer, reset_block, stream_of
from answers.follow import Follower
from answers.journal import Journal
from answers.kept import in_database, note_end, so_far
from answers.store import AnswerRow, Store
from relay.answer_errors import AnswerFailed
from relay.errors import TalkaboutError
from relay.pipe import Pipe
from relay.sse import PING, Decoder, Event

SETTLED_S = 2.0
_LOOK_S = 0.02


class Readers:
    """Let readers follow answers."""

    def __init__(self, journal: Journal, store: Store, follower: Follower) -> None:
        self._journal = journal
        self._store = store
        self._follower = follower

    def follow(self, row: AnswerRow, after: int | None) -> Pipe:
        """Follow an answer from behind the seq `after`.

        Where the journal cannot honour that (None stands for a cursor that makes no sense), the reader gets `reset`
        with the whole text so far, then what comes.
        """
        stream = stream_of(row.id)
        first, last = self._follower.bounds(stream)
        nothing_kept = first > last and row.state != "running"
        if after is not None and first - 1 <= after <= last and not nothing_kept:
            return self._follower.follow(stream, after, PING if after else b"", self._reset(row))
        if first > last and row.state == "running":  # lost: its producer is about to say all of it again
            return self._follower.follow(stream, last, PING, self._reset(row))
        upto = last - 1 if self._ended(stream, last) else last
        opening = self._reset(row)(upto)
        if not nothing_kept:
            return self._follower.follow(stream, upto, opening, self._reset(row))
        # Nothing is kept of it but what the database has.
        row = self._store.answer(row.id) or row
        answer = in_database(row)
        note_end(answer, row)
        answer.seq = max(last - 1, 1)
        answer.done(row.state)
        return self._follower.finished(opening + b"".join(entry.block for entry in answer.new))

    def has_seen_the_end(self, row: AnswerRow, after: int) -> bool:
        """Tell if nothing can come behind the seq `after`.

        An answer that runs, with its end in the journal, is about to end or to go on: this waits for which it is, for
        SETTLED_S at most.
        """
        stream = stream_of(row.id)
        deadline = time.monotonic() + SETTLED_S
        while True:
            first, last = self._follower.bounds(stream)
            if first > last:
                return row.state != "running" and after >= max(last, 1)
            if after != last or not self._ended(stream, last):
                return False
            if row.state != "running":
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_S)
            row = self._store.answer(row.id) or row

    def as_it_is(self, row: AnswerRow) -> AnswerRow:
        """Fill in what the journal has of an answer that is still being written."""
        if row.state != "running":
            return row
        answer = self.so_far(row)
        return replace(
            row, content=answer.content, reasoning=answer.reasoning, chars=answer.chars, sha256=answer.sha256
        )

    def _ended(self, stream: str, last: int) -> bool:
        entries = self._journal.read(stream, last - 1, 1)
        return bool(entries and entries[0].final)

    def _reset(self, row: AnswerRow) -> Callable[[int], bytes]:
        """Make what tells the whole text up to a seq."""

        def reset(upto: int) -> bytes:
            answer = self.so_far(row, upto)
            return reset_block(row.id, max(upto, 1), answer.content, answer.reasoning)

        return reset

    def so_far(self, row: AnswerRow, upto: int | None = None) -> Answer:
        """Read the text from the journal, or from the database where the journal has not all of it any more."""
        return so_far(self._journal, self._store, row, upto)


class TextOf:
    """An answer's text as UTF-8, whole code points only; `ending` puts into words why it broke off."""

    def __init__(self, pipe: Pipe, ending: Callable[[dict[str, Any]], str]) -> None:
        self._pipe = pipe
        self._ending = ending
        self._decoder = Decoder()
        self._shown = ""
        self._blocks = iter(pipe)
        self._waiting: list[Event] = []

    @property
    def reason(self) -> TalkaboutError | None:
        """Tell why the text was abandoned, if it was."""
        return self._pipe.reason

    def abandon(self, reason: TalkaboutError, linger_s: float = 0.0) -> None:
        """Stop reading; the answer goes on."""
        self._pipe.abandon(reason, linger_s)

    def accepted(self) -> None:
        """Wait until the upstream has accepted the question. Raises AnswerFailed if it does not."""
        for block in self._blocks:
            for event in self._decoder.feed(block):
                self._waiting.append(event)
                data = orjson.loads(event.data)
                if event.event == "done" and data["state"] == "failed":
                    raise AnswerFailed(**data["error"])
            if any(event.event in ("message", "done") or "waiting" in event.data for event in self._waiting):
                return

    def __iter__(self) -> Iterator[bytes]:
        yield self._text(self._waiting)
        for block in self._blocks:
            if text := self._text(self._decoder.feed(block)):
                yield text

    def _text(self, events: list[Event]) -> bytes:
        return "".join(map(self._words, events)).encode()

    def _words(self, event: Event) -> str:
        data = orjson.loads(event.data)
        new: str = data.get("content", "") if event.event in ("message", "reset") else ""
        if event.event == "reset":
            new = new.removeprefix(self._shown)
        self._shown += new
        return new + self._ending(data["error"]) if event.event == "done" and data.get("error") else new
