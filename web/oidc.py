"""Signing in at an OpenID Connect provider (`TALKABOUT_AUTH=oidc`): there, back, and who that is.

What the provider says of a user is believed as long as the session lasts: there is no way back to it in between.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, current_app, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.utils import import_string

from answers.tree import now_us
from relay.access_errors import SignInFailed
from relay.settings import Settings
from web.attempts import too_many
from web.callers import is_name
from web.services import services

log = logging.getLogger(__name__)

oidc = Blueprint("oidc", __name__)


def init_app(app: Flask, settings: Settings) -> None:
    """Get to know the provider, if there is one; it is first asked when somebody signs in."""
    app.register_blueprint(oidc)
    # Only where it is needed: Authlib takes 13 MB of each worker.
    made = import_string("web.provider:Provider")(app, settings) if settings.auth == "oidc" else None
    app.extensions["talkabout.provider"] = made


@oidc.get("/login/oidc")
def begin() -> ResponseReturnValue:
    """Lead to the provider."""
    provider = _here()
    if refused := too_many():
        return refused
    try:
        return provider.lead(url_for("oidc.end", _external=True))  # type: ignore[no-any-return]
    except SignInFailed as error:
        return _failed(error)


@oidc.get("/login/callback")
def end() -> ResponseReturnValue:
    """Take whom the provider has sent back."""
    provider = _here()
    try:
        claims = provider.claims()
    except SignInFailed as error:
        return _failed(error)
    settings = services().settings
    user = _user(claims, settings)
    wanted = session.get("wanted", "/")
    session.clear()
    session.update(oidc=user, admin=_matches(claims, settings.oidc_admins), since=now_us())
    return redirect(wanted, 303)


def leave() -> ResponseReturnValue:
    """Lead a browser whose session has ended to the provider, to be signed out there, if that can be done."""
    provider = current_app.extensions["talkabout.provider"]
    try:
        address = provider.way_out(url_for("access.login", _external=True)) if provider else ""
    except SignInFailed as error:
        log.warning("the provider cannot be asked to sign somebody out: %s", error)
        address = ""
    return render_template("left.html", address=address) if address else redirect("/login", 303)


def _here() -> Any:
    provider = current_app.extensions["talkabout.provider"]
    if provider is None:
        raise NotFound
    return provider


def _failed(error: SignInFailed) -> ResponseReturnValue:
    """Show the login page again; what the provider or the browser said is for nobody."""
    log.warning("signing in at the provider failed: %s", error)
    return render_template("login.html", refused="provider"), 502 if error.away else 401


def _user(claims: Mapping[str, Any], settings: Settings) -> str:
    """Name the user that the claims are of. Raises Forbidden for whoever may not come in."""
    user = claims.get(settings.oidc_user_claim)
    verified = settings.oidc_user_claim != "email" or claims.get("email_verified") is True
    allowed = not settings.oidc_allow or _matches(claims, settings.oidc_allow)
    if not (isinstance(user, str) and is_name(user) and verified and allowed):
        raise Forbidden("You are known there, but may not come in here.")
    return user


def _matches(claims: Mapping[str, Any], rules: str) -> bool:
    """Tell if the claims fulfil one of the rules `claim=value`, separated by blanks."""
    return any(_fulfils(claims, *rule.partition("=")[::2]) for rule in rules.split())


def _fulfils(claims: Mapping[str, Any], claim: str, value: str) -> bool:
    """Compare a claim; a list fulfils what one of it does, and a verified `email` what stands behind its `@`."""
    said = claims.get(claim)
    if claim == "email":
        if claims.get("email_verified") is not True or not isinstance(said, str):
            return False
        return said == value or (value.startswith("@") and said.rpartition("@")[2].lower() == value[1:].lower())
    return value in said if isinstance(said, list) else value == said
