"""What may still be asked for: requests and tokens, by the minute of the clock and the day of UTC.

Counted in the database, since that is what all workers and machines share: SQLite for one machine, PostgreSQL for
several. The `limits` library counts in Redis or in one process alone, and knows no debts: the tokens of an answer are
known at its end, so that a limit of tokens may be overdrawn. What is too much is owed, and paid off by the minutes or
days that follow.

Nothing is asked of the database for who has no limits.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, delete, insert, or_, select, tuple_, update

from answers.database import Database
from answers.limits import Limits
from answers.prepared import Prepared, Transaction
from answers.tables import messages, quotas
from answers.tree import is_id
from answers.usage import Spent
from relay.errors import DatabaseError
from relay.limit_errors import LimitReached

log = logging.getLogger(__name__)

Charge = dict[str, Any]  # whom a request was charged to, and how many tokens under which limits: kept with its answer

_PERIODS_S = {
    "requests_per_minute": 60,
    "requests_per_day": 86_400,
    "tokens_per_minute": 60,
    "tokens_per_day": 86_400,
}
_OF_TOKENS = ("tokens_per_minute", "tokens_per_day")
_AT_ONCE = 500  # rows, while all else waits for SQLite


def _not_below_zero(number: ColumnElement[int]) -> ColumnElement[int]:
    return case((number > 0, number), else_=0)


_NOW = bindparam("now_period", type_=BigInteger)
_COST = bindparam("cost", type_=BigInteger)
_LIMIT = bindparam("limit", type_=BigInteger)
_MINE = (quotas.c.subject == bindparam("whose")) & (quotas.c.name == bindparam("which"))
_OWED = _not_below_zero(quotas.c.used - quotas.c.most * (_NOW - quotas.c.period))
_LEFT = case((quotas.c.period < _NOW, _OWED), else_=quotas.c.used)
_LATER = case((quotas.c.period < _NOW, _NOW), else_=quotas.c.period)  # another machine's clock may be ahead

_TAKE = Prepared(
    update(quotas)
    .where(_MINE, _LEFT + _COST <= _LIMIT)
    .values(used=_LEFT + _COST, period=_LATER, most=_LIMIT)
    .returning(quotas.c.used)
)
_READ = Prepared(select(quotas.c.period, quotas.c.used).where(_MINE))
_KEPT = Prepared(select(messages.c.charged).where(messages.c.id == bindparam("answer")))
_BEGIN = Prepared(insert(quotas), *quotas.c.keys())
_CORRECT = Prepared(update(quotas).where(_MINE).values(used=_not_below_zero(_LEFT + _COST), period=_LATER))
_KEY = (quotas.c.subject, quotas.c.name)
_PAID = or_(
    *(
        (quotas.c.name == name)
        & (quotas.c.period < bindparam(f"now_{seconds}", type_=BigInteger))
        & (quotas.c.used <= quotas.c.most * (bindparam(f"now_{seconds}", type_=BigInteger) - quotas.c.period))
        for name, seconds in _PERIODS_S.items()
    )
)
_PURGE = Prepared(delete(quotas).where(tuple_(*_KEY).in_(select(*_KEY).where(_PAID).limit(_AT_ONCE))).returning(*_KEY))


class Quotas:
    """Charge requests to whom they are of. All methods raise DatabaseError.

    A token with limits of its own is counted by itself, any other with its user; `default` are the limits of those.
    """

    def __init__(self, database: Database, default: Limits) -> None:
        self._database = database
        self._default = default

    @contextmanager
    def charging(self, user: str, token: str, own: Limits, tokens: int, answer: str = "") -> Iterator[Charge | None]:
        """Charge a request that is begun in the block, at least with so many tokens; give them back if it fails.

        Yields what `settle` needs at the end, None without a limit of tokens. Raises LimitReached, and charges nothing,
        if it is more than is left. A prompt that is longer than the whole limit passes where nothing was used yet.

        An answer that stands in the database with this charge runs, whatever has failed behind it: it is settled as it
        ends.
        """
        charge = self._charge(user, token, own, tokens)
        try:
            yield charge
        except Exception:
            self._unless_kept(charge, answer)
            raise

    def settle(self, charge: Charge | None, spent: Spent) -> None:
        """Charge what a request has cost in the end instead of what was thought, once."""
        if charge and charge["tokens"]:
            self._database.write(lambda transaction: settle(transaction, charge, spent))
            charge["tokens"] = {}

    def give_back(self, charge: Charge | None, kept: Charge | None = None) -> None:
        """Charge no tokens where nothing runs under this charge, and nothing at all if `kept` is what it runs under.

        Raises nothing.
        """
        try:
            if charge and kept and charge != kept:
                self._database.write(lambda transaction: _undo(transaction, charge))
            elif charge != kept:
                self.settle(charge, Spent(0, 0))
        except DatabaseError as error:
            log.warning("tokens are not given back: %s", error)

    def purge(self) -> bool:
        """Delete some of what is paid off; say if there may be more."""
        now = {f"now_{seconds}": _period(seconds) for seconds in _PERIODS_S.values()}
        return len(self._database.write(lambda transaction: _PURGE.run(transaction, **now))) == _AT_ONCE

    def _unless_kept(self, charge: Charge | None, answer: str) -> None:
        try:
            look = charge and is_id(answer)
            kept = self._database.read(lambda transaction: _KEPT.first(transaction, answer=answer)) if look else None
        except DatabaseError as error:  # what cannot be told stays charged
            log.warning("tokens are not given back: %s", error)
        else:
            self.give_back(charge, kept[0] if kept else None)

    def _charge(self, user: str, token: str, own: Limits, tokens: int) -> Charge | None:
        limits = {name: getattr(own, name) or getattr(self._default, name) for name in _PERIODS_S}
        if not any(limits.values()):
            return None
        has_own = any(getattr(own, name) for name in _PERIODS_S)
        subject = f"token:{token}" if token and has_own else f"user:{user}"
        costs = {name: min(tokens if name in _OF_TOKENS else 1, most) for name, most in limits.items() if most}
        refused = self._database.write(lambda transaction: _take(transaction, subject, costs, limits))
        if refused:
            raise LimitReached(*refused)
        charged = {name: cost for name, cost in costs.items() if name in _OF_TOKENS}
        requests = [name for name in costs if name not in _OF_TOKENS]
        return {"to": subject, "tokens": charged, "requests": requests, "id": secrets.token_hex(8)}


def settle(transaction: Transaction, charge: Charge, spent: Spent) -> None:
    """Charge what a request has cost in the end instead of what was thought."""
    for name, thought in charge["tokens"].items():
        more = {"cost": spent.prompt + spent.completion - thought, "now_period": _period(_PERIODS_S[name])}
        _CORRECT.run(transaction, whose=charge["to"], which=name, **more)


def _undo(transaction: Transaction, charge: Charge) -> None:
    """Charge nothing for a request that was made a second time."""
    settle(transaction, charge, Spent(0, 0))
    for name in charge["requests"]:
        asked = {"cost": -1, "now_period": _period(_PERIODS_S[name])}
        _CORRECT.run(transaction, whose=charge["to"], which=name, **asked)


def _take(
    transaction: Transaction, subject: str, costs: dict[str, int], limits: dict[str, int]
) -> tuple[str, int, int] | None:
    """Take all of it, or nothing: then say which limit is in the way, and for how many seconds."""
    for name, cost in costs.items():
        key, period, most = {"whose": subject, "which": name}, _period(_PERIODS_S[name]), limits[name]
        asked = {**key, "cost": cost, "limit": most, "now_period": period}
        if _TAKE.first(transaction, **asked):
            continue
        if found := _READ.first(transaction, **key):
            if _TAKE.first(transaction, **asked):  # somebody has made the row since the first look
                continue
            transaction.cursor.execute("ROLLBACK")
            free = found[0] + math.ceil((found[1] + cost - most) / most)
            return name, most, max(1, math.ceil(free * _PERIODS_S[name] - time.time()))
        # Who was faster violates a constraint here, and it is all done again.
        _BEGIN.run(transaction, subject=subject, name=name, period=period, used=cost, most=most)
    return None


def _period(seconds: int) -> int:
    return int(time.time()) // seconds
