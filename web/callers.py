"""Who comes with a credential: a token, or a session that was given for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from answers.fresh import Fresh
from answers.limits import Limits
from answers.tokens import SCOPES, SHAPE, USUAL, Token, Tokens, digest
from answers.tree import now_us
from relay.access_settings import networks, users_by_token
from relay.settings import Settings
from web.address import from_proxy

MAX_NAME_CHARS = 128
ENVIRONMENT = "environment"  # what a token of TALKABOUT_TOKENS is called


class Credential(NamedTuple):
    """Hold what a request proves itself with, checked by nobody yet; `since_us` says when its session began."""

    digest: str = ""  # of a token
    since_us: int | None = None
    user: str = ""  # whom a provider or a proxy has named
    admin: bool = False


NOTHING = Credential()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from; `token` is the public id of the token, or empty where there is none."""

    user: str
    token: str = ""
    scopes: frozenset[str] = USUAL
    limits: Limits = field(default_factory=Limits)


NOBODY = Caller("", scopes=frozenset())


class Callers:
    """Know callers by their credentials, at once, or as fresh as `access_check_s` says. All raise DatabaseError."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._given = {digest(token): Caller(user, ENVIRONMENT) for token, user in users_by_token(settings).items()}
        self._users = {caller.user for caller in self._given.values()}
        self.mode = settings.auth
        self.header = f"HTTP_{settings.proxy_user_header.upper().replace('-', '_')}"
        self._proxies, self._admins = networks(settings), settings.proxy_admins.split()
        self._tokens = tokens
        self._found: Fresh[str, tuple[Token, Caller]] = Fresh(self._find, settings.access_check_s)
        self._signed_out: Fresh[str, int] = Fresh(tokens.signed_out_us, settings.access_check_s)
        self._session_us = round(settings.session_s * 1_000_000)

    def credential(self, token: str, since_us: int | None = None) -> Credential:
        """Make of a token what proves it; what can be none is not looked for."""
        known = digest(token)
        return Credential(known, since_us) if known in self._given or SHAPE.fullmatch(token) else NOTHING

    def named_by_proxy(self, address: str, said: str | None) -> Credential:
        """Believe a proxy of ours whom it names; a header that two have written into, or anyone else, is no proof."""
        if said is None or not from_proxy(address, self._proxies):
            return NOTHING
        user = said.encode("latin-1", "replace").decode(errors="replace").strip()
        return Credential(user=user, admin=user in self._admins) if is_name(user) and "," not in user else NOTHING

    def who(self, credential: Credential) -> Caller:
        """Find whom a credential stands for: NOBODY, if it does not hold (any more)."""
        if credential.digest:
            caller = self._holder(credential.digest)
        else:
            scopes = frozenset(SCOPES) if credential.admin else USUAL
            caller = Caller(credential.user, scopes=scopes) if credential.user else NOBODY
        if credential.since_us is not None and caller is not NOBODY and not self._lasts(caller, credential.since_us):
            return NOBODY
        return caller

    def is_user(self, user: str) -> bool:
        """Tell if somebody can come as that user."""
        return self.mode != "token" or user in self._users or self._tokens.any(user)

    def _holder(self, known: str) -> Caller:
        if known in self._given:
            return self._given[known]
        found = self._found.get(known)
        return found[1] if found is not None and found[0].works() else NOBODY

    def _find(self, known: str) -> tuple[Token, Caller] | None:
        token = self._tokens.find(known)
        return (token, Caller(token.user, token.id, token.scopes, token.limits)) if token else None

    def _lasts(self, caller: Caller, since_us: int) -> bool:
        return now_us() < since_us + self._session_us and since_us > (self._signed_out.get(caller.user) or 0)


def is_name(text: str) -> bool:
    """Tell if something can be a user's or a token's name."""
    return 0 < len(text) <= MAX_NAME_CHARS and text.isprintable() and text == text.strip()
