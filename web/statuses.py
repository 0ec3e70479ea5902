"""Which HTTP status an error of ours has before a stream, and when a client may come back."""

from __future__ import annotations

from relay.access_errors import AccessEnded
from relay.answer_errors import AnswerFailed
from relay.errors import (
    Conflict,
    DatabaseError,
    Draining,
    JournalError,
    NotFound,
    Overloaded,
    ReaderError,
    TalkaboutError,
    TooManyAnswers,
    TooManyReaders,
    UpstreamError,
    UpstreamTimeout,
)
from relay.file_errors import FileError, FileNotTaken, FileTooLarge
from relay.limit_errors import LimitReached
from relay.route_errors import PromptTooLong, UpstreamBusy

_BUSY_RETRY_AFTER_S = 2
_OF_AN_ANSWER = {"upstream_timeout": 504, "upstream_busy": 503, "prompt_too_long": 422}
_STATUS: dict[type[TalkaboutError], int] = {
    LimitReached: 429,
    TooManyAnswers: 429,
    TooManyReaders: 429,
    AccessEnded: 401,
    ReaderError: 400,  # nobody reads it: it is for the metrics, where it is no fault of ours
    Overloaded: 503,
    Draining: 503,
    JournalError: 503,
    DatabaseError: 503,
    NotFound: 404,
    Conflict: 409,
    FileTooLarge: 413,
    FileNotTaken: 415,
    FileError: 422,  # every other of a file
    UpstreamTimeout: 504,
    UpstreamBusy: 503,
    PromptTooLong: 422,
    UpstreamError: 502,  # every other of the model server's
}


def retry_after(status: int, wait_s: int | None = None) -> dict[str, str]:
    """Make the header that tells a client when to come back, for what passes by itself."""
    return {"Retry-After": str(wait_s or _BUSY_RETRY_AFTER_S)} if status in (429, 503) else {}


def status_of(error: TalkaboutError) -> int:
    """Say which status an error has when it comes before the stream."""
    if isinstance(error, AnswerFailed):
        return _OF_AN_ANSWER.get(error.failure, 502)
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
