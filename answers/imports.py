"""Conversations that come from elsewhere: written as they are given, all at once, under ids of our own."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import insert

from answers.conversations import Conversation, Given, columns_of, create
from answers.database import Database
from answers.files import add
from answers.prepared import Prepared, Transaction
from answers.tables import messages
from answers.tree import new_id

MAX_MESSAGES = 5000

_ADD = Prepared(insert(messages), *messages.c.keys())


class Document(NamedTuple):
    """Hold a conversation that was read and checked: each message with all its columns, behind the one it follows.

    Their ids only say who follows whom; where they belong is said when they are written. A prompt's `files`
    are Contents.
    """

    title: str
    given: Given
    created_us: int
    messages: list[dict[str, Any]]


class Imports:
    """Take whole conversations in. Raises DatabaseError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, user: str, document: Document) -> Conversation:
        """Make a conversation of a document, as if it had changed now."""
        values = {**columns_of(document.given), "created_us": document.created_us}

        def work(transaction: Transaction) -> Conversation:
            made = create(transaction, user, document.title, **values)
            ids: dict[str | None, str | None] = {None: None}
            for position, row in enumerate(document.messages, 1):
                mine = ids[row["id"]] = new_id()
                shown = [add(transaction, user, each, made.id) for each in row.get("files") or ()]
                place = {"id": mine, "parent": ids[row["parent"]], "conversation": made.id, "position": position}
                _ADD.run(transaction, **{**row, **place, "files": shown or None, "token": "", "charged": None})
            return made

        return self._database.write(work)
