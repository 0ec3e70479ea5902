"""The page on which administrators make and revoke tokens; it works without JavaScript."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from answers.limits import Limits
from answers.tokens import SCOPES, USUAL
from web import csrf
from web.body import form_fields
from web.callers import MAX_NAME_CHARS, is_name
from web.fields import FieldError
from web.i18n import t
from web.services import services
from web.tokens_cli import MAX_DAYS, MAX_LIMIT, day, expiry_us

admin = Blueprint("admin", __name__)

LIMITS = tuple(vars(Limits()))
_TIME = re.compile(r"[0-9]{1,16}")
_BOUNDS = {"max_name": MAX_NAME_CHARS, "max_days": MAX_DAYS, "max_limit": MAX_LIMIT}


@admin.get("/admin")
def index() -> AnyResponse:
    """Lead to the tokens."""
    return redirect("/admin/tokens", 303)


@admin.get("/admin/tokens")
def tokens() -> ResponseReturnValue:
    """List the tokens, the newest first, from before the time `before` on."""
    return _page(filled={f"scope_{scope}": "on" for scope in USUAL})


@admin.post("/admin/tokens")
def create() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    form = form_fields()
    csrf.check(form)
    filled = {name: str(value).strip() for name, value in form.values.items()}
    try:
        user, name = _name(filled, "user", required=True), _name(filled, "name")
        scopes = frozenset(scope for scope in SCOPES if filled.get(f"scope_{scope}"))
        if not scopes:
            raise FieldError("scope_chat", t("admin.error.scopes"))
        days = _whole(filled, "days", MAX_DAYS)
        limits = Limits(**{each: _whole(filled, each, MAX_LIMIT) for each in LIMITS})
    except FieldError as error:
        return _page(filled=filled, wrong=error.field, why=error.detail), 422
    made, row = services().tokens.create(user, name, scopes, expiry_us(days), limits)
    return _page(filled={f"scope_{scope}": "on" for scope in USUAL}, made=made, made_row=row), 201


@admin.post("/admin/tokens/<token>/revoke")
def revoke(token: str) -> AnyResponse:
    """End a token."""
    csrf.check(form_fields())
    services().tokens.revoke(token)
    return redirect("/admin/tokens", 303)


@admin.post("/admin/sign-out")
def sign_out() -> AnyResponse:
    """End all sessions of a user in browsers."""
    form = form_fields()
    csrf.check(form)
    services().tokens.sign_out(form.text("user", MAX_NAME_CHARS))
    return redirect("/admin/tokens", 303)


def _name(filled: dict[str, str], field: str, required: bool = False) -> str:
    text = filled.get(field, "")
    if (required or text) and not is_name(text):
        raise FieldError(field, t("admin.error.name", limit=MAX_NAME_CHARS))
    return text


def _whole(filled: dict[str, str], field: str, most: int) -> int | None:
    text = filled.get(field, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise FieldError(field, t("admin.error.number", limit=most))
    return int(text)


def _page(**values: Any) -> Response:
    before = request.args.get("before", "")
    listed, more = services().tokens.list_(int(before) if _TIME.fullmatch(before) else None)
    page = render_template(
        "admin_tokens.html", tokens=listed, more=more, scopes=SCOPES, limits=LIMITS, day=day, **_BOUNDS, **values
    )
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})
