"""Whose request this is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flask import g, request, session
from werkzeug.exceptions import NotFound

from web.callers import NOBODY, NOTHING, Caller, Callers, Credential
from web.current import this_app, this_request, this_session

NO_COOKIE = "no-cookie"


def callers() -> Callers | None:
    """Take what knows callers; None where nobody is asked who they are."""
    known: Callers | None = this_app().extensions["talkabout.callers"]
    return known


def current_caller() -> Caller:
    """Say who this request comes from; with `TALKABOUT_AUTH=none` each browser is a user by its signed cookie.

    Clients that keep no cookies (curl, most libraries) are one user together, so that they too can come back.
    """
    known = callers()
    if known is None:
        here = Caller(str(this_session().get("user", NO_COOKIE)))
    else:
        if "caller" not in g:
            g.credential = _credential(known)
            g.caller = known.who(g.credential)
        here = g.caller
    # For the log: to look into the session there would cost each request.
    this_request().environ["talkabout.user"] = here.user
    return here


def current_user() -> str:
    """Name the user of this request."""
    return current_caller().user


def who_is_here() -> Caller | None:
    """Say who is signed in, to a page that is shown to others too; None for nobody, or where nobody is asked."""
    caller: Caller | None = g.get("caller")
    return caller if caller and caller.user else None


def still_holds() -> Callable[[], bool] | None:
    """Make what tells, later and outside of this request, if its credential still holds; None if it has none."""
    credential: Credential | None = g.get("credential")
    known = callers() if credential else None
    return None if known is None or credential is None else lambda: known.who(credential) is not NOBODY


def remember_browser() -> None:
    """Give a browser that opens a page its cookie."""
    if callers() is None and "user" not in session:
        session.permanent = True
        session["user"] = uuid.uuid4().hex


def is_user(user: str) -> bool:
    """Tell if there is such a user still; without tokens nobody is ever taken away."""
    known = callers()
    return known is None or known.is_user(user)


def require_user(user: str) -> None:
    """Refuse, as if it did not exist, what belongs to another user."""
    if callers() is not None and user != current_user():
        raise NotFound


def by_token(environ: Mapping[str, Any]) -> bool:
    """Tell if the request carries a token that no browser, and no proxy before us, has added by itself."""
    if environ.get("HTTP_AUTHORIZATION", "")[:7].lower() != "bearer ":
        return False
    known = callers()
    return known is None or known.mode != "proxy"


def bearer() -> str:
    """Take the token out of the request's header, if one is there."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _credential(known: Callers) -> Credential:
    """Take what came with the request: a token in its header, whom a proxy names, or a session."""
    environ = request.environ
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    credential = known.credential(token.strip()) if scheme.lower() == "bearer" else NOTHING
    if known.mode == "proxy":  # which may have a use of its own for Authorization
        return (
            credential
            if credential.digest
            else known.named_by_proxy(environ.get("REMOTE_ADDR", ""), environ.get(known.header))
        )
    if scheme:
        return credential
    since_us = session.get("since")
    if not since_us:
        return NOTHING
    if known.mode == "oidc" and "oidc" in session:
        return Credential("", since_us, session["oidc"], session["admin"])
    return Credential(session.get("token", ""), since_us)
