"""Which failures before the first byte are worth another try, and after what pause."""

from __future__ import annotations

import random

from relay.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamNotAStream,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.reply_errors import UpstreamNotJson

FIRST_PAUSE_S = 0.5
PATIENT_PAUSE_S = 0.25
MAX_RETRY_AFTER_S = 5.0


def pause(error: UpstreamError, tried: int) -> float | None:
    """Give the seconds to wait after the `tried`-th failure, counted from 0; None if trying again is pointless."""
    if not may_pass(error):
        return None
    if isinstance(error, UpstreamRefused) and error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_RETRY_AFTER_S else None
    # Full jitter: callers that failed together do not come back together.
    return random.uniform(0, FIRST_PAUSE_S * 2**tried)  # noqa: S311


def still_starting(error: UpstreamError) -> bool:
    """Tell if a server that is being started may fail like this: nothing listens yet, or 503."""
    return isinstance(error, UpstreamUnreachable) or (isinstance(error, UpstreamRefused) and error.status == 503)


def may_pass(error: UpstreamError) -> bool:
    """Tell if the same server may take the same request a moment later."""
    if isinstance(error, UpstreamTimeout):
        return error.limit == "connect"
    if isinstance(error, UpstreamRefused):
        return error.status in (429, 503)
    return isinstance(error, UpstreamUnreachable)


def elsewhere(error: UpstreamError) -> bool:
    """Tell if another server that has the model may do what this one could not, before the first byte of an answer.

    A 404 comes from one that has the model no more since it listed it (Ollama, vLLM, Xinference). Any other 4xx is
    about the request.
    """
    if isinstance(error, UpstreamTimeout):
        return error.limit in ("connect", "first_byte")
    if isinstance(error, UpstreamRefused):
        return error.status in (404, 429) or error.status >= 500
    return isinstance(error, (UpstreamUnreachable, UpstreamBroken, UpstreamNotAStream, UpstreamNotJson))
