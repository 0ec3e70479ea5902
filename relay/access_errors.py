"""What can go wrong with who may come in."""

from __future__ import annotations

from relay.errors import ReaderError, TalkaboutError


class AccessEnded(ReaderError):
    """The token or the session that a reader came with does not hold any more."""

    public = "You are signed out."


class SignInFailed(TalkaboutError):
    """The provider, or what a browser brought back from it, proves nobody; `away` if it could not be reached."""

    public = "Signing in there did not work. Please try again."

    def __init__(self, what: str, away: bool = False) -> None:
        super().__init__(what)
        self.away = away
