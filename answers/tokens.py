"""Tokens: who holds one is its user, until it expires or is revoked.

A token is 256 bits from the system's source of randomness behind a prefix that scanners for leaked secrets can look
for. Of a token that cannot be guessed, a plain digest is enough to know it again; nothing else of it is kept, and
looking a digest up tells nobody how much of a wrong token was right.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from answers.database import Database
from answers.limits import Limits
from answers.prepared import Prepared, Transaction
from answers.tables import sign_outs, tokens
from answers.tree import now_us
from relay.errors import DatabaseError, NotFound

log = logging.getLogger(__name__)

SCOPES = ("chat", "api", "admin")  # the pages and what they ask; /v1; who may
USUAL = frozenset({"chat", "api"})
SHAPE = re.compile(r"tka_[A-Za-z0-9_-]{43}")
AT_ONCE = 100  # of a list

_BYTES = 32
_USED_EVERY_US = 600_000_000

_LIMITS = tuple(each.name for each in fields(Limits))
_NEW = ("id", "digest", "user", "name", "scopes", "created_us", "expires_us", *_LIMITS)
_SHOWN = [column for column in tokens.c if column.name != "digest"]
_VALID = (
    tokens.c.revoked_us.is_(None),
    or_(tokens.c.expires_us.is_(None), tokens.c.expires_us > bindparam("now")),
)

_ADD = Prepared(insert(tokens), *_NEW)
_FIND = Prepared(select(*_SHOWN).where(tokens.c.digest == bindparam("digest"), *_VALID))
_USE = Prepared(update(tokens).where(tokens.c.id == bindparam("token")), "used_us")
_REVOKE = Prepared(
    update(tokens)
    .where(tokens.c.id == bindparam("token"))
    .values(revoked_us=func.coalesce(tokens.c.revoked_us, bindparam("now")))
    .returning(*_SHOWN)
)
_LIST = Prepared(
    select(*_SHOWN)
    .where(tokens.c.created_us < bindparam("before"))
    .order_by(tokens.c.created_us.desc())
    .limit(AT_ONCE + 1)
)
_ANY = Prepared(select(tokens.c.id).where(*_VALID).limit(1))
_ANY_OF = Prepared(select(tokens.c.id).where(tokens.c.user == bindparam("user"), *_VALID).limit(1))
_SIGN_OUT = Prepared(insert(sign_outs), "user", "at_us")
_SIGN_OUT_AGAIN = Prepared(
    update(sign_outs).where(sign_outs.c.user == bindparam("user")).returning(sign_outs.c.user), "at_us"
)
_SIGNED_OUT = Prepared(select(sign_outs.c.at_us).where(sign_outs.c.user == bindparam("user")))
_ALWAYS = 1 << 62  # later than any time


@dataclass(frozen=True, slots=True)
class Token:
    """What may be shown of a token; `id` is public."""

    id: str
    user: str
    name: str
    scopes: frozenset[str]
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None
    used_us: int | None = None
    limits: Limits = field(default_factory=Limits)

    def works(self) -> bool:
        """Tell if it can be used now."""
        return self.revoked_us is None and (self.expires_us is None or self.expires_us > now_us())


def digest(token: str) -> str:
    """Make of a token what is kept of it."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Tokens:
    """Make, find, list and revoke tokens, and end sessions. All raise DatabaseError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        user: str,
        name: str = "",
        scopes: frozenset[str] = USUAL,
        expires_us: int | None = None,
        limits: Limits | None = None,
    ) -> tuple[str, Token]:
        """Make a token; it is never to be had again."""
        made = f"tka_{secrets.token_urlsafe(_BYTES)}"
        row = Token(secrets.token_hex(6), user, name, scopes, now_us(), expires_us, limits=limits or Limits())
        values = {each: getattr(row, each) for each in ("id", "user", "name", "created_us", "expires_us")}
        values |= dict(zip(_LIMITS, astuple(row.limits), strict=True))
        values |= {"digest": digest(made), "scopes": " ".join(each for each in SCOPES if each in scopes)}
        self._database.write(lambda transaction: _ADD.run(transaction, **values))
        return made, row

    def find(self, known: str) -> Token | None:
        """Find the token that has this digest and works; note now and then that it was used."""
        now = now_us()
        found = self._database.read(lambda transaction: _FIND.first(transaction, digest=known, now=now))
        if found is None:
            return None
        token = _token(found)
        if token.used_us is None or token.used_us < now - _USED_EVERY_US:
            self._note_use(token.id, now)
        return token

    def list_(self, before_us: int | None = None) -> tuple[list[Token], bool]:
        """List them, the newest first, those that do not work any more too; say if there are older ones."""
        before = before_us or _ALWAYS
        rows = self._database.read(lambda transaction: _LIST.run(transaction, before=before))
        return [_token(row) for row in rows[:AT_ONCE]], len(rows) > AT_ONCE

    def revoke(self, token: str) -> Token:
        """End a token for good; one that is revoked stays as it is. Raises NotFound."""
        row = self._database.write(lambda transaction: _REVOKE.first(transaction, token=token, now=now_us()))
        if row is None:
            raise NotFound(f"no token {token!r}")
        return _token(row)

    def any(self, user: str | None = None) -> bool:
        """Tell if there is a token that works, of that user or at all."""
        now, statement = now_us(), _ANY if user is None else _ANY_OF
        given = {} if user is None else {"user": user}
        return self._database.read(lambda transaction: bool(statement.run(transaction, now=now, **given)))

    def sign_out(self, user: str) -> None:
        """End every session of a user that there is by now."""

        def work(transaction: Transaction) -> None:
            values = {"user": user, "at_us": now_us()}
            if not _SIGN_OUT_AGAIN.run(transaction, **values):
                _SIGN_OUT.run(transaction, **values)

        self._database.write(work)

    def signed_out_us(self, user: str) -> int:
        """Say when all sessions of a user were ended; 0 if they never were."""
        found = self._database.read(lambda transaction: _SIGNED_OUT.first(transaction, user=user))
        return int(found[0]) if found else 0

    def _note_use(self, token: str, now: int) -> None:
        """Note when a token was used; where nothing can be written, it works all the same."""
        try:
            self._database.write(lambda transaction: _USE.run(transaction, token=token, used_us=now))
        except DatabaseError as error:
            log.debug("the use of a token is not noted: %s", error)


def _token(row: Sequence[Any]) -> Token:
    id_, user, name, scopes, created_us, expires_us, revoked_us, used_us, *limits = row
    times = (created_us, expires_us, revoked_us, used_us)
    return Token(id_, user, name, frozenset(scopes.split()), *times, Limits(*limits))
