"""What is kept of an answer: the journal's events, or the database's text where the journal has lost some of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import orjson

from answers.answer import Answer, stream_of
from answers.entries import Entry
from answers.journal import Journal, read_all
from answers.store import AnswerRow, Store
from relay.sse import encode


def take_up(journal: Journal, row: AnswerRow) -> Answer:
    """Make the answer that goes on behind all that the journal ever had of it; its lease must be held."""
    answer, is_whole = _restored(row, read_all(journal, stream_of(row.id)))
    if not is_whole:
        answer = in_database(row)
        answer.seq, answer.is_lost = journal.bounds(stream_of(row.id))[1], True
    answer.before = len(row.content), len(row.reasoning)  # the database has the text as of the end before this run
    return answer


def so_far(journal: Journal, store: Store, row: AnswerRow, upto: int | None = None) -> Answer:
    """Make what an answer says, up to a seq if one is given."""
    entries = read_all(journal, stream_of(row.id))
    answer, is_whole = _restored(row, [entry for entry in entries if upto is None or entry.seq <= upto])
    if is_whole:
        return answer
    row = store.answer(row.id) or row
    # Who gets this text gets what the journal still has behind it, too.
    later, _ = _restored(row, [entry for entry in entries if upto is not None and entry.seq > upto])
    content, reasoning = row.content.removesuffix(later.content), row.reasoning.removesuffix(later.reasoning)
    return in_database(replace(row, content=content, reasoning=reasoning))


def in_database(row: AnswerRow) -> Answer:
    """Make an answer of what the database keeps."""
    block = encode(orjson.dumps({"content": row.content, "reasoning": row.reasoning}).decode(), "reset")
    return _restored(row, [Entry(stream_of(row.id), 0, block)])[0]


def note_end(answer: Answer, row: AnswerRow) -> None:
    """Let an answer tell of its end what the database keeps of it, and no event before the last says."""
    answer.finish_reason, answer.usage, answer.ttft_ms = row.finish_reason, row.usage, row.ttft_ms


def _restored(row: AnswerRow, entries: Iterable[Entry]) -> tuple[Answer, bool]:
    answer = Answer(row.id, row.conversation, row.model)
    return answer, answer.restore(entries)
