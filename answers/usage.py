"""What users have asked for, by day of UTC, token and model: requests, and the tokens read and written for them.

An answer is counted in the transaction that settles it, so that it is counted once whatever becomes of its workers. The
tokens are those that the model server counted, else estimated from the texts, and then the request is marked so.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, insert, select, tuple_, update

from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.tables import usage
from relay.chat import clean
from relay.errors import DatabaseError
from relay.loop import Lock, spawn
from relay.tally import tokens_in

log = logging.getLogger(__name__)

NAMES = ("day", "user", "model", "token")  # by what the numbers can be grouped

CARRY_S = 1.0
_AT_ONCE = 1000  # rows of any size, while all else waits for SQLite
_MOST_KEPT = 10_000  # names, while the database is away
_NAME_CHARS = 200  # of a model; longer ones are cut

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


_Name = tuple[str, ...]  # the values of NAMES
_Sums = tuple[int, ...]  # the values of _NUMBERS


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
    """Add up what is asked for, and tell of it; what reads and writes the database raises DatabaseError."""

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep = timedelta(days=keep_days)
        self._new: dict[_Name, _Sums] = {}
        self._lock = Lock()
        self._writing = threading.Lock()
        self._carrying = False

    def record(self, user: str, token: str, model: str, spent: Spent) -> None:
        """Count one request that is no answer, and what it has cost: here at once, in the database within a second.

        A transaction for each took a fourteenth of a short request's time. Raises nothing; what has no room is lost.
        """
        with self._lock:
            if not self._sum_up(_named(user, token, model), _sums(spent)):
                log.warning("a request is not counted: too many are kept already")
            begin, self._carrying = not self._carrying, True
        if begin:
            spawn(self._carry_again_and_again)

    def carry(self) -> None:
        """Write into the database what was counted here; what it does not take is kept."""
        with self._writing:  # who asks for the rows gets those too that are just being written
            while some := self._take():
                try:
                    self._database.write(partial(_add_all, some))
                except DatabaseError:  # it is away; what else goes wrong would go wrong each time
                    with self._lock:
                        for name, sums in some.items():
                            self._sum_up(name, sums)
                    raise

    def close(self) -> None:
        """Write what was counted last; what the database does not take then is lost."""
        try:
            self.carry()
        except DatabaseError as error:
            log.error("what was asked for last is not counted: %s", error)

    def rows(self, first: date, last: date, names: tuple[str, ...], most: int, user: str | None = None) -> list[Row]:
        """Add the days from `first` to `last` up under each of some names: by day, or those that took most first.

        Of one user's, or of all. At most `most` rows. What other workers have counted is a second old.
        """
        self.carry()
        query = self._between(first, last, user, names).limit(most)
        found = self._database.query(lambda connection: connection.execute(query).all())
        return [Row(tuple(row[: len(names)]), *map(int, row[len(names) :])) for row in found]

    def purge(self) -> bool:
        """Delete some of what is older than it is kept; say if there may be more."""
        since = (today() - self._keep).isoformat()
        return len(self._database.write(lambda transaction: _PURGE.run(transaction, since=since))) == _AT_ONCE

    def _sum_up(self, name: _Name, sums: _Sums) -> bool:
        known = self._new.get(name)
        if known is None and len(self._new) >= _MOST_KEPT:
            return False
        self._new[name] = tuple(map(add, known, sums)) if known else sums
        return True

    def _take(self) -> dict[_Name, _Sums]:
        with self._lock:
            return {name: self._new.pop(name) for name in [*islice(self._new, _AT_ONCE)]}

    def _carry_again_and_again(self) -> None:
        """Carry until there is nothing more."""
        pause = threading.Event()
        while self._carrying:
            pause.wait(CARRY_S)
            try:
                self.carry()
            except DatabaseError as error:
                log.warning("what was asked for is not written down yet: %s", error)
            except Exception:
                log.exception("what was asked for in the last second is not counted")
            with self._lock:
                self._carrying = bool(self._new)

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
    _add_all({_named(user, token, model): _sums(spent)}, transaction)


def _named(user: str, token: str, model: str) -> _Name:
    return today().isoformat(), user, clean(model)[:_NAME_CHARS], token  # a caller may say any name


def _sums(spent: Spent) -> _Sums:
    return 1, spent.prompt, spent.completion, int(spent.estimated)


def _add_all(sums: dict[_Name, _Sums], transaction: Transaction) -> None:
    for name, numbers in sums.items():
        _add(transaction, dict(zip(NAMES, name, strict=True)), dict(zip(_NUMBERS, numbers, strict=True)))


def _add(transaction: Transaction, key: dict[str, Any], more: dict[str, int]) -> None:
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
