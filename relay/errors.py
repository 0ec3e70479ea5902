"""Everything that can go wrong, as one tree.

    TalkaboutError
    ├── SettingError
    ├── EventStreamError    EventTooLong, BadEventField
    ├── ReaderError         ReaderGone, ReaderTooSlow, StreamTimeout, StreamEnded
    ├── JournalError, DatabaseError (NotMigrated)
    ├── NotFound, Conflict, BadUserId
    ├── Draining, Overloaded, TooManyAnswers, TooManyReaders
    ├── AnswerTooLong, AdoptedTooOften, Replaced in answer_errors.py
    ├── FileError, LimitReached, AccessEnded, SignInFailed in file_errors.py, limit_errors.py, access_errors.py
    └── UpstreamError       UpstreamUnreachable, UpstreamTimeout, UpstreamRefused, UpstreamNotAStream, UpstreamFailed,
                            UpstreamBroken, UpstreamStopped; more in answer_, reply_ and route_errors.py

Each answers the two questions of whoever catches it: `public` is what a user may read (never a key, an address or a
traceback; the details stand in `str(error)`, which is for the log), and `retriable` says if trying again can help.
"""

from __future__ import annotations

import re


class TalkaboutError(Exception):
    """Base of every error that this project raises on purpose."""

    public = "Something went wrong."
    retriable = False
    wait_s: int | None = None  # in seconds, where it is known how long that should wait

    @property
    def code(self) -> str:
        """Name the kind of error for programs and translations: `UpstreamTimeout` is `upstream_timeout`."""
        return re.sub(r"(?<!^)([A-Z])", r"_\1", type(self).__name__).lower()


class SettingError(TalkaboutError):
    """A setting has a value that it cannot have; the text names the setting."""


class EventStreamError(TalkaboutError):
    """Bytes that are no event stream, or an event that cannot be written."""

    public = "The event stream could not be read."


class EventTooLong(EventStreamError):
    """A line or an event is longer than the bound; the decoder takes nothing more."""

    public = "The model server sent an event that is longer than allowed."


class BadEventField(EventStreamError, ValueError):
    """An event name or an id that no event stream can carry."""


class ReaderError(TalkaboutError):
    """The reader of a stream cannot be served any longer."""


class ReaderGone(ReaderError):
    """The reader has closed its connection."""

    public = "The reader has gone."


class ReaderTooSlow(ReaderError):
    """The reader did not take what waited for it in time."""

    public = "The reader did not keep up."
    retriable = True


class StreamTimeout(ReaderError):
    """The stream has reached the longest time that it may last."""

    public = "The stream lasted longer than allowed."
    retriable = True


class StreamEnded(ReaderError):
    """Something was written to a stream after its end."""

    public = "The stream has ended already."


class Draining(TalkaboutError):
    """This process is being replaced; the same request works on the next one."""

    public = "The server is restarting. Please try again."
    retriable = True


class TooManyAnswers(TalkaboutError):
    """As many answers as one user may have are being written already."""

    public = "You have as many answers being written as you may have. Please wait for one to end."
    retriable = True


class TooManyReaders(TalkaboutError):
    """As many readers as one user may have on a worker are reading already."""

    public = "You follow as many answers as you may at once. Please close some."
    retriable = True


class Overloaded(TalkaboutError):
    """This process serves as many streams as it may."""

    public = "Too many answers are being written right now. Please try again in a moment."
    retriable = True


class JournalError(TalkaboutError):
    """The journal cannot be read or written: disk full, locked for too long, damaged."""

    public = "The server cannot store answers right now."
    retriable = True


class DatabaseError(TalkaboutError):
    """The database cannot be read or written: down, locked for too long, not migrated."""

    public = "The server cannot reach its database right now."
    retriable = True


class NotMigrated(DatabaseError):
    """The tables of the database are not those that this code works with."""

    public = "The tables of the database are of another version. Restart the server or run `python -m answers.migrate`."
    retriable = False


class NotFound(TalkaboutError):
    """What was asked for is not there, or another user's."""

    public = "There is no such thing here."


class Conflict(TalkaboutError):
    """What was asked for cannot be done as things stand; the text says why and is for users too."""

    @property
    def public(self) -> str:  # type: ignore[override]
        """Say why."""
        return str(self)


class BadUserId(TalkaboutError, ValueError):
    """A user id that no channel can have."""

    public = "A user id has 1 to 128 characters and no control characters."


class UpstreamError(TalkaboutError):
    """The model server could not do what was asked of it; `upstream` names it, where several could have been asked."""

    public = "The model server failed."
    upstream = ""


class UpstreamUnreachable(UpstreamError):
    """No connection to the model server: refused, no such name, no TLS."""

    public = "The model server cannot be reached."
    retriable = True


class UpstreamTimeout(UpstreamError):
    """The model server took too long; `limit` names which time is over."""

    public = "The model server took too long."
    retriable = True

    def __init__(self, limit: str, seconds: float) -> None:
        super().__init__(f"{limit} timeout: {seconds:g} s")
        self.limit = limit


class UpstreamRefused(UpstreamError):
    """The model server answered with a status other than 200.

    `status` is its status, `retry_after` the seconds that it asks to wait, `too_long` says that the prompt does not fit
    into the model's context. `said` is the body that it gave, unless that is for nobody outside.
    """

    said = b""

    def __init__(self, status: int, detail: str = "", retry_after: float | None = None, too_long: bool = False) -> None:
        super().__init__(f"status {status}: {detail}")
        self.status = status
        self.retry_after = retry_after
        self.retriable = status in (429, 503)
        refused = f"The model server refused the request (status {status})."
        self.public = "The prompt is longer than the model can take." if too_long else refused


class UpstreamNotAStream(UpstreamError):
    """The model server answered 200 with something that is no event stream."""

    public = "The model server did not answer with an event stream."


class UpstreamFailed(UpstreamError):
    """The model server reported an error inside the stream."""

    public = "The model server reported an error."


class UpstreamBroken(UpstreamError):
    """The stream of the model server broke off before its end."""

    public = "The model server broke off before the end of the answer."
    retriable = True


class UpstreamStopped(UpstreamError):
    """The request was stopped from our side."""

    public = "The answer was stopped."
