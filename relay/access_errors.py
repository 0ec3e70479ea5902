"""What can go wrong with who may come in."""

from __future__ import annotations

from relay.errors import ReaderError, TalkaboutError


class AccessEnded(ReaderError):
    """The token or the session that a reader came with does not hold any more."""

    public = "You are signed out."


class TooManyAttempts(TalkaboutError):
    """Somebody, or everybody together, tries to sign in more often than may be."""

    public = "Too many attempts to sign in. Please wait a minute."
    retriable = True
