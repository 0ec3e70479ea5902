"""Whose request this is."""

from __future__ import annotations

import hashlib
import uuid

from flask import current_app, request, session
from werkzeug.exceptions import NotFound

NO_COOKIE = "no-cookie"


def current_user() -> str:
    """Name the user of this request; with `TALKABOUT_AUTH=none` each browser is its own, by its signed cookie.

    Clients that keep no cookies (curl, most libraries) are one user together, so that they too can come back.
    """
    users = current_app.config["TALKABOUT_USERS"]
    user = str(session.get("user", NO_COOKIE) if users is None else users.get(token_digest(), ""))
    request.environ["talkabout.user"] = user  # for the log: to look into the session there would cost each request
    return user


def remember_browser() -> None:
    """Give a browser that opens a page its cookie."""
    if current_app.config["TALKABOUT_USERS"] is None and "user" not in session:
        session.permanent = True
        session["user"] = uuid.uuid4().hex


def is_user(user: str) -> bool:
    """Tell if there is such a user still; without tokens nobody is ever taken away."""
    users = current_app.config["TALKABOUT_USERS"]
    return users is None or user in users.values()


def require_user(user: str) -> None:
    """Refuse, as if it did not exist, what belongs to another user."""
    if current_app.config["TALKABOUT_USERS"] is not None and user != current_user():
        raise NotFound


def token_digest() -> str:
    """Take the digest of the token that came with the request, in its header or by the session cookie."""
    if request.headers.get("Authorization"):
        return digest(token) if (token := bearer()) else ""
    return str(session.get("token", ""))


def bearer() -> str:
    """Take the token out of the request's header, if one is there."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def digest(token: str) -> str:
    """Make of a token what is kept of it."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
