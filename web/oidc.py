"""Signing in at an OpenID Connect provider (`TALKABOUT_AUTH=oidc`): code, PKCE, state and nonce, by Authlib.

What the provider says of a user is believed as long as the session lasts: there is no way back to it in between.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskOAuth2App, OAuth
from flask import Blueprint, Flask, current_app, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError
from werkzeug.exceptions import Forbidden, NotFound

from answers.tree import now_us
from relay.settings import Settings
from web.attempts import too_many
from web.callers import is_name
from web.services import services

log = logging.getLogger(__name__)

oidc = Blueprint("oidc", __name__)

_TIMEOUT_S = 10
# requests' errors are OSErrors; the others come of answers that a provider should not give.
_FAILED = (AuthlibBaseError, JoseError, OSError, ValueError, KeyError, RuntimeError)


def init_app(app: Flask, settings: Settings) -> None:
    """Get to know the provider, if there is one; it is first asked when somebody signs in."""
    app.register_blueprint(oidc)
    app.extensions["talkabout.provider"] = _provider(app, settings) if settings.auth == "oidc" else None


@oidc.get("/login/oidc")
def begin() -> ResponseReturnValue:
    """Lead to the provider."""
    provider = _here()
    if refused := too_many():
        return refused
    for key in [key for key in session if key.startswith("_state_")]:
        del session[key]  # of a try that came to nothing: a cookie has little room
    try:
        return provider.authorize_redirect(url_for("oidc.end", _external=True))  # type: ignore[no-any-return]
    except _FAILED as error:
        return _failed(error)


@oidc.get("/login/callback")
def end() -> ResponseReturnValue:
    """Take whom the provider has sent back."""
    provider = _here()
    try:
        claims = provider.authorize_access_token().get("userinfo") or {}
    except _FAILED as error:
        return _failed(error)
    settings = services().settings
    if claims.get("iss") != provider.load_server_metadata().get("issuer") or not _is_for(
        claims, settings.oidc_client_id
    ):
        return _failed(ValueError("the ID token is another issuer's, or for somebody else"))
    user = _user(claims, settings)
    wanted = session.get("wanted", "/")
    session.clear()
    session.update(oidc=user, admin=_matches(claims, settings.oidc_admins), since=now_us())
    return redirect(wanted, 303)


def _provider(app: Flask, settings: Settings) -> FlaskOAuth2App:
    client = {"scope": settings.oidc_scopes, "code_challenge_method": "S256", "default_timeout": _TIMEOUT_S}
    if not settings.oidc_client_secret:
        client["token_endpoint_auth_method"] = "none"  # noqa: S105  a public client
    return OAuth(app).register(
        "oidc",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret or None,
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs=client,
    )


def _here() -> FlaskOAuth2App:
    provider: FlaskOAuth2App | None = current_app.extensions["talkabout.provider"]
    if provider is None:
        raise NotFound
    return provider


def _failed(error: Exception) -> ResponseReturnValue:
    """Show the login page again; what the provider or the browser said is for the log, without codes and tokens."""
    log.warning("signing in at the provider failed: %s", type(error).__name__)
    return render_template("login.html", refused="provider"), 502 if isinstance(error, OSError) else 401


def _is_for(claims: Mapping[str, Any], client: str) -> bool:
    audience = claims.get("aud")
    return client in (audience if isinstance(audience, list) else [audience])


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
