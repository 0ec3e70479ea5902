"""Files that come with prompts: kept when they are attached, sent with a message, gone with its conversation.

What is never sent is deleted after a while. All methods raise DatabaseError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from answers.database import Database
from answers.file_kinds import Contents
from answers.prepared import Prepared, Transaction
from answers.tables import UNSENT, VISIBLE, conversations, files
from answers.tree import Asked, is_id, new_id, now_us
from relay.errors import Conflict, NotFound
from relay.file_errors import FileGone, FileTooLarge, ImagesNotTaken, TooManyFiles, TooMuchText, TooMuchUnsent
from relay.settings import Settings

SHOWN = ("id", "name", "type", "bytes", "chars", "tokens")  # what a message says of its files

_ROW_BYTES = 10_000  # each file counts for as much more, so that many small ones are bounded too
_AT_ONCE = 20  # of any size, while all else waits for SQLite

_META = [files.c[name] for name in SHOWN]
_ONE = (files.c.id == bindparam("file")) & (files.c.user == bindparam("owner"))
_THERE = select(*_META, files.c.conversation).outerjoin_from(files, conversations).where(_ONE, or_(UNSENT, VISIBLE))
_FIND = Prepared(_THERE)
_READ = Prepared(_THERE.add_columns(files.c.text, files.c.data))
_SIZE = func.coalesce(func.sum(files.c.bytes + _ROW_BYTES), 0)
_UNSENT_SIZE = Prepared(select(_SIZE).where(files.c.user == bindparam("owner"), UNSENT))
_ALL = Prepared(
    select(files.c.id, files.c.bytes)
    .where(files.c.conversation == bindparam("here"), files.c.user == bindparam("owner"))
    .order_by(files.c.created_us, files.c.id)
)
_ADD = Prepared(insert(files), *files.c.keys())
_REMOVE = Prepared(delete(files).where(_ONE, UNSENT).returning(files.c.id))
_CLAIM = Prepared(
    update(files)
    .where(_ONE, or_(UNSENT, files.c.conversation == bindparam("here")))
    .values(conversation=bindparam("here"))
    .returning(*_META)
)
_OLD = select(files.c.id).where(UNSENT, files.c.created_us <= bindparam("since"))
_OLDEST = _OLD.order_by(files.c.created_us).limit(_AT_ONCE)
_PURGE = Prepared(delete(files).where(files.c.id.in_(_OLDEST)).returning(files.c.id))


class File(NamedTuple):
    """Hold what is shown of a file, and where it was sent."""

    id: str
    name: str
    type: str
    bytes: int
    chars: int
    tokens: int
    conversation: str | None

    @property
    def is_image(self) -> bool:
        """Whether a model needs eyes for it."""
        return self.type.startswith("image/")

    def shown(self) -> dict[str, Any]:
        """Show it as a message does."""
        return {name: getattr(self, name) for name in SHOWN}


class Files:
    """Keep files, each its user's."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def add(self, user: str, contents: Contents) -> File:
        """Keep a file until it is sent. Raises FileTooLarge, and TooMuchUnsent."""
        refuse_too_large(contents.size, self._settings.max_file_bytes)

        def work(transaction: Transaction) -> File:
            size = _UNSENT_SIZE.run(transaction, owner=user)[0][0] + contents.size + _ROW_BYTES
            if size > self._settings.max_unsent_bytes:
                raise TooMuchUnsent
            return File(**add(transaction, user, contents), conversation=None)

        return self._database.write(work)

    def read(self, user: str, file: str) -> tuple[File, str | None, bytes | None]:
        """Return a file with its text, or its data. Raises NotFound, also if its conversation is deleted."""
        row = self._database.read(lambda transaction: _get(_READ, transaction, user, file))
        if row is None:
            raise NotFound(f"no file {file!r}")
        return File(*row[:-2]), row[-2], row[-1]

    def find(self, user: str, ids: Sequence[str]) -> list[File]:
        """Return those of some files that are there. Raises TooManyFiles if they are more than a message may have."""
        most = self._settings.max_files
        if len(ids) > most:
            raise TooManyFiles(f"A message may have at most {most} files.")
        rows = self._database.read(lambda transaction: [_get(_FIND, transaction, user, each) for each in ids])
        return [File(*row) for row in rows if row]

    def remove(self, user: str, file: str) -> None:
        """Delete a file that is not sent yet. Raises NotFound, and Conflict for one that is."""

        def work(transaction: Transaction) -> None:
            if is_id(file) and _REMOVE.first(transaction, file=file, owner=user):
                return
            if _get(_FIND, transaction, user, file):
                raise Conflict("This file is part of a conversation.")
            raise NotFound(f"no file {file!r}")

        self._database.write(work)

    def check(self, user: str, ids: Sequence[str], sees: bool) -> int:
        """Estimate the tokens of files that come with a message, to a model that `sees` images or does not.

        Raises FileError if they cannot.

        An image that the conversation has already may go to any model: one that does not see is told that it was there.
        """
        found = self.find(user, ids)
        if len(found) < len(ids):
            raise FileGone
        if not sees and any(file.is_image and file.conversation is None for file in found):
            raise ImagesNotTaken
        chars = sum(file.chars for file in found)
        if chars > self._settings.max_files_chars:
            limit = self._settings.max_files_chars
            raise TooMuchText(f"The files have {chars} characters of text together; a message may have {limit}.")
        return sum(file.tokens for file in found)

    def of_conversation(
        self, user: str, conversation: str, most_bytes: int
    ) -> dict[str, tuple[str | None, bytes | None]]:
        """Map each file of a conversation to its text and data, the first ones up to a bound."""

        def work(transaction: Transaction) -> dict[str, tuple[str | None, bytes | None]]:
            found, size = {}, 0
            for file, each in _ALL.run(transaction, owner=user, here=conversation):
                size += each
                if size > most_bytes:
                    break
                row = _READ.first(transaction, file=file, owner=user)
                found[file] = (row[-2], row[-1]) if row else (None, None)
            return found

        return self._database.read(work)

    def purge(self) -> bool:
        """Delete some of what was not sent for too long, the oldest first; say if there may be more."""
        since = now_us() - round(self._settings.unsent_keep_s * 1_000_000)
        return len(self._database.write(lambda transaction: _PURGE.run(transaction, since=since))) == _AT_ONCE


