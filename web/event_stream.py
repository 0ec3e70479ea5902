"""The headers of an event stream (CONTRACT section 1)."""

from __future__ import annotations

from flask import Response

EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def headers_alone() -> Response:
    """Answer HEAD as GET would, without a stream: Werkzeug would neither run its generator nor close it."""
    return Response(iter(()), mimetype=EVENT_STREAM, headers=HEADERS)  # of a list it would send the length, 0
