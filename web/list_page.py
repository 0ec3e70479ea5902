"""The list of conversations as a page of its own: who has no JavaScript searches and pages through it here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, render_template, request

from web.news import as_json
from web.services import services
from web.users import current_user, remember_browser

list_page = Blueprint("list_page", __name__)

_MAX_QUERY_CHARS = 200
_GROUPS = {"today": 0, "yesterday": 1, "week": 7}  # how many days ago at most; a script counts the reader's own days


@list_page.get("/conversations")
def conversations() -> str:
    """List them, or those that `q` is found in; a cursor that no page gave begins anew."""
    remember_browser()
    q = request.args.get("q", "").strip()[:_MAX_QUERY_CHARS]
    kept, before = services().store.conversations, request.args.get("before") or None
    try:
        page = kept.list_(current_user(), q, before)
    except ValueError:
        page = kept.list_(current_user(), q)
    found = [as_json(each) for each in page.conversations]
    groups = [("found", found)] if q else by_age(found)
    return render_template("conversations.html", q=q, groups=groups, before=page.before)


@list_page.app_template_filter()
def by_age(listed: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Sort conversations, as they are shown, into groups by the day of their last change."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_GROUPS, "earlier")}
    today = datetime.now(UTC).date()
    for each in listed:
        days = (today - date.fromisoformat(each["changed"][:10])).days
        groups[next((name for name, most in _GROUPS.items() if days <= most), "earlier")].append(each)
    return list(groups.items())
