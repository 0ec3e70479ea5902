"""The answers in the database: begun once whoever asks how often, settled once, taken up again.

Every method is one short transaction and returns plain values; no connection outlives the call. Each raises
DatabaseError when the database cannot, and NotFound for an id that is not there.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, Unpack

from sqlalchemy import Connection, bindparam, func, inspect, or_, select, text, update

from answers.conversations import Conversation, Conversations, create, touch
from answers.database import Database
from answers.files import claim
from answers.history import History, history_of, tokens_of
from answers.prepared import Prepared, Transaction
from answers.quotas import Charge, settle
from answers.rows import AnswerRow, Outcome
from answers.tables import RUNNING, SCHEMA, conversations, messages
from answers.tree import NEW_ANSWER, Asked, append, ids_of, is_id, new_id, now_us, title_of
from answers.usage import NOT_COUNTED, Spent, count
from relay.attachments import estimate
from relay.chat import clean
from relay.errors import Conflict, NotFound, NotMigrated

__all__ = ["AnswerRow", "Outcome", "Store"]

_EARLY = ("stopped", "interrupted", "failed")
_OWN = [messages.c[field.name] for field in fields(AnswerRow) if field.name != "within"]
_FIND = Prepared(
    select(*conversations.c, *_OWN)
    .join_from(messages, conversations)
    .where(messages.c.id == bindparam("answer"), messages.c.role == "assistant")
)
_ADOPT = Prepared(
    update(messages)
    .where(messages.c.id == bindparam("answer"))
    .values(adoptions=messages.c.adoptions + 1)
    .returning(messages.c.adoptions)
)
_PROMPT = Prepared(select(messages.c.content, messages.c.files).where(messages.c.id == bindparam("message")))


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
        files: tuple[str, ...] = (),
        token: str = "",
        charged: Charge | None = None,
    ) -> tuple[AnswerRow, bool]:
        """Begin an answer, once for each id `answer`; say if it was this call that began it.

        Without a conversation a new one is made, without a parent the prompt follows the conversation's newest message.
        A prompt that stands below the named parent already, with the same files, gets one more answer. Raises NotFound
        if the conversation or the parent is not this user's, FileGone if a file is not, Conflict if the answer is
        another user's or to another prompt, and ValueError for an answer that is no UUID in lower case.
        """
        if answer is not None and not is_id(answer):
            raise ValueError(f"no UUID in lower case: {answer[:100]!r}")
        asked = Asked(
            user, clean(prompt), clean(model), conversation, parent, answer or new_id(), files, token, charged
        )
        return self._database.write(lambda transaction: _begin(transaction, asked))

    def answer(self, answer: str) -> AnswerRow | None:
        """Look an answer up."""
        return self._database.read(lambda transaction: _find(transaction, answer))

    def history(self, answer: str, images: bool = False) -> History:
        """List what the model is to read for an answer; `images` says if it takes any."""

        def work(transaction: Transaction) -> History:
            row = _get(transaction, answer)
            return history_of(transaction, row.conversation, row.parent, images)

        return self._database.read(work)

    def running(self, user: str) -> int:
        """Count a user's answers that still run."""
        owned = messages.join(conversations, messages.c.conversation == conversations.c.id)
        query = select(func.count()).select_from(owned)
        query = query.where(conversations.c.user == user, RUNNING)
        return int(self._database.query(lambda connection: connection.scalar(query)) or 0)

    def unfinished(self, limit: int) -> list[str]:
        """List the ids of answers that still run, the oldest first."""
        query = select(messages.c.id).where(messages.c.state == "running").order_by(messages.c.created_us).limit(limit)
        return list(self._database.query(lambda connection: connection.scalars(query).all()))

    def running_answers(self, conversation: str) -> list[str]:
        """List the ids of a conversation's answers that still run."""
        if not is_id(conversation):
            return []
        query = select(messages.c.id).where(messages.c.conversation == conversation, RUNNING)
        return list(self._database.query(lambda connection: connection.scalars(query).all()))

    def settle(self, answer: str, state: str, spent: Spent = NOT_COUNTED, **outcome: Unpack[Outcome]) -> AnswerRow:
        """End a running answer and count what it has cost; return what holds: of several that end it, the first's."""
        values = {name: clean(value) if isinstance(value, str) else value for name, value in outcome.items()}
        return self._turn(answer, ("running",), {**values, "state": state}, spent)[0]

    def reopen(self, answer: str, token: str = "", charged: Charge | None = None) -> AnswerRow:
        """Let an answer that was stopped, interrupted or failed run again; raises Conflict for any other."""
        values: dict[str, Any] = {
            "state": "running",
            "finish_reason": None,
            "error": None,
            "close_ms": None,
            "adoptions": 0,
        }
        values |= {"token": token, "charged": charged}
        row, done = self._turn(answer, _EARLY, values)
        if not done:
            raise Conflict(f"This answer is {row.state}; there is nothing to continue.")
        return row

    def adopted(self, answer: str) -> int:
        """Count one more adoption of an answer, and return how many it has had."""
        known = is_id(answer)
        counted = self._database.write(lambda transaction: _ADOPT.first(transaction, answer=answer)) if known else None
        if counted is None:
            raise NotFound(f"no answer {answer!r}")
        return int(counted[0])

    def check(self) -> None:
        """Raise DatabaseError if the database does not answer, NotMigrated if its tables are not this code's."""
        found = self._database.query(_schema)
        if found != SCHEMA:
            raise NotMigrated(f"the database has the schema {found}, this code needs {SCHEMA}")

    def close(self) -> None:
        """Close the connections of this process; the next call opens one again."""
        self._database.close()

    def _turn(
        self, answer: str, states: tuple[str, ...], values: dict[str, Any], spent: Spent | None = None
    ) -> tuple[AnswerRow, bool]:
        """Change an answer that is in one of these states; return how it stands now, and if it was changed.

        If it was, what it has cost is counted with the same commit.
        """
        if not is_id(answer):
            raise NotFound(f"no answer {answer!r}")
        lock, change = _turning(states, tuple(values))

        def work(transaction: Transaction) -> tuple[AnswerRow, bool]:
            # The conversation first, as whoever adds to it or deletes it does too; SQLite needs no order.
            within = lock.first(transaction, answer=answer, now=now_us())
            changed = change.first(transaction, answer=answer, **values) if within else None
            if within and changed:
                row = AnswerRow(Conversation(*within), *changed)
                if spent:
                    cost = _with_what_was_read(transaction, row, spent)
                    count(transaction, row.user, row.token, row.model, cost)
                    if row.charged:
                        settle(transaction, row.charged, cost)
                return row, True
            if within:  # PostgreSQL: another one was faster, so the conversation has not changed by this one
                transaction.cursor.execute("ROLLBACK")
            return _get(transaction, answer), False

        return self._database.write(work)


