"""What can be wrong with a model server's reply that is no stream: a branch of the tree in errors.py."""

from __future__ import annotations

from relay.errors import UpstreamError


class UpstreamNotJson(UpstreamError):
    """The model server answered 200 with something that is no JSON document."""

    public = "The model server did not answer with JSON."


class ReplyTooLong(UpstreamError):
    """The reply is longer than one may be."""

    public = "The model server's reply is longer than allowed."
