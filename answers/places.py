"""How much runs for a token at once: its answers, and its requests that are none, over all workers and machines.

A request takes a place with the transaction that counts them all, so that a limit is never exceeded. An answer has its
place until it stands in the database as running, where it is counted from then on. A place is renewed while its worker
lives, so that those of a killed one are free again before long.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import bindparam, delete, func, insert, select, update

from answers.database import Database
from answers.prepared import Prepared, Transaction
from answers.tables import RUNNING, messages, places
from answers.tree import now_us
from relay.errors import DatabaseError, TooManyAnswers
from relay.loop import Lock

LASTS_S = 15.0
_RENEW_S = 4.0

log = logging.getLogger(__name__)

_ANSWERS = (messages.c.token == bindparam("whose"), RUNNING)
_OTHERS = (*_ANSWERS, messages.c.id != bindparam("place"))
_RUN = Prepared(select(func.count()).select_from(messages).where(*_OTHERS))
_HERE = places.c.id.not_in(select(messages.c.id).where(*_ANSWERS))
_OF_OTHERS = (places.c.token == bindparam("whose"), places.c.id != bindparam("place"), _HERE)
_TAKEN = Prepared(select(func.count()).select_from(places).where(*_OF_OTHERS))
_KNOWN = Prepared(select(places.c.id).where(places.c.id == bindparam("place")))
_FORGET = Prepared(delete(places).where(places.c.token == bindparam("whose"), places.c.until_us < bindparam("now")))
_TAKE = Prepared(insert(places), *places.c.keys())
_RENEW = Prepared(update(places).where(places.c.id == bindparam("place")).values(until_us=bindparam("until")))
_LEAVE = Prepared(delete(places).where(places.c.id == bindparam("place")))


class Places:
    """Keep to the limits of tokens on what runs at once. Nothing is asked of the database for those without one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mine: set[str] = set()
        self._lock = Lock()
        self._renewing = False

    @contextmanager
    def taken(self, token: str, most: int | None, place: str) -> Iterator[None]:
        """Hold a place, named as the answer that begins in the block. Raises TooManyAnswers, and DatabaseError.

        Who begins the same answer at the same time shares the place, and leaves it to whoever has taken it.
        """
        mine = self.take(token, most, place)
        try:
            yield
        finally:
            if mine:
                self.leave(place)

    def take(self, token: str, most: int | None, place: str) -> bool:
        """Take a place until `leave`; False if nothing is to be left, since there is no limit or it is shared.

        Raises TooManyAnswers if none is free, and DatabaseError.
        """
        if not (token and most):
            return False
        free, mine = self._database.write(lambda transaction: _take(transaction, token, most, place))
        if not free:
            raise TooManyAnswers(f"{most} are being written for this token")
        if not mine:
            return False
        with self._lock:
            self._mine.add(place)
            begin, self._renewing = not self._renewing, True
        if begin:
            threading.Thread(target=self._renew, daemon=True).start()
        return True

    def leave(self, place: str) -> None:
        """Give a place back, if it was taken; one that cannot be is free after a while."""
        with self._lock:
            mine = place in self._mine
            self._mine.discard(place)
        if mine:
            self._try(lambda transaction: _LEAVE.run(transaction, place=place))

    def _renew(self) -> None:
        """Renew this worker's places as long as there are any."""
        pause = threading.Event()
        while True:
            pause.wait(_RENEW_S)
            with self._lock:
                mine = list(self._mine)
                self._renewing = bool(mine)
            if not mine:
                return
            self._try(partial(_renew, mine))

    def _try(self, work: Callable[[Transaction], object]) -> None:
        try:
            self._database.write(work)
        except DatabaseError as error:
            log.warning("places of tokens are not looked after: %s", error)


def _take(transaction: Transaction, token: str, most: int, place: str) -> tuple[bool, bool]:
    """Say if a place is free, and if it was taken: by nobody else under the same name."""
    if transaction.dialect.name == "postgresql":  # SQLite lets one write at a time anyway
        transaction.cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [token])
    _FORGET.run(transaction, whose=token, now=now_us())
    taken = sum(counted.run(transaction, whose=token, place=place)[0][0] for counted in (_RUN, _TAKEN))
    free = taken < most
    mine = free and not _KNOWN.run(transaction, place=place)
    if mine:
        _TAKE.run(transaction, id=place, token=token, until_us=_until())
    return free, mine


def _renew(mine: list[str], transaction: Transaction) -> None:
    until = _until()
    for place in mine:
        _RENEW.run(transaction, place=place, until=until)


def _until() -> int:
    return now_us() + round(LASTS_S * 1_000_000)
