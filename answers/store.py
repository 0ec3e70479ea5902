"""The answers in the database: begun once whoever asks how often, settled once, taken up again.

Every method is one short transaction and returns plain values; no connection outlives the call. Each raises
DatabaseError when the database cannot, and NotFound for an id that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, bindparam, func, insert, inspect, select, text, update

from answers.conversations import Conversations, new_conversation
from answers.database import Database
from answers.tables import RUNNING, SCHEMA, conversations, messages
from answers.tree import Asked, alternating, append, branch, is_id, new_id, title_of, touch
from relay.chat import clean
from relay.errors import Conflict, NotFound, NotMigrated

_SETTLED_EARLY = ("stopped", "interrupted", "failed")


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


# Made once: putting a statement of so many columns together takes longer than running it.
_FIND = (
    select(*(conversations.c.user if f.name == "user" else messages.c[f.name] for f in fields(AnswerRow)))
    .join_from(messages, conversations)
    .where(messages.c.id == bindparam("answer"), messages.c.role == "assistant")
)
# The conversation's row, as whoever adds to it or deletes it locks that one first too; SQLite needs no lock.
_FIND_AND_LOCK = _FIND.with_for_update(of=conversations)


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
        """Begin an answer, once for each id `answer`; say if it was this call that began it.

        Without a conversation a new one is made, without a parent the prompt follows the conversation's newest message.
        A prompt that stands below the named parent already gets one more answer. Raises NotFound if the conversation or
        the parent is not this user's, Conflict if the answer is another user's or to another prompt, and ValueError for
        an answer that is no UUID in lower case.
        """
        if answer is not None and not is_id(answer):
            raise ValueError(f"no UUID in lower case: {answer[:100]!r}")
        asked = Asked(user, clean(prompt), clean(model), conversation, parent, answer or new_id())
        return self._database.write(lambda connection: _begin(connection, asked))

    def answer(self, answer: str) -> AnswerRow | None:
        """Look an answer up."""
        return self._database.read(lambda connection: _find(connection, answer))

    def history(self, answer: str) -> list[dict[str, str]]:
        """List what the model is to read, from the conversation's beginning to the answer's prompt.

        An answer without a text is left out, and prompts that then follow each other become one: many models refuse two
        messages of the same role in a row.
        """
        columns = (messages.c.id, messages.c.parent, messages.c.role, messages.c.content)

        def work(connection: Connection) -> list[dict[str, str]]:
            row = _get(connection, answer)
            query = select(*columns).where(messages.c.conversation == row.conversation)
            rows = [found._asdict() for found in connection.execute(query)]
            return alternating(branch(rows, row.parent))

        return self._database.read(work)

    def running(self, user: str) -> int:
        """Count a user's answers that still run."""
        owned = messages.join(conversations, messages.c.conversation == conversations.c.id)
        query = select(func.count()).select_from(owned)
        query = query.where(conversations.c.user == user, RUNNING)
        return int(self._database.read(lambda connection: connection.scalar(query)) or 0)

    def unfinished(self, limit: int) -> list[str]:
        """List the ids of answers that still run, the oldest first."""
        query = select(messages.c.id).where(messages.c.state == "running").order_by(messages.c.created_us).limit(limit)
        return list(self._database.read(lambda connection: connection.scalars(query).all()))

    def running_answers(self, conversation: str) -> list[str]:
        """List the ids of a conversation's answers that still run."""
        if not is_id(conversation):
            return []
        query = select(messages.c.id).where(messages.c.conversation == conversation, RUNNING)
        return list(self._database.read(lambda connection: connection.scalars(query).all()))

    def settle(self, answer: str, state: str, **outcome: Unpack[Outcome]) -> AnswerRow:
        """End a running answer, and return what holds: of several that settle it, the first one's."""
        values = {name: clean(value) if isinstance(value, str) else value for name, value in outcome.items()}
        return self._turn(answer, ("running",), {**values, "state": state})[0]

    def reopen(self, answer: str) -> AnswerRow:
        """Let an answer that was stopped, interrupted or failed run again; raises Conflict for any other."""
        values = {"state": "running", "finish_reason": None, "error": None, "close_ms": None, "adoptions": 0}
        row, done = self._turn(answer, _SETTLED_EARLY, values)
        if not done:
            raise Conflict(f"This answer is {row.state}; there is nothing to continue.")
        return row

    def adopted(self, answer: str) -> int:
        """Count one more adoption of an answer, and return how many it has had."""
        counted = update(messages).where(messages.c.id == answer).values(adoptions=messages.c.adoptions + 1)
        with_result = counted.returning(messages.c.adoptions)
        count = self._database.write(lambda connection: connection.scalar(with_result)) if is_id(answer) else None
        if count is None:
            raise NotFound(f"no answer {answer!r}")
        return int(count)

    def check(self) -> None:
        """Raise DatabaseError if the database does not answer, NotMigrated if its tables are not this code's."""
        found = self._database.read(_schema)
        if found != SCHEMA:
            raise NotMigrated(f"the database has the schema {found}, this code needs {SCHEMA}")

    def close(self) -> None:
        """Close the connections of this process; the next call opens one again."""
        self._database.close()

    def _turn(self, answer: str, states: tuple[str, ...], values: dict[str, Any]) -> tuple[AnswerRow, bool]:
        """Change an answer that is in one of these states; return how it stands now, and if it was changed."""

        def work(connection: Connection) -> tuple[AnswerRow, bool]:
            row = _get(connection, answer, lock=True)
            # Compared here and not before: PostgreSQL has read the message as it was before the wait for the lock.
            mine = (messages.c.id == answer) & messages.c.state.in_(states)
            changed = connection.execute(update(messages).where(mine).values(values)).rowcount > 0
            if changed:
                touch(connection, row.user, row.conversation)
            return _get(connection, answer), changed

        return self._database.write(work)


def _begin(connection: Connection, asked: Asked) -> tuple[AnswerRow, bool]:
    found = _find(connection, asked.answer)
    if found is not None:
        if found.user != asked.user or _text(connection, found.parent) != asked.prompt:
            raise Conflict("This answer id belongs to another prompt.")
        return found, False
    conversation = asked.conversation or _new_conversation(connection, asked.user)
    touch(connection, asked.user, conversation, title_of(asked.prompt))
    append(connection, asked, conversation)
    return _get(connection, asked.answer), True


def _new_conversation(connection: Connection, user: str) -> str:
    row = new_conversation(user, "")
    connection.execute(insert(conversations).values(vars(row)))
    return row.id


def _find(connection: Connection, answer: str, lock: bool = False) -> AnswerRow | None:
    if not is_id(answer):
        return None
    row = connection.execute(_FIND_AND_LOCK if lock else _FIND, {"answer": answer}).first()
    return AnswerRow(*row) if row else None


def _get(connection: Connection, answer: str, lock: bool = False) -> AnswerRow:
    row = _find(connection, answer, lock)
    if row is None:
        raise NotFound(f"no answer {answer!r}")
    return row


def _text(connection: Connection, message: str) -> str | None:
    return connection.scalar(select(messages.c.content).where(messages.c.id == message))


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version