@cache
def _turning(states: tuple[str, ...], columns: tuple[str, ...]) -> tuple[Prepared, Prepared]:
    """Make what touches the conversation of an answer that is in one of these states, and what changes the answer."""
    mine = (messages.c.id == bindparam("answer")) & or_(*(messages.c.state == state for state in states))
    of_mine = conversations.c.id == select(messages.c.conversation).where(mine).scalar_subquery()
    lock = update(conversations).where(of_mine).values(changed_us=bindparam("now")).returning(*conversations.c)
    # The state is compared again: PostgreSQL has read it as it was before the wait for the conversation.
    return Prepared(lock), Prepared(update(messages).where(mine).returning(*_OWN), *columns)


def _begin(transaction: Transaction, asked: Asked) -> tuple[AnswerRow, bool]:
    found = _find(transaction, asked.answer)
    if found is not None:
        prompt, files = _PROMPT.first(transaction, message=found.parent) or ("", None)
        if found.user != asked.user or (prompt, ids_of(files)) != (asked.prompt, asked.files):
            raise Conflict("This answer id belongs to another prompt.")
        return found, False
    if asked.conversation:
        within = touch(transaction, asked.user, asked.conversation, title_of(asked.prompt))
    else:
        within = create(transaction, asked.user, title_of(asked.prompt))
    prompt = append(transaction, asked, within.id, claim(transaction, asked, within.id))
    return AnswerRow(
        within, asked.answer, prompt, asked.model, **NEW_ANSWER, token=asked.token, charged=asked.charged
    ), True


def _find(transaction: Transaction, answer: str) -> AnswerRow | None:
    row = _FIND.first(transaction, answer=answer) if is_id(answer) else None
    within = len(conversations.c)
    return AnswerRow(Conversation(*row[:within]), *row[within:]) if row else None


def _get(transaction: Transaction, answer: str) -> AnswerRow:
    row = _find(transaction, answer)
    if row is None:
        raise NotFound(f"no answer {answer!r}")
    return row


def _with_what_was_read(transaction: Transaction, row: AnswerRow, spent: Spent) -> Spent:
    """Add to an estimate what the model has read, unless it failed before its first word."""
    if not spent.estimated:
        return spent
    if row.state == "failed" and not spent.completion:
        return Spent(0, 0)
    read = tokens_of(transaction, row.conversation, row.parent) + estimate(row.within.system)
    return spent._replace(prompt=spent.prompt + read)


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
