"""What can go wrong under /v1 alone: branches of the tree in errors.py."""

from __future__ import annotations

from relay.errors import NotFound, TalkaboutError, UpstreamError


class UpstreamNotJson(UpstreamError):
    """The model server answered 200 with something that is no JSON document."""

    public = "The model server did not answer with JSON."


class ReplyTooLong(UpstreamError):
    """The reply is longer than one may be."""

    public = "The model server's reply is longer than allowed."


class WriterGone(TalkaboutError):
    """The worker that wrote a durable completion is gone, and what was to come with it."""

    public = "The answer broke off, since the server was restarted. Please ask again."
    retriable = True


class EventsGone(NotFound):
    """Events that a reader asks for are not kept any more."""

    public = "What you have not read of this answer is not kept any more."
