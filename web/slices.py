"""Long texts as a page holds them: in pieces, so that a browser lays out only those that are seen."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask
from markupsafe import Markup

SLICE_CHARS = 4000


def init_app(app: Flask) -> None:
    """Give the templates the filter `sliced`."""
    app.jinja_env.filters["sliced"] = sliced


def sliced(text: str) -> str | Markup:
    """Put the pieces of a long text into elements of their own; a short one stays as it is."""
    if len(text) <= 2 * SLICE_CHARS:
        return text
    return Markup().join(Markup('<span class="slice">{}</span>').format(each) for each in pieces(text))


def pieces(text: str) -> Iterator[str]:
    """Cut a text behind lines; a line that is too long itself behind a blank, or where there is none, anywhere."""
    at = 0
    while at < len(text):
        end = at + SLICE_CHARS
        to = text.rfind("\n", at, end) + 1 or text.rfind(" ", at, end) + 1 or end
        if end >= len(text):
            to = end
        yield text[at:to]
        at = to
