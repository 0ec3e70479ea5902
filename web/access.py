"""Who may: nobody is asked (`TALKABOUT_AUTH=none`), or a token is needed (`token`; CONTRACT section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from flask import Blueprint, Flask, Request, Response, current_app, redirect, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from relay.settings import Settings, users_by_token
from web.accept import wants_page
from web.body import form_fields
from web.users import digest, token_digest

access = Blueprint("access", __name__)

_OPEN_TO_ALL = {"ops.healthz", "ops.readyz", "access.login", "access.enter", "pages.shared", "static"}
_MAX_TOKEN_CHARS = 512
_MAX_ADDRESS_CHARS = 1000


class Cookies(SecureCookieSessionInterface):
    """Session cookies that are Secure exactly where the client came by https."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Look for the session; where no cookie came at all, what reads one need not be made."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the session, unless nothing was in it and nobody has looked; never with a file, which caches keep."""
        if request.endpoint == "static":
            return
        if session or session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Follow the scheme of the request; gunicorn has it from the proxies that it trusts."""
        return request.is_secure


def init_app(app: Flask, settings: Settings) -> None:
    """Guard every request. Raises SettingError if tokens are needed and there is none."""
    app.session_interface = Cookies()
    app.config.update(SESSION_COOKIE_NAME="talkabout", SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)
    app.config["TALKABOUT_USERS"] = _users_by_digest(settings) if settings.auth == "token" else None
    app.config["TALKABOUT_OPEN"] = _OPEN_TO_ALL | ({"ops.metrics"} if settings.metrics_token else set())
    app.before_request(_guard)
    app.register_blueprint(access)


@access.get("/login")
def login() -> str:
    """Show the form that asks for the token."""
    return render_template("login.html")


@access.post("/login")
def enter() -> AnyResponse | tuple[str, int]:
    """Give the session cookie for a token, and lead to the page that was wanted."""
    users = current_app.config["TALKABOUT_USERS"]
    given = digest(form_fields().text("token", _MAX_TOKEN_CHARS, default="").strip())
    if users is not None and given not in users:
        return render_template("login.html", refused=True), 401
    wanted = session.get("wanted", "/")
    session.clear()
    session["token"] = given
    return redirect(wanted, 303)


@access.post("/logout")
def leave() -> AnyResponse:
    """Forget the session of this browser."""
    session.clear()
    return redirect("/login", 303)


def _guard() -> AnyResponse | None:
    environ = request.environ  # which has the headers without a search
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS") and "HTTP_AUTHORIZATION" not in environ:
        _refuse_other_sites(environ)
    users = current_app.config["TALKABOUT_USERS"]
    if users is None or request.endpoint in current_app.config["TALKABOUT_OPEN"] or token_digest() in users:
        return None
    if request.method == "GET" and wants_page():
        session["wanted"] = _here()
        return redirect("/login", 303)
    raise Unauthorized("A valid token is needed.", www_authenticate=WWWAuthenticate("bearer"))


def _here() -> str:
    """Give the address of this page, to come back to; what a cookie has no room for begins at the chat page."""
    query = request.query_string.decode("latin-1")
    address = quote(request.path) + (f"?{query}" if query else "")
    return address if len(address) <= _MAX_ADDRESS_CHARS else "/"


def _refuse_other_sites(environ: Mapping[str, str]) -> None:
    """Refuse a write that another site's page makes with this browser's cookie: by Fetch Metadata, else by Origin."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN")
    foreign = site not in ("same-origin", "none") if site else origin and urlsplit(origin).netloc != request.host
    if foreign:
        raise Forbidden("This request came from another site.")


def _users_by_digest(settings: Settings) -> dict[str, str]:
    """Prepare a look-up that takes the same time whatever the token is."""
    return {digest(token): user for token, user in users_by_token(settings).items()}
