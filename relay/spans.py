"""Where parts of a request's work are told to whoever traces them (web/traces.py); as a rule nobody does.

What is told are plain facts under names of ours, never a text that somebody wrote, and nothing for each token.
"""

from __future__ import annotations

from typing import Protocol

from relay.errors import TalkaboutError
from relay.request_id import Origin
from relay.tally import tokens_in

SERVER, ANSWER, CALL = "server", "answer", "call"

Fact = str | int | float | bool


class Span(Protocol):
    """One part, from when it was begun to `end`; all of it from any thread."""

    @property
    def origin(self) -> Origin:
        """Whose work it is that is done under it."""

    def note(self, event: str, **facts: Fact | None) -> None:
        """Note a moment of it, and what is known of it by then."""

    def tell(self, **facts: Fact | None) -> None:
        """Say what is known of it by now; None stands for what is not."""

    def fail(self, error: TalkaboutError) -> None:
        """Say what went wrong."""

    def end(self) -> None:
        """End it; what comes later is not heard."""


class Tracer(Protocol):
    """Whoever makes them: of a kind, under what stands in `origin`."""

    def __call__(self, kind: str, name: str, origin: Origin, **facts: Fact) -> Span: ...


_tracer: Tracer | None = None


def tell(tracer: Tracer | None) -> None:
    """Have everything of this process told to a tracer from now on, or to nobody."""
    global _tracer  # noqa: PLW0603  of one process, as the log is
    _tracer = tracer


def begin(kind: str, name: str, origin: Origin, **facts: Fact) -> Span | None:
    """Begin a part, if somebody traces; whoever begins it ends it."""
    return None if _tracer is None else _tracer(kind, name, origin, **facts)


def count(span: Span | None, prompt: object, completion: object) -> None:
    """Say what a call has cost, by the model server's own count of tokens, where it gave one."""
    if span is not None:
        span.tell(prompt_tokens=tokens_in(prompt), completion_tokens=tokens_in(completion))