def refuse_too_large(size: int, most: int) -> None:
    """Raise FileTooLarge for what is."""
    if size > most:
        raise FileTooLarge(f"A file may have at most {most} bytes.")


def add(transaction: Transaction, user: str, contents: Contents, conversation: str | None = None) -> dict[str, Any]:
    """Write a file; return what is shown of it."""
    shown = {"id": new_id(), "name": contents.name, "type": contents.type, "bytes": contents.size}
    shown |= {"chars": contents.chars, "tokens": contents.tokens}
    of_it = {"user": user, "conversation": conversation, "created_us": now_us()}
    _ADD.run(transaction, **shown, **of_it, text=contents.text, data=contents.data)
    return shown


def claim(transaction: Transaction, asked: Asked, conversation: str) -> list[dict[str, Any]] | None:
    """Send the files of a prompt to its conversation; return what is shown of each. Raises FileGone."""
    known = all(map(is_id, asked.files))
    rows = [_CLAIM.first(transaction, file=each, owner=asked.user, here=conversation) for each in asked.files if known]
    if len(rows) < len(asked.files) or None in rows:
        raise FileGone
    return [dict(zip(SHOWN, row, strict=True)) for row in rows if row] or None


def _get(statement: Prepared, transaction: Transaction, user: str, file: str) -> Any | None:
    return statement.first(transaction, file=file, owner=user) if is_id(file) else None
