"""What users have asked for, by day of UTC, token and model: requests, and the tokens read and written for them.

An answer is counted in the transaction that settles it, so that it is counted once whatever becomes of its workers. The
tokens are those that the model server counted, else estimated from the texts, and then the request is marked so.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, insert, select, tuple_, update

from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.tables import usage
from relay.tally import tokens_in

NAMES = ("day", "user", "model", "token")  # by what the numbers can be grouped

_AT_ONCE = 1000  # rows of any size, while all else waits for SQLite

_NUMBERS = ("requests", "prompt_tokens", "completion_tokens", "estimated")
_MINE = [usage.c[name] == bindparam(f"its_{name}") for name in NAMES]
_ADD = Prepared(
    update(usage)
    .where(*_MINE)
    .values({name: usage.c[name] + bindparam(f"more_{name}") for name in _NUMBERS})
    .returning(usage.c.requests)
)
_BEGIN = Prepared(insert(usage), *usage.c.keys())
_KEY = tuple_(*(usage.c[name] for name in NAMES))
_OLD = select(*(usage.c[name] for name in NAMES)).where(usage.c.day < bindparam("since")).limit(_AT_ONCE)
_PURGE = Prepared(delete(usage).where(_KEY.in_(_OLD)).returning(usage.c.day))


class Spent(NamedTuple):
    """The tokens of one request. An estimated one counts as its prompt only what is kept of the answer itself."""

    prompt: int
    completion: int
    estimated: bool = False


NOT_COUNTED = Spent(0, 0, estimated=True)


class Row(NamedTuple):
    """What was asked for under one name; `estimated` counts the requests whose tokens are."""

    name: tuple[str, ...]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    estimated: int

    @property
    def tokens(self) -> int:
        """All tokens, read and written."""
        return self.prompt_tokens + self.completion_tokens


class Usage:
    """Add up what is asked for, and tell of it. All methods raise DatabaseError."""

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep = timedelta(days=keep_days)

    def record(self, user: str, token: str, model: str, spent: Spent) -> None:
        """Count one request that is no answer, and what it has cost."""
        self._database.write(lambda transaction: count(transaction, user, token, model, spent))

    def rows(self, first: date, last: date, names: tuple[str, ...], most: int, user: str | None = None) -> list[Row]:
        """Add the days from `first` to `last` up under each of some names: by day, or those that took most first.

        Of one user's, or of all. At most `most` rows.
        """
        query = self._between(first, last, user, names).limit(most)
        found = self._database.query(lambda connection: connection.execute(query).all())
        return [Row(tuple(row[: len(names)]), *map(int, row[len(names) :])) for row in found]

    def purge(self) -> bool:
        """Delete some of what is older than it is kept; say if there may be more."""
        since = (today() - self._keep).isoformat()
        return len(self._database.write(lambda transaction: _PURGE.run(transaction, since=since))) == _AT_ONCE

    def _between(self, first: date, last: date, user: str | None, names: tuple[str, ...]) -> Select[Any]:
        named = [usage.c[name] for name in names]
        sums = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in _NUMBERS]
        query = select(*named, *sums).where(usage.c.day.between(first.isoformat(), last.isoformat())).group_by(*named)
        if user is not None:
            query = query.where(usage.c.user == user)
        tokens = func.sum(usage.c.prompt_tokens + usage.c.completion_tokens)
        return query.order_by(*(named if names[:1] == ("day",) else [tokens.desc(), *named]))


def count(transaction: Transaction, user: str, token: str, model: str, spent: Spent) -> None:
    """Add one request to its row of today."""
    key = dict(zip(NAMES, (today().isoformat(), user, model, token), strict=True))
    more = dict(zip(_NUMBERS, (1, spent.prompt, spent.completion, int(spent.estimated)), strict=True))
    named = {f"its_{name}": value for name, value in key.items()} | {f"more_{k}": v for k, v in more.items()}
    if not _ADD.run(transaction, **named):
        _BEGIN.run(transaction, **key, **more)  # who was faster violates a constraint here, and it is all done again


def counted(said: dict[str, Any] | None) -> Spent | None:
    """Read the count of a model server, if it is one."""
    read, written = (tokens_in((said or {}).get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return None if read is None or written is None else Spent(read, written)


def today() -> date:
    """Tell the day of UTC."""
    return datetime.now(UTC).date()
