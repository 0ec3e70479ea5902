"""What was asked for, in numbers and bars: everyone's for who administers, their own for every user."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request

from answers.usage import NAMES, Row, today
from web.fields import FieldError
from web.services import services
from web.users import current_user

usage_page = Blueprint("usage_page", __name__)

MAX_DAYS = 366
MAX_CSV_ROWS = 50_000
_SHOWN_DAYS = 30
_LARGEST = 50
_COLUMNS = (*NAMES, *Row._fields[1:])


@usage_page.get("/usage")
def mine() -> str:
    """Show the numbers of the current user."""
    return _page(("model",), current_user())


@usage_page.get("/admin/usage")
def everyones() -> str:
    """Show everybody's numbers, or those of the user `user`."""
    user = request.args.get("user") or None
    return _page(("model", "token") if user else ("user", "model", "token"), user, admin=True)


@usage_page.get("/admin/usage.csv")
def as_csv() -> Response:
    """Give the rows as they are kept. Raises FieldError if they are too many for one file."""
    first, last = _days()
    rows = services().usage.rows(first, last, NAMES, MAX_CSV_ROWS + 1, request.args.get("user") or None)
    if len(rows) > MAX_CSV_ROWS:
        raise FieldError("from", f"These are more than {MAX_CSV_ROWS} rows. Ask for fewer days.")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows([*map(harmless, row.name), *row[1:]] for row in rows)
    name = f"usage-{first}-{last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(out.getvalue(), mimetype="text/csv", headers=headers)


def harmless(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def _page(by: tuple[str, ...], user: str | None, admin: bool = False) -> str:
    first, last = _days()
    rows = services().usage.rows
    found = {row.name[0]: row for row in rows(first, last, ("day",), MAX_DAYS, user)}
    days = [found.get(day, Row((day,), 0, 0, 0, 0)) for day in _each(first, last)]
    groups = {name: rows(first, last, (name,), _LARGEST, user) for name in by}
    total = Row(("",), *(sum(column) for column in zip(*(row[1:] for row in days), strict=True)))
    shown: dict[str, Any] = {"first": first, "last": last, "today": today(), "admin": admin, "user": user}
    return render_template("usage.html", days=days, groups=groups, total=total, largest=_LARGEST, **shown)


def _days() -> tuple[date, date]:
    """Read the first and the last day that are asked for; what is no day, or too long ago, is as near as can be."""
    last = min(_day("to") or today(), today())
    first = _day("from") or last - timedelta(days=_SHOWN_DAYS - 1)
    return max(min(first, last), last - timedelta(days=MAX_DAYS - 1)), last


def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return day if day.year >= 2000 else None


def _each(first: date, last: date) -> Iterable[str]:
    return ((first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1))
