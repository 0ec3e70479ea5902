"""What a client takes: an event stream, a page, or what programs read."""

from __future__ import annotations

from functools import lru_cache

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotFound
from werkzeug.http import parse_accept_header

from web.event_stream import EVENT_STREAM

_PAGES = ("pages", "list_page", "playground", "access", "oidc", "admin", "usage_page")


def wants_events() -> bool:
    """Tell if the client asks for an event stream by its name; `*/*` is no such wish."""
    return _accepts(EVENT_STREAM)


def wants_page() -> bool:
    """Tell if a browser asks for one of our pages; anything else of ours is for programs, whatever they accept."""
    return request.blueprint in _PAGES and _accepts("text/html")


def is_lost() -> bool:
    """Tell if a browser opens an address that does not exist."""
    unknown = request.endpoint == "static" or isinstance(request.routing_exception, NotFound)
    return unknown and _accepts("text/html")


def _accepts(kind: str) -> bool:
    return kind in _named(request.headers.get("Accept", ""))


@lru_cache(maxsize=64)  # clients say the same again and again
def _named(accept: str) -> frozenset[str]:
    """Collect the kinds that a client takes, without their parameters."""
    accepted = parse_accept_header(accept, MIMEAccept)
    return frozenset(value.partition(";")[0].strip().lower() for value, quality in accepted if quality > 0)
