"""What a client takes: an event stream, a page, or what programs read."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import NotFound

_PAGES = ("pages", "playground", "access")


def wants_page() -> bool:
    """Tell if a browser asks for one of our pages; anything else of ours is for programs, whatever they accept."""
    return request.blueprint in _PAGES and _accepts_html()


def is_lost() -> bool:
    """Tell if a browser opens an address that does not exist."""
    unknown = request.endpoint == "static" or isinstance(request.routing_exception, NotFound)
    return unknown and _accepts_html()


def _accepts_html() -> bool:
    return "text/html" in request.headers.get("Accept", "")
