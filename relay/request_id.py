"""The id of the request that a thread of control works for, so that a log, a problem and a model server name it alike.

Who starts a thread for a request passes the id on: what a thread is given when it starts is not its starter's.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"

current: ContextVar[str] = ContextVar("request_id", default="")

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


def accept(given: str) -> str:
    """Take the id that a client gives, if it can stand in a header and a line of a log, or make one."""
    return given if _VALID.fullmatch(given) else secrets.token_hex(8)
