"""Response headers that every page and every answer carries; an event stream, which no browser shows, only some."""

from __future__ import annotations

from flask import Flask, Response

from web.event_stream import EVENT_STREAM

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_OF_ALL = (("X-Content-Type-Options", "nosniff"),)
_OF_DOCUMENTS = (
    *_OF_ALL,
    ("Content-Security-Policy", _CSP),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


def init_app(app: Flask) -> None:
    """Send them with every response."""
    app.after_request(_harden)


def _harden(response: Response) -> Response:
    """Nothing inline, nothing from elsewhere, nobody frames us, and no address of ours leaks to other sites."""
    headers = response.headers
    chosen = {name for name, _ in headers}  # `setdefault` would make an exception for each that is not there
    for name, value in _OF_ALL if response.mimetype == EVENT_STREAM else _OF_DOCUMENTS:
        if name not in chosen:
            headers.add(name, value)
    return response
