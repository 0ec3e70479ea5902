"""What goes wrong on the way to a model server, before one is asked."""

from __future__ import annotations

from relay.errors import UpstreamError


class UpstreamBusy(UpstreamError):
    """Every slot of the model's servers is taken, and the queue before them is full or too slow.

    `wait_s` are the seconds after which a slot may be free, by how long slots were held lately.
    """

    public = "The model is busy with other answers. Please try again in a moment."
    retriable = True

    def __init__(self, detail: str, wait_s: int) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class PromptTooLong(UpstreamError):
    """The prompt cannot fit into the context that the operator has given for the model; nobody was asked."""

    public = "The prompt is longer than the model can take."
