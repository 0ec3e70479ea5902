"""Deleted conversations: hidden at once from everyone, kept for a while to be brought back, then gone for good.

What is hidden is not there for `Conversations`. Answers of it that still run end as any other, in the database too.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from answers.conversations import OWNED, Conversation, found
from answers.database import Database
from answers.prepared import Prepared
from answers.tables import VISIBLE, conversations
from answers.tree import now_us

_AT_ONCE = 10  # conversations of any length, while all else waits for SQLite

_HIDE = Prepared(update(conversations).where(OWNED, VISIBLE).returning(*conversations.c), "deleted_us")
_SHOW = Prepared(
    update(conversations)
    .where(OWNED, conversations.c.deleted_us > bindparam("since"))
    .values(deleted_us=None)
    .returning(*conversations.c)
)
_TOO_LONG = conversations.c.deleted_us <= bindparam("since")
_OLDEST = select(conversations.c.id).where(_TOO_LONG).order_by(conversations.c.deleted_us).limit(_AT_ONCE)
# The time is compared again: PostgreSQL may have waited for somebody who has just brought one of them back.
_PURGE = Prepared(delete(conversations).where(conversations.c.id.in_(_OLDEST), _TOO_LONG).returning(conversations.c.id))


class Hidden:
    """Hide conversations and bring them back, each for `undo_s` seconds. All raise DatabaseError."""

    def __init__(self, database: Database, undo_s: float) -> None:
        self._database = database
        self._undo_us = round(undo_s * 1_000_000)

    def hide(self, user: str, conversation: str) -> None:
        """Hide a conversation. Raises NotFound if it is not there or another user's."""
        self._database.write(lambda transaction: found(_HIDE, transaction, user, conversation, deleted_us=now_us()))

    def restore(self, user: str, conversation: str) -> Conversation:
        """Bring a hidden conversation back as it was. Raises NotFound if it is not hidden, or was for too long."""
        since = now_us() - self._undo_us
        return self._database.write(lambda transaction: found(_SHOW, transaction, user, conversation, since=since))

    def purge(self) -> bool:
        """Delete for good some of what was hidden for too long, the oldest first; say if there may be more."""
        since = now_us() - self._undo_us
        return len(self._database.write(lambda transaction: _PURGE.run(transaction, since=since))) == _AT_ONCE
