"""Who may: nobody is asked (`TALKABOUT_AUTH=none`), or a token is needed (`token`; CONTRACT section 8).

web/scopes.py says what each route asks for; here is the one place that asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from flask import Blueprint, Flask, Request, Response, g, redirect, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, NotFound, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from answers.tokens import USUAL, Tokens
from answers.tree import now_us
from relay.settings import Settings
from web import csrf, oidc
from web.accept import wants_page
from web.attempts import too_many
from web.body import form_fields
from web.callers import NOBODY, Callers
from web.current import this_app, this_request
from web.hosts import answers_to
from web.scopes import ALL, ANY, ITSELF, scope_of
from web.services import services
from web.users import by_token, callers, current_caller, current_user, who_is_here

access = Blueprint("access", __name__)

_OF_PAGES = {"chat", "admin"}
_MAX_TOKEN_CHARS = 512
_MAX_ADDRESS_CHARS = 1000


class Cookies(SecureCookieSessionInterface):
    """Session cookies that are Secure exactly where the client came by https."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Look for the session; where no cookie came at all, what reads one need not be made."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the session, unless nothing was in it and nobody has looked; never with a file, which caches keep."""
        if this_request().endpoint == "static":
            return
        if session or session.modified or "Vary" in response.headers:
            super().save_session(app, session, response)
        elif session.accessed:  # there is nothing to write
            response.headers.add("Vary", "Cookie")

    def get_cookie_secure(self, app: Flask) -> bool:
        """Follow the scheme of the request; gunicorn has it from the proxies that it trusts."""
        return request.is_secure


def init_app(app: Flask, settings: Settings, tokens: Tokens) -> None:
    """Guard every request. Raises SettingError for tokens that are none."""
    app.session_interface = Cookies()
    app.config.update(SESSION_COOKIE_NAME="talkabout", SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)
    app.extensions["talkabout.callers"] = Callers(settings, tokens) if settings.auth != "none" else None
    app.jinja_env.globals.update(who_is_here=who_is_here, auth=settings.auth)
    csrf.init_app(app)
    app.extensions["talkabout.hosts"] = answers_to(settings)
    app.before_request(_guard)
    app.register_blueprint(access)


@access.get("/login")
def login() -> ResponseReturnValue:
    """Show the form that asks for the token."""
    known = callers()
    return redirect("/", 303) if known and known.mode == "proxy" else render_template("login.html")


@access.post("/login")
def enter() -> ResponseReturnValue:
    """Give the session cookie for a token, and lead to the page that was wanted."""
    known = callers()
    if known is None or known.mode == "proxy":
        return redirect("/", 303)
    if refused := too_many():
        return refused
    credential = known.credential(form_fields().text("token", _MAX_TOKEN_CHARS, default="").strip(), now_us())
    caller = known.who(credential)
    if not caller.scopes & _OF_PAGES:
        return render_template("login.html", refused="refused"), 401
    wanted = session.get("wanted", "/" if "chat" in caller.scopes else "/admin")
    session.clear()
    session.update(token=credential.digest, since=credential.since_us)
    return redirect(wanted, 303)


@access.post("/logout")
def leave() -> ResponseReturnValue:
    """Forget the session of this browser, and let whoever came from the provider be signed out there too."""
    from_provider = "oidc" in session
    session.clear()
    g.pop("caller", None)
    return oidc.leave() if from_provider else redirect("/login", 303)


@access.post("/logout/everywhere")
def leave_everywhere() -> ResponseReturnValue:
    """End all sessions of this user, on whatever device."""
    csrf.check(form_fields())
    services().tokens.sign_out(current_user())
    return leave()


@access.get("/account")
def account() -> str:
    """Show who is signed in, with the ways out."""
    known = callers()
    if known is None:
        raise NotFound
    return render_template("account.html", mode=known.mode)


def _guard() -> AnyResponse | None:
    here = this_request()
    environ = here.environ  # which has the headers without a search
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS") and not by_token(environ):
        _refuse_other_sites(environ)
    scope = scope_of(here.endpoint)
    if scope == ALL:
        return None
    ours = this_app().extensions["talkabout.hosts"]
    if ours is not None and not ours(environ.get("HTTP_HOST", "")):
        raise Forbidden("This server does not answer to this name. Who runs it can add it to TALKABOUT_HOSTS.")
    if scope == ITSELF:
        return None
    if callers() is None:
        has = USUAL  # whose request it is, is not looked for until somebody asks: most do not
    elif (caller := current_caller()) is NOBODY:
        return _ask_who()
    else:
        has = caller.scopes
    if scope == ANY or scope in has:
        return None
    if scope in USUAL:
        raise Forbidden(f"This takes a token with the scope {scope}.")
    raise NotFound  # what only administrators may, is not there for others; nor is what web/scopes.py does not know


def _ask_who() -> AnyResponse:
    known = callers()
    if request.method == "GET" and wants_page() and known and known.mode != "proxy":
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
    foreign = site not in ("same-origin", "none") if site else origin and not _is_here(origin)
    if foreign:
        raise Forbidden("This request came from another site.")


def _is_here(origin: str) -> bool:
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:  # it is no address
        return False
