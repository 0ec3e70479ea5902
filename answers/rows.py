"""An answer as the database has it, and what is written of its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from answers.conversations import Conversation


@dataclass(frozen=True)
class AnswerRow:
    """Hold one answer as it stands in the database, and the conversation that it belongs to."""

    within: Conversation
    id: str
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
    token: str  # the public id of the token that it was asked by; empty where none was needed
    charged: dict[str, Any] | None  # what its limits of tokens were charged before it began

    @property
    def user(self) -> str:
        """Whose it is."""
        return self.within.user

    @property
    def conversation(self) -> str:
        """The id of its conversation."""
        return self.within.id


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
