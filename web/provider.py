"""The OpenID Connect provider, as Authlib talks to it: code flow with PKCE, state and nonce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.common.urls import add_params_to_uri
from authlib.integrations.flask_client import OAuth
from flask import Flask, session
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from relay.access_errors import SignInFailed
from relay.settings import Settings

_TIMEOUT_S = 10
_STATE = "_state_"  # how Authlib names in a session what it has to remember


class Provider:
    """Lead browsers there and out again, and read what they bring back. All raise SignInFailed."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        client = {"scope": settings.oidc_scopes, "code_challenge_method": "S256", "default_timeout": _TIMEOUT_S}
        if not settings.oidc_client_secret:
            client["token_endpoint_auth_method"] = "none"  # noqa: S105  a public client
        self._client_id = settings.oidc_client_id
        self._oauth = OAuth(app).register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret or None,
            server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs=client,
        )

    def lead(self, back: str) -> Response:
        """Send a browser there, to come back to the address `back`; what it tried before is forgotten."""
        for key in [key for key in session if key.startswith(_STATE)]:
            del session[key]  # a cookie has little room
        with _failures():
            return self._oauth.authorize_redirect(back)  # type: ignore[no-any-return]

    def claims(self) -> Mapping[str, Any]:
        """Take what the provider says of whoever has come back, checked."""
        with _failures():
            claims: Mapping[str, Any] = self._oauth.authorize_access_token().get("userinfo") or {}
            issuer = self._oauth.load_server_metadata()["issuer"]
        if claims.get("iss") != issuer or not self._is_for_us(claims.get("aud")):
            raise SignInFailed("the ID token is missing, another issuer's, or for somebody else")
        return claims

    def way_out(self, back: str) -> str:
        """Make the address at which a browser is signed out there, to come back to `back`; empty if there is none.

        OpenID Connect RP-Initiated Logout 1.0, by the client's id: a cookie has no room for the ID token. So the
        provider may ask the user first.
        """
        with _failures():
            end = str(self._oauth.load_server_metadata().get("end_session_endpoint") or "")
        if not end.startswith(("https://", "http://")):
            return ""
        asked = {"client_id": self._client_id, "post_logout_redirect_uri": back}
        return str(add_params_to_uri(end, list(asked.items())))

    def _is_for_us(self, audience: object) -> bool:
        return self._client_id in (audience if isinstance(audience, list) else [audience])


@contextmanager
def _failures() -> Iterator[None]:
    """Translate what can go wrong; requests' errors are OSErrors, the last three come of answers that make no sense."""
    try:
        yield
    except (AuthlibBaseError, JoseError, OSError, ValueError, KeyError, RuntimeError) as exc:
        raise SignInFailed(type(exc).__name__, isinstance(exc, OSError)) from exc
