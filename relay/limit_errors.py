"""What may not be asked for now, and will be again before long."""

from __future__ import annotations

from relay.errors import TalkaboutError


class LimitReached(TalkaboutError):
    """A user or a token has used as much as it may; `limit` names what, `wait_s` is how long until more is left."""

    retriable = True

    def __init__(self, limit: str, most: int, wait_s: int) -> None:
        self.limit = limit
        self.wait_s = wait_s
        self.public = f"You may use {most} {limit.replace('_', ' ')}. Please try again in {wait_s} seconds."
        super().__init__(f"{most} {limit}, {wait_s} s to go")
