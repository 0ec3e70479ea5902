"""The response that carries an event stream, and its headers (CONTRACT section 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class Streamed(Response):
    """A response whose blocks are bytes, and whose headers are as they are to go out: nothing is looked for in them."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Give the headers."""
        return self.headers

    def iter_encoded(self) -> Iterator[bytes]:
        """Give the blocks."""
        return iter(cast("Iterable[bytes]", self.response))


def headers_alone() -> Response:
    """Answer HEAD as GET would, without a stream: Werkzeug would neither run its generator nor close it."""
    return Response(iter(()), mimetype=EVENT_STREAM, headers=HEADERS)  # of a list it would send the length, 0
