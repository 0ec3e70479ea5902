"""The conversations of each user: listed, searched, read whole, changed. What is hidden (hidden.py) is not there.

Every method is one short transaction and returns plain values; no connection outlives the call. Each raises
DatabaseError when the database cannot, and NotFound for a conversation that is not there or another user's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypedDict, Unpack

from sqlalchemy import Select, bindparam, case, insert, not_, select, tuple_, update

from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.search import Place, look_through, mentions
from answers.tables import PINNED, VISIBLE, conversations, messages
from answers.tree import ID, is_id, new_id, now_us
from relay.chat import clean
from relay.errors import NotFound

MAX_TITLE_CHARS = 200
MAX_SYSTEM_CHARS = 20_000
PAGE = 50

_CURSOR = re.compile(rf"([0-9]{{1,18}})-({ID.pattern})")
_OF_EVERY_MESSAGE = ("id", "parent", "role", "content", "created_us")
_OF_AN_ANSWER = (
    "model",
    "state",
    "reasoning",
    "finish_reason",
    "usage",
    "chars",
    "sha256",
    "ttft_ms",
    "tokens_per_s",
    "error",
)


@dataclass(frozen=True)
class Conversation:
    """Hold one conversation without its messages."""

    id: str
    user: str
    title: str
    created_us: int
    changed_us: int
    pinned_us: int | None = None
    deleted_us: int | None = None
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    shared: str | None = None
    shared_leaf: str | None = None


class Given(TypedDict, total=False):
    """What a user may say of a conversation beside its title: if it is pinned, and how its model is asked."""

    pinned: bool
    system: str
    temperature: float | None
    max_tokens: int | None


class Changes(Given, total=False):
    """What a user may change of a conversation."""

    title: str


@dataclass(frozen=True)
class Page:
    """Hold one page of a list; `before` asks for the next, None says that there is none."""

    conversations: list[Conversation]
    before: str | None


class Conversations:
    """Keep the conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_(
        self, user: str, q: str = "", before: str | None = None, limit: int = PAGE, pinned: bool | None = None
    ) -> Page:
        """List a user's conversations, the last changed first; `q` must stand in a title or a text.

        With `pinned` those alone that are, or are not. Raises ValueError for a cursor `before` that no page gave.
        """
        query = select(conversations).where(conversations.c.user == user, VISIBLE)
        if pinned is not None:
            query = query.where(PINNED if pinned else not_(PINNED))
        after = None if before is None else _position(before)
        if q := clean(q):
            read = partial(self._rows, query.add_columns(mentions(q, self._database.is_sqlite)))
            rows = look_through(read, after, limit + 1)
        else:
            rows = self._rows(query, after, limit + 1)
        listed = [Conversation(*row) for row in rows[:limit]]
        return Page(listed, f"{listed[-1].changed_us}-{listed[-1].id}" if len(rows) > limit else None)

    def create(self, user: str, title: str = "", **given: Unpack[Given]) -> Conversation:
        """Make an empty conversation; without a title it gets that of its first prompt."""
        values = columns_of(given)
        return self._database.write(lambda transaction: create(transaction, user, clean(title), **values))

    def find(self, user: str, conversation: str) -> Conversation:
        """Return a conversation without its messages."""
        return self._database.read(lambda transaction: found(_FIND, transaction, user, conversation))

    def get(self, user: str, conversation: str) -> tuple[Conversation, list[dict[str, Any]]]:
        """Return a conversation and all its messages, oldest first; `parent` makes them a tree.

        What only answers have is absent from a prompt. The text of a running answer stands in the journal.
        """

        def work(transaction: Transaction) -> tuple[Conversation, list[dict[str, Any]]]:
            here = found(_FIND, transaction, user, conversation)
            return here, messages_of(transaction, conversation)

        return self._database.read(work)

    def change(self, user: str, conversation: str, **changes: Unpack[Changes]) -> Conversation:
        """Change what is given; only a new title counts as a change of the conversation itself."""
        values = columns_of(changes) | ({"changed_us": now_us()} if "title" in changes else {})
        statement = _changing(tuple(values))
        return self._database.write(lambda transaction: found(statement, transaction, user, conversation, **values))

    def _rows(self, query: Select[Any], after: Place | None, limit: int) -> list[Any]:
        place = (conversations.c.changed_us, conversations.c.id)
        if after is not None:
            query = query.where(tuple_(*place) < tuple_(*after))
        query = query.order_by(*(column.desc() for column in place)).limit(limit)
        return list(self._database.query(lambda connection: connection.execute(query).all()))


OWNED = (conversations.c.id == bindparam("conversation")) & (conversations.c.user == bindparam("owner"))
MINE = OWNED & VISIBLE
_NAMED = case((conversations.c.title == "", bindparam("named")), else_=conversations.c.title)
_FIND = Prepared(select(conversations).where(MINE))
_MESSAGES = Prepared(
    select(messages).where(messages.c.conversation == bindparam("conversation")).order_by(messages.c.position)
)
_CREATE = Prepared(insert(conversations), *conversations.c.keys())
_TOUCH = Prepared(update(conversations).where(MINE).values(title=_NAMED).returning(*conversations.c), "changed_us")


def create(transaction: Transaction, user: str, title: str, **values: Any) -> Conversation:
    """Make an empty conversation."""
    now = now_us()
    row = Conversation(new_id(), user, title, **{"created_us": now, "changed_us": now, **values})
    _CREATE.run(transaction, **vars(row))
    return row


def touch(transaction: Transaction, user: str, conversation: str, title: str) -> Conversation:
    """Note that a conversation changes, which locks it until the commit; one without a title gets this one."""
    return found(_TOUCH, transaction, user, conversation, changed_us=now_us(), named=title)


def found(statement: Prepared, transaction: Transaction, user: str, conversation: str, **values: Any) -> Conversation:
    """Run what finds, changes or deletes a conversation, and return it."""
    known = is_id(conversation)
    row = statement.first(transaction, conversation=conversation, owner=user, **values) if known else None
    if row is None:
        raise NotFound(f"no conversation {conversation!r}")
    return Conversation(*row)


def messages_of(transaction: Transaction, conversation: str) -> list[dict[str, Any]]:
    """List all messages of a conversation, oldest first."""
    return [_message(row) for row in _MESSAGES.run(transaction, conversation=conversation)]


def columns_of(changes: Given | Changes) -> dict[str, Any]:
    """Say which columns hold what a user says of a conversation."""
    values = {name: clean(value) if isinstance(value, str) else value for name, value in changes.items()}
    if "pinned" in values:
        values["pinned_us"] = now_us() if values.pop("pinned") else None
    return values


@cache
def _changing(columns: tuple[str, ...]) -> Prepared:
    return Prepared(update(conversations).where(MINE).returning(*conversations.c), *columns)


def _position(cursor: str) -> Place:
    read = _CURSOR.fullmatch(cursor)
    if read is None:
        raise ValueError(f"no cursor: {cursor[:100]!r}")
    return int(read[1]), read[2]


def _message(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(messages.c.keys(), values, strict=True))
    if row["role"] == "assistant":
        return {name: row[name] for name in (*_OF_EVERY_MESSAGE, *_OF_AN_ANSWER)}
    return {**{name: row[name] for name in _OF_EVERY_MESSAGE}, "files": row["files"] or []}
