"""The branches of a conversation, from its messages as they are read: which way leads to one, and what is beside it.

Messages come in the order of their making, so that whatever follows a message stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from answers.tree import branch
from relay.errors import NotFound

Message = dict[str, Any]


def upto(messages: Sequence[Message], message: str) -> list[Message]:
    """List the messages on the way to one, which is the last. Raises NotFound if it is not there."""
    if not any(each["id"] == message for each in messages):
        raise NotFound(f"no message {message!r} in the conversation")
    return branch(messages, message)


def through(messages: Sequence[Message], message: str | None = None) -> list[Message]:
    """List the branch that leads through a message to the newest that follows it; without one, to the newest of all.

    Raises NotFound if it is not there.
    """
    if message is None:
        return branch(messages, messages[-1]["id"] if messages else None)
    last = upto(messages, message)[-1]
    following = {message}
    for each in messages:
        if each["parent"] in following:
            following.add(each["id"])
            last = each
    return branch(messages, last["id"])


def versions(messages: Sequence[Message]) -> dict[str | None, list[str]]:
    """List, by what they follow, the messages that are versions of each other, the oldest first."""
    below: dict[str | None, list[str]] = {}
    for each in messages:
        below.setdefault(each["parent"], []).append(each["id"])
    return below
