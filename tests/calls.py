"""A call of an upstream, made to its end."""

from __future__ import annotations

from relay.upstream import Call


def whole(call: Call) -> bytes:
    """Open a call, read all of its body, and close it, however that goes."""
    try:
        call.open()
        return b"".join(call)
    finally:
        call.close()
