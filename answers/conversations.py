"""The conversations of each user: listed, searched, read whole, renamed, deleted.

Every method is one short transaction and returns plain values; no connection outlives the call. Each raises
DatabaseError when the database cannot, and NotFound for a conversation that is not there or another user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from answers.database import Database


@dataclass(frozen=True)
class Conversation:
    """Hold one conversation without its messages."""

    id: str
    user: str
    title: str
    created_us: int
    changed_us: int


@dataclass(frozen=True)
class Page:
    """Hold one page of a list; `before` asks for the next, None says that there is none."""

    conversations: list[Conversation]
    before: str | None


class Conversations:
    """Keep the conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_(self, user: str, q: str = "", before: str | None = None, limit: int = 50) -> Page:
        """List a user's conversations, the last changed first; `q` must stand in a title or a text.

        Raises ValueError for a cursor `before` that no page gave.
        """
        raise NotImplementedError

    def create(self, user: str, title: str = "") -> Conversation:
        """Make an empty conversation; without a title it gets that of its first prompt."""
        raise NotImplementedError

    def get(self, user: str, conversation: str) -> tuple[Conversation, list[dict[str, Any]]]:
        """Return a conversation and all its messages, oldest first; `parent` makes them a tree."""
        raise NotImplementedError

    def rename(self, user: str, conversation: str, title: str) -> Conversation:
        """Give a conversation another title."""
        raise NotImplementedError

    def delete(self, user: str, conversation: str) -> None:
        """Delete a conversation and its messages."""
        raise NotImplementedError
