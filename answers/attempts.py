"""How often somebody has tried to sign in within this minute, counted for all workers and machines."""

from __future__ import annotations

import time

from sqlalchemy import bindparam, delete, insert, update

from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.tables import attempts

MINUTE_S = 60

_ALL = ""
_ONE_MORE = Prepared(
    update(attempts)
    .where(attempts.c.minute == bindparam("now"), attempts.c.address == bindparam("whose"))
    .values(count=attempts.c.count + 1)
    .returning(attempts.c.count)
)
_FIRST = Prepared(insert(attempts).values(count=1), "minute", "address")
_FORGET = Prepared(delete(attempts).where(attempts.c.minute < bindparam("now")))


class Attempts:
    """Let `each` attempts of an address pass in a minute, and `together` of all. All raise DatabaseError."""

    def __init__(self, database: Database, each: int, together: int) -> None:
        self._database, self._each, self._together = database, each, together

    def take(self, address: str) -> bool:
        """Count an attempt; say if it may be made. There are never more rows than attempts of all that may be."""
        now = int(time.time()) // MINUTE_S

        def work(transaction: Transaction) -> bool:
            # First the address: who has tried too often uses nothing up of what is there for all.
            mine = _count(transaction, now, address)
            if mine > self._each:
                return False
            together = _count(transaction, now, _ALL)
            if not together:
                _FORGET.run(transaction, now=now)
                _FIRST.run(transaction, minute=now, address=_ALL)
            if together > self._together:
                return False
            if not mine:
                _FIRST.run(transaction, minute=now, address=address)
            return True

        return self._database.write(work)


def _count(transaction: Transaction, now: int, whose: str) -> int:
    """Count one more, if one was counted already."""
    row = _ONE_MORE.first(transaction, now=now, whose=whose)
    return int(row[0]) if row else 0
