"""The messages of a conversation as a tree: where a prompt goes, which way leads to it, and what a model reads of it.

These are the statements of transactions that others begin.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select

from answers.prepared import Prepared, Transaction
from answers.tables import messages
from relay.errors import NotFound

ROOT = ""  # as a parent: the prompt begins the conversation anew
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_GIVEN_TITLE_CHARS = 80
NEW_ANSWER: dict[str, Any] = {
    "state": "running",
    "content": "",
    "reasoning": "",
    "finish_reason": None,
    "usage": None,
    "chars": 0,
    "sha256": hashlib.sha256().hexdigest(),
    "ttft_ms": None,
    "tokens_per_s": None,
    "close_ms": None,
    "adoptions": 0,
    "error": None,
}

_HERE = messages.c.conversation == bindparam("conversation")
_NEWEST = Prepared(
    select(messages.c.id, messages.c.position).where(_HERE).order_by(messages.c.position.desc()).limit(1)
)
_IN_HERE = Prepared(
    select(messages.c.id).where(messages.c.id == bindparam("answer"), _HERE, messages.c.role == "assistant")
)
_SAME_PROMPT = Prepared(
    select(messages.c.id, messages.c.files)
    .where(
        _HERE,
        messages.c.parent.is_not_distinct_from(bindparam("parent")),
        messages.c.role == "user",
        messages.c.content == bindparam("prompt"),
    )
    .order_by(messages.c.position)
)
_IN_TREE = ("id", "conversation", "position", "parent", "created_us")
_ADD_PROMPT = Prepared(insert(messages).values(role="user"), *_IN_TREE, "content", "files")
_ADD_ANSWER = Prepared(insert(messages).values(role="assistant", **NEW_ANSWER), *_IN_TREE, "model", "token", "charged")


class Asked(NamedTuple):
    """Hold what an answer is asked for with, cleaned; without a parent it follows the newest message."""

    user: str
    prompt: str
    model: str
    conversation: str | None
    parent: str | None
    answer: str
    files: tuple[str, ...] = ()
    token: str = ""
    charged: dict[str, Any] | None = None


def new_id() -> str:
    """Make an id for a conversation or a message: a UUID of version 7, which begins with the time.

    What is made together lies together in every index then, so that a commit touches fewer pages.
    """
    ms, rest = time.time_ns() // 1_000_000, os.urandom(9).hex()
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{rest[:3]}-8{rest[3:6]}-{rest[6:]}"


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


def append(transaction: Transaction, asked: Asked, conversation: str, files: list[dict[str, Any]] | None = None) -> str:
    """Add a running answer to a conversation that is new or locked, below its prompt; return the prompt's id.

    `files` is what is shown of those that come with the prompt.
    """
    last = _NEWEST.first(transaction, conversation=conversation) if asked.conversation else None
    position, prompt, parent = last[1] + 1 if last else 1, None, last[0] if last else None
    if asked.parent is not None:
        parent = _parent(transaction, asked.parent, conversation)
        prompt = _same_prompt(transaction, conversation, parent, asked)
    row = {"conversation": conversation, "created_us": now_us()}
    if prompt is None:
        prompt = new_id()
        own = {"parent": parent, "content": asked.prompt, "files": files}
        _ADD_PROMPT.run(transaction, **row, **own, id=prompt, position=position)
    own = {"parent": prompt, "model": asked.model, "token": asked.token, "charged": asked.charged}
    _ADD_ANSWER.run(transaction, **row, **own, id=asked.answer, position=position + 1)
    return prompt


def _parent(transaction: Transaction, parent: str, conversation: str) -> str | None:
    if parent == ROOT:
        return None
    if not is_id(parent) or not _IN_HERE.run(transaction, answer=parent, conversation=conversation):
        raise NotFound(f"no answer {parent!r} in the conversation")
    return parent


def _same_prompt(transaction: Transaction, conversation: str, parent: str | None, asked: Asked) -> str | None:
    found = _SAME_PROMPT.run(transaction, conversation=conversation, parent=parent, prompt=asked.prompt)
    return next((id_ for id_, files in found if ids_of(files) == asked.files), None)


def ids_of(files: list[dict[str, Any]] | None) -> tuple[str, ...]:
    """Name the files that a prompt came with."""
    return tuple(file["id"] for file in files or ())
