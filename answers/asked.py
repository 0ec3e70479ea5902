"""What a durable completion was asked, kept in the journal beside its events: so another worker can go on with it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from answers.accounts import Account
from answers.journal import Journal
from relay.asking import written


class Asked(NamedTuple):
    """Whom a completion is counted for, and its request; None where that is longer than is kept.

    `tries` counts how often it was gone on with.
    """

    account: Account
    body: dict[str, Any] | None
    tries: int = 0


def keep(journal: Journal, stream: str, asked: Asked, most_bytes: int) -> None:
    """Keep this as what was asked for a stream of events; a longer request is left out. Raises JournalError."""
    body = written(asked.body) if asked.body else b""
    # In ASCII: a model's name may be one that UTF-8 cannot carry.
    block = json.dumps([*asked.account, asked.tries]).encode() + b"\n" + (body if len(body) <= most_bytes else b"")
    journal.publish(_beside(stream), lambda _seq: block, 1)


def kept(journal: Journal, stream: str) -> Asked | None:
    """Read what was asked last; None if nothing is kept, or by a version that writes it otherwise.

    Raises JournalError.
    """
    name = _beside(stream)
    newest = journal.read(name, journal.bounds(name)[1] - 1, 1)
    if not newest:
        return None
    head, _, body = newest[-1].block.partition(b"\n")
    try:
        *account, tries = json.loads(head)
        return Asked(Account(*account), json.loads(body) if body else None, int(tries))
    except (ValueError, TypeError):
        return None


def _beside(stream: str) -> str:
    return f"asked:{stream}"
