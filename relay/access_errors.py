"""What can go wrong with who may come in."""

from __future__ import annotations

from relay.errors import ReaderError


class AccessEnded(ReaderError):
    """The token or the session that a reader came with does not hold any more."""

    public = "You are signed out."
