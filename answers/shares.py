"""Links by which anyone may read a conversation up to one answer, until its owner revokes the link.

A conversation has one link at most, and what is hidden has none while it is. A token is 128 bits from the system's
source of randomness: whoever does not know one cannot find one.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from sqlalchemy import bindparam, select, update

from answers.branches import Message, upto
from answers.conversations import MINE, Conversation, found, messages_of
from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.tables import VISIBLE, conversations, messages
from answers.tree import is_id
from relay.errors import Conflict, NotFound

_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")

_LOCK = Prepared(select(conversations).where(MINE).with_for_update())
_ANSWER = (messages.c.conversation == bindparam("conversation")) & (messages.c.role == "assistant")
_NEWEST = Prepared(select(messages.c.id).where(_ANSWER).order_by(messages.c.position.desc()).limit(1))
_NAMED = Prepared(select(messages.c.id).where(_ANSWER, messages.c.id == bindparam("leaf")))
_SET = Prepared(update(conversations).where(MINE).returning(*conversations.c), "shared", "shared_leaf")
_FIND = Prepared(select(conversations).where(conversations.c.shared == bindparam("token"), VISIBLE))


class Shares:
    """Make, revoke and follow links. All raise DatabaseError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def share(self, user: str, conversation: str, leaf: str | None = None) -> Conversation:
        """Give a conversation a link that shows it up to the answer `leaf`, or to the newest.

        The link to the same answer stays as it is; one to another answer replaces it. Raises NotFound for what is not
        there or another user's, and Conflict if there is no answer yet.
        """

        def work(transaction: Transaction) -> Conversation:
            now = found(_LOCK, transaction, user, conversation)
            upto_here = _leaf(transaction, conversation, leaf)
            if now.shared and now.shared_leaf == upto_here:
                return now
            values = {"shared": secrets.token_urlsafe(_BYTES), "shared_leaf": upto_here}
            return found(_SET, transaction, user, conversation, **values)

        return self._database.write(work)

    def revoke(self, user: str, conversation: str) -> Conversation:
        """Let the link of a conversation lead nowhere, if it has one. Raises NotFound."""
        nothing: dict[str, Any] = {"shared": None, "shared_leaf": None}
        return self._database.write(lambda transaction: found(_SET, transaction, user, conversation, **nothing))

    def follow(self, token: str) -> tuple[Conversation, list[Message]]:
        """Return what a link shows: the conversation, and the messages up to its answer. Raises NotFound."""

        def work(transaction: Transaction) -> tuple[Conversation, list[Message]]:
            row = _FIND.first(transaction, token=token) if _TOKEN.fullmatch(token) else None
            if row is None:
                raise NotFound("no such link")
            here = Conversation(*row)
            return here, upto(messages_of(transaction, here.id), here.shared_leaf or "")

        return self._database.read(work)


def _leaf(transaction: Transaction, conversation: str, leaf: str | None) -> str:
    if leaf is None:
        newest = _NEWEST.first(transaction, conversation=conversation)
        if newest is None:
            raise Conflict("There is no answer to share yet.")
        return str(newest[0])
    if not is_id(leaf) or not _NAMED.run(transaction, conversation=conversation, leaf=leaf):
        raise NotFound(f"no answer {leaf!r} in the conversation")
    return leaf
