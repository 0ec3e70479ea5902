"""Whose work a thread of control does: the id of the request, and the trace that it belongs to.

A log, a problem and a model server name the request alike. Who starts a thread for a request passes this on: what a
thread is given when it starts is not its starter's.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

HEADER = "X-Request-Id"
TRACE = "traceparent"

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_VALID_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, 3.2


class Origin(NamedTuple):
    """Hold a request's id, and its `traceparent`; empty where there is none."""

    id: str = ""
    trace: str = ""

    def headers(self) -> dict[str, str]:
        """Make the headers that tell a model server of them."""
        return {name: value for name, value in ((HEADER, self.id), (TRACE, self.trace)) if value}


NOBODY = Origin()

current: ContextVar[Origin] = ContextVar("origin", default=NOBODY)


def accept(given: str, trace: str) -> Origin:
    """Take the id and the trace that a client gives, if they can stand in a header and a log; make an id if not."""
    return Origin(
        given if _VALID.fullmatch(given) else secrets.token_hex(8), trace if _VALID_TRACE.fullmatch(trace) else ""
    )
