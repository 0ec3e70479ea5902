"""Response headers that every page and every answer carries."""

from __future__ import annotations

from flask import Flask, Response

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


def init_app(app: Flask) -> None:
    """Send them with every response."""
    app.after_request(_harden)


def _harden(response: Response) -> Response:
    """Nothing inline, nothing from elsewhere, nobody frames us, and no address of ours leaks to other sites."""
    response.headers.setdefault("Content-Security-Policy", _CSP)
    response.headers.add("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.add("Cross-Origin-Opener-Policy", "same-origin")
    return response
