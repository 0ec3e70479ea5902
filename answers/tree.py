"""The messages of a conversation as a tree: where a prompt goes, which way leads to it, and what a model reads of it.

These are the statements of transactions that others begin.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, insert, select, update

from answers.tables import conversations, messages
from relay.errors import NotFound

ROOT = ""  # as a parent: the prompt begins the conversation anew
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_GIVEN_TITLE_CHARS = 80
_NEW_ANSWER = {"state": "running", "reasoning": "", "chars": 0, "sha256": hashlib.sha256().hexdigest(), "adoptions": 0}


class Asked(NamedTuple):
    """Hold what an answer is asked for with, cleaned; without a parent it follows the newest message."""

    user: str
    prompt: str
    model: str
    conversation: str | None
    parent: str | None
    answer: str


def new_id() -> str:
    """Make an id for a conversation or a message."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Say if this can be an id: what cannot is not looked up, since PostgreSQL refuses some texts."""
    return ID.fullmatch(text) is not None


def now_us() -> int:
    """Tell the time in microseconds since 1970."""
    return time.time_ns() // 1000


def title_of(prompt: str) -> str:
    """Make a title of a prompt's beginning."""
    words = " ".join(prompt[: 4 * _GIVEN_TITLE_CHARS].split())
    return words if len(words) <= _GIVEN_TITLE_CHARS else words[: _GIVEN_TITLE_CHARS - 1].rstrip() + "…"


def branch(rows: Iterable[dict[str, Any]], leaf: str | None) -> list[dict[str, Any]]:
    """List the messages on the way from the root to a leaf."""
    by_id = {row["id"]: row for row in rows}
    way: list[dict[str, Any]] = []
    while leaf is not None:
        way.append(by_id[leaf])
        leaf = by_id[leaf]["parent"]
    return way[::-1]


def touch(connection: Connection, user: str, conversation: str, title: str = "") -> None:
    """Note that a conversation changes, which locks it until the commit; one without a title gets this one."""
    mine = (conversations.c.id == conversation) & (conversations.c.user == user)
    named = case((conversations.c.title == "", title), else_=conversations.c.title)
    changed = update(conversations).where(mine).values(changed_us=now_us(), title=named)
    if not is_id(conversation) or not connection.execute(changed).rowcount:
        raise NotFound(f"no conversation {conversation!r}")


def append(connection: Connection, asked: Asked, conversation: str) -> None:
    """Add the prompt and its running answer to a conversation that touch() has locked."""
    newest = select(messages.c.id, messages.c.position).where(messages.c.conversation == conversation)
    last = connection.execute(newest.order_by(messages.c.position.desc()).limit(1)).first()
    position = last.position + 1 if last else 1
    prompt, parent = None, last.id if last else None
    if asked.parent is not None:
        parent = _parent(connection, asked.parent, conversation)
        prompt = _same_prompt(connection, conversation, parent, asked.prompt)
    row = {"conversation": conversation, "created_us": now_us()}
    if prompt is None:
        prompt = new_id()
        more = {"id": prompt, "position": position, "parent": parent, "role": "user", "content": asked.prompt}
        connection.execute(insert(messages).values(row | more))
    more = {"id": asked.answer, "position": position + 1, "parent": prompt, "role": "assistant", "content": ""}
    connection.execute(insert(messages).values(row | more | _NEW_ANSWER | {"model": asked.model}))


def _parent(connection: Connection, parent: str, conversation: str) -> str | None:
    if parent == ROOT:
        return None
    in_here = (messages.c.conversation == conversation) & (messages.c.role == "assistant")
    found = is_id(parent) and connection.scalar(select(messages.c.id).where(messages.c.id == parent, in_here))
    if not found:
        raise NotFound(f"no answer {parent!r} in the conversation")
    return parent


def _same_prompt(connection: Connection, conversation: str, parent: str | None, prompt: str) -> str | None:
    same = select(messages.c.id).where(
        messages.c.conversation == conversation,
        messages.c.parent.is_not_distinct_from(parent),
        messages.c.role == "user",
        messages.c.content == prompt,
    )
    return connection.scalar(same.order_by(messages.c.position).limit(1))


def alternating(way: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Make a branch what a model reads: texts only, and never two of the same role in a row."""
    read: list[dict[str, str]] = []
    for message in way:
        if read and read[-1]["role"] == message["role"]:
            read[-1]["content"] += "\n\n" + message["content"]
        elif message["content"]:
            read.append({"role": message["role"], "content": message["content"]})
    return read
