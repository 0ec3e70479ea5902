"""What a user's other tabs and devices are told of the conversations, on the user's channel."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import orjson

from answers.channels import Channels
from answers.conversations import Conversation
from answers.store import AnswerRow
from relay.errors import JournalError

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1)  # UTC without saying so: an offset would only be cut off again


def tell(channels: Channels, user: str, change: str, data: dict[str, Any]) -> None:
    """Tell that a conversation was `created`, `changed` or `deleted`."""
    try:
        channels.tell(user, orjson.dumps(data).decode(), f"conversation.{change}")
    except JournalError as error:  # the change itself is done, and they see it when they ask
        log.warning("nobody was told of a conversation that was %s: %s", change, error)


def told_so_far(channels: Channels, user: str) -> str:
    """Name the last thing that was told, for a page that is about to be made; empty if that is not known just now."""
    try:
        return channels.last(user)
    except JournalError as error:  # the page is told to look at everything instead
        log.warning("a page does not know what it has been told: %s", error)
        return ""


def tell_of_answer(channels: Channels, row: AnswerRow, change: str = "changed") -> None:
    """Tell that an answer of a conversation has begun, has ended, or goes on; nobody is told of one that is deleted."""
    if row.within.deleted_us is None:
        tell(channels, row.user, change, {**as_json(row.within), "answer": {"id": row.id, "state": row.state}})


def as_json(conversation: Conversation) -> dict[str, Any]:
    """Show a conversation as its owner sees it in the list."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": when(conversation.created_us),
        "changed": when(conversation.changed_us),
        "pinned": conversation.pinned_us is not None,
        "system": conversation.system,
        "temperature": conversation.temperature,
        "max_tokens": conversation.max_tokens,
        "shared": f"/s/{conversation.shared}" if conversation.shared else None,
    }


def when(us: int) -> str:
    """Write a time as RFC 3339 has it."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"
