"""The answers in the database: begun once whoever asks how often, settled once, taken up again.

Every method is one short transaction and returns plain values; no connection outlives the call. Each raises
DatabaseError when the database cannot, and NotFound for an id that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from answers.conversations import Conversations
from answers.database import Database

ROOT = ""  # as a parent: the prompt begins the conversation anew


@dataclass(frozen=True)
class AnswerRow:
    """Hold one answer as it stands in the database."""

    id: str
    user: str
    conversation: str
    parent: str  # the id of the prompt's message
    model: str
    state: str  # running, complete, stopped, interrupted, failed
    content: str
    reasoning: str
    finish_reason: str | None
    usage: dict[str, Any] | None
    chars: int
    sha256: str
    ttft_ms: int | None
    tokens_per_s: float | None
    close_ms: int | None
    adoptions: int
    error: str | None  # its code


class Outcome(TypedDict, total=False):
    """What settle() writes; what is absent stays as it is."""

    content: str
    reasoning: str
    finish_reason: str | None
    usage: dict[str, Any] | None
    chars: int
    sha256: str
    ttft_ms: int | None
    tokens_per_s: float | None
    close_ms: int | None
    error: str | None


class Store:
    """Keep answers and, in `conversations`, what they belong to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.conversations = Conversations(database)

    def begin(
        self,
        user: str,
        prompt: str,
        model: str,
        conversation: str | None = None,
        parent: str | None = None,
        answer: str | None = None,
    ) -> tuple[AnswerRow, bool]:
        """Begin an answer, once for each id `answer` (a UUID); say if it was this call that began it.

        Without a conversation a new one is made, without a parent the prompt follows the conversation's newest message.
        A prompt that stands below the named parent already gets one more answer. Raises NotFound if the conversation or
        the parent is not this user's, Conflict if the answer is another user's or to another prompt.
        """
        raise NotImplementedError

    def answer(self, answer: str) -> AnswerRow | None:
        """Look an answer up."""
        raise NotImplementedError

    def history(self, answer: str) -> list[dict[str, str]]:
        """List what the model is to read, from the conversation's beginning to the answer's prompt."""
        raise NotImplementedError

    def running_answers(self, conversation: str) -> list[str]:
        """List the ids of a conversation's answers that still run."""
        raise NotImplementedError

    def settle(self, answer: str, state: str, **outcome: Unpack[Outcome]) -> AnswerRow:
        """End a running answer, and return what holds: of several that settle it, the first one's."""
        raise NotImplementedError

    def reopen(self, answer: str) -> AnswerRow:
        """Let an answer that was stopped, interrupted or failed run again; raises Conflict for any other."""
        raise NotImplementedError

    def adopted(self, answer: str) -> int:
        """Count one more adoption of an answer, and return how many it has had."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise DatabaseError if the database does not answer, or has not the tables that this code needs."""
        raise NotImplementedError
