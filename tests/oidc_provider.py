"""An OpenID Connect provider on Authlib's provider side: code flow with PKCE, for one client and one user at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import Flask, jsonify
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from tests.servers import free_port

CLIENT, SECRET = "talkabout", "secret-of-talkabout"


class Client:
    """The one client that is known."""

    client_id = CLIENT

    def __init__(self, leads_back_to: list[str]) -> None:
        self.client_metadata = {"post_logout_redirect_uris": leads_back_to}

    def get_client_id(self) -> str:
        return CLIENT

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.endswith("/login/callback")

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


class Code(SimpleNamespace):
    """A code, as Authlib asks it."""

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Provider:
    """What tests change while it runs: the `claims` of whoever signs in next, and what it lies about."""

    def __init__(self) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.claims: dict[str, Any] = {"sub": "alice"}
        self.says: dict[str, Any] = {}  # in an ID token, whatever would be right
        self.nonce: str | None = None
        self.offers: dict[str, str] = {}  # in its configuration, beside what each provider has there
        self.leads_back_to: list[str] = []  # registered addresses, after signing out
        self.signed_out: list[str | None] = []  # where to those were led back that were signed out
        self.codes: dict[str, Code] = {}
        self.key = self.signs = RSAKey.generate_key(2048, parameters={"kid": "1"})
        self.app = self._app()

    def _app(self) -> Flask:
        app = Flask("provider")
        app.secret_key = "provider"
        server = AuthorizationServer(
            app,
            query_client=lambda id: Client(self.leads_back_to) if id == CLIENT else None,
            save_token=lambda *_: None,
        )
        server.register_grant(_grant(self), [_open_id(self), CodeChallenge(required=True)])
        server.register_endpoint(_end_session(self))

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Any:
            paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            urls = {name: f"{self.issuer}/{path}" for name, path in paths.items()}
            return jsonify(issuer=self.issuer, id_token_signing_alg_values_supported=["RS256"], **urls, **self.offers)

        @app.get("/jwks")
        def jwks() -> Any:
            return {"keys": [self.key.as_dict(private=False, alg="RS256", use="sig")]}

        @app.get("/authorize")
        def authorize() -> Any:
            grant = server.get_consent_grant(end_user=self.claims)
            return server.create_authorization_response(grant=grant, grant_user=self.claims)

        @app.get("/leave")
        def leave() -> Any:
            return server.create_endpoint_response("end_session") or "You are signed out."

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        return app


def _grant(provider: Provider) -> type[grants.AuthorizationCodeGrant]:
    class Grant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic"]

        def save_authorization_code(self, code: str, asked: Any) -> None:
            data = asked.payload.data
            provider.codes[code] = Code(
                code=code,
                user=asked.user,
                redirect_uri=asked.payload.redirect_uri,
                scope=asked.payload.scope,
                nonce=provider.nonce or data["nonce"],
                code_challenge=data["code_challenge"],
                code_challenge_method=data["code_challenge_method"],
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, code: Code) -> None:
            del provider.codes[code.code]

        def authenticate_user(self, code: Code) -> dict[str, Any]:
            return code.user

    return Grant


def _open_id(provider: Provider) -> OpenIDCode:
    class OpenId(OpenIDCode):
        def exists_nonce(self, nonce: str, asked: object) -> bool:
            return False

        def get_client_algorithm(self, client: Client) -> str:
            return "RS256"

        def resolve_client_private_key(self, client: Client) -> RSAKey:
            return provider.signs

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": provider.issuer, **provider.says}

        def generate_user_info(self, user: dict[str, Any], scope: str) -> UserInfo:
            return UserInfo({**user, **provider.says})

    return OpenId(require_nonce=True)


def _end_session(provider: Provider) -> type[EndSessionEndpoint]:
    class EndSession(EndSessionEndpoint):
        def is_post_logout_redirect_uri_legitimate(self, *_: object) -> bool:
            return True  # as if the user had been asked

        def end_session(self, asked: Any) -> None:
            provider.signed_out.append(asked.redirect_uri)

    return EndSession


@contextmanager
def running() -> Iterator[Provider]:
    """Serve a provider from a thread."""
    provider = Provider()
    server = make_server("127.0.0.1", provider.port, provider.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
