"""Searching conversations: a few at a time, since SQLite lets nothing else of the worker go on while it looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, exists, or_

from answers.tables import conversations, messages

Place = tuple[int, str]  # where a list of conversations goes on: behind the one that changed then and has this id

_FIRST, _MOST = 16, 1024  # conversations at a time
_WITHIN_S = 0.01
_REST_S = 0.001  # with none at all gevent would come back before it looks at any socket


def look_through(read: Callable[[Place | None, int], list[Any]], after: Place | None, limit: int) -> list[Any]:
    """List the first rows that are found, each without its last column, which says that it is.

    `read` gives so many rows behind a place. How many are asked for at a time follows from how long that takes.
    """
    found: list[Any] = []
    some = _FIRST
    while len(found) < limit:
        began = time.monotonic()
        rows = read(after, some)
        found += [row[:-1] for row in rows if row[-1]]
        if len(rows) < some:
            break
        after = (rows[-1].changed_us, rows[-1].id)
        some = min(2 * some, _MOST) if time.monotonic() - began < _WITHIN_S else max(some // 2, 1)
        time.sleep(_REST_S)
    return found[:limit]


def mentions(q: str, in_sqlite: bool) -> ColumnElement[bool]:
    """Tell if a conversation has a text in its title or in a message, in capital or small letters."""
    # What SQLite compares by itself it finds ten times as fast: letters of ASCII, and those that have no case.
    contains = (
        "contains" if in_sqlite and all(each.isascii() or each.lower() == each.upper() for each in q) else "icontains"
    )
    title, content = (
        getattr(column, contains)(q, autoescape=True) for column in (conversations.c.title, messages.c.content)
    )
    return or_(title, exists().where(messages.c.conversation == conversations.c.id, content))
