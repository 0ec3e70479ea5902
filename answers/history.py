"""What a model reads of a conversation: the texts on the way to a prompt, with the files that came with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from answers.prepared import Prepared, Transaction
from answers.tables import files, messages
from answers.tree import branch
from relay.attachments import Attached, estimate, joined, with_files

History = list[dict[str, Any]]  # role and content of each message, as OpenAI's API has them

MAX_IMAGE_BYTES = 20 << 20  # of one request; older images are only named

_OF_A_MESSAGE = ("id", "parent", "role", "content", "files")
_BRANCHES = Prepared(
    select(*(messages.c[name] for name in _OF_A_MESSAGE)).where(messages.c.conversation == bindparam("conversation"))
)
_ONE = files.c.id == bindparam("file")
_TEXT = Prepared(select(files.c.text).where(_ONE))
_DATA = Prepared(select(files.c.data).where(_ONE))


def tokens_of(transaction: Transaction, conversation: str, prompt: str) -> int:
    """Estimate the tokens that a model reads, from the conversation's beginning to a prompt."""
    found = _BRANCHES.run(transaction, conversation=conversation)
    way = branch([dict(zip(_OF_A_MESSAGE, each, strict=True)) for each in found], prompt)
    files_ = [file for message in way for file in message["files"] or ()]
    return sum(estimate(message["content"]) for message in way) + sum(int(file["tokens"]) for file in files_)


def history_of(transaction: Transaction, conversation: str, prompt: str, images: bool) -> History:
    """List what the model is to read, from the conversation's beginning to a prompt; `images` says if it takes any.

    An answer without a text is left out, and prompts that then follow each other become one: many models refuse two
    messages of the same role in a row.
    """
    found = _BRANCHES.run(transaction, conversation=conversation)
    rows = [dict(zip(_OF_A_MESSAGE, each, strict=True)) for each in found]
    way = branch(rows, prompt)
    seen = _seen(way) if images else set()
    for message in way:
        if message["files"]:
            message["content"] = with_files(message["content"], _attached(transaction, message["files"], seen))
    return alternating(way)


def alternating(way: Sequence[dict[str, Any]]) -> History:
    """Make a branch what a model reads: contents only, and never two of the same role in a row."""
    read: History = []
    for message in way:
        if read and read[-1]["role"] == message["role"]:
            read[-1]["content"] = joined(read[-1]["content"], message["content"])
        elif message["content"]:
            read.append({"role": message["role"], "content": message["content"]})
    return read


def _seen(way: Sequence[dict[str, Any]]) -> set[str]:
    """Choose the images that go along: the newest ones, up to the bound."""
    seen, size = set(), 0
    images = (file for message in reversed(way) for file in message["files"] or () if _is_image(file))
    for file in images:
        size += file["bytes"]
        if size > MAX_IMAGE_BYTES:
            break
        seen.add(file["id"])
    return seen


def _attached(transaction: Transaction, shown: Sequence[dict[str, Any]], seen: set[str]) -> list[Attached]:
    attached = []
    for file in shown:
        text = None if _is_image(file) else (_TEXT.first(transaction, file=file["id"]) or ("",))[0]
        data = (_DATA.first(transaction, file=file["id"]) or (None,))[0] if file["id"] in seen else None
        attached.append(Attached(file["name"], file["type"], text, bytes(data) if data is not None else None))
    return attached


def _is_image(file: dict[str, Any]) -> bool:
    return str(file["type"]).startswith("image/")
