"""What ends the writing of an answer, beside its model server: branches of the tree in errors.py."""

from __future__ import annotations

from relay.errors import TalkaboutError, UpstreamError


class AnswerTooLong(TalkaboutError):
    """The answer has as many characters as one may have."""

    public = "The answer is longer than allowed."


class AnswerFailed(UpstreamError):
    """The answer failed before its first word; says so as its terminal event does."""

    def __init__(self, code: str, message: str, retriable: bool) -> None:
        super().__init__(message)
        self.failure = code
        self.public = message
        self.retriable = retriable


class AdoptedTooOften(TalkaboutError):
    """The answer has lost its producer, or its upstream, more often than it is taken up again."""

    public = "The answer broke off, again and again."
    retriable = True


class Replaced(TalkaboutError):
    """Another producer writes the answer now; this one has nothing more to say."""
