"""The tables: conversations, their messages as a tree, the files that come with prompts, and who may come in.

A prompt and the answer to it are both messages; an answer's id is its message's id, and the columns that only an answer
has are NULL for a prompt. While an answer runs, its text stands in the journal; here it is written once, at the end.

What an answer has cost is added to its day's row of `usage` as it ends, and stays when its conversation goes.

A file never changes. What is shown of it stands in the message too (`files`), so that only a model and whoever opens it
read the file itself. It belongs to a user, and to a conversation once it is sent, in which prompts may share it.

Names ending in `_us` are microseconds since 1970: whole numbers, so that a cursor made of one compares exactly.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

SCHEMA = "0005"  # the newest revision in migrations/versions

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("pinned_us", BigInteger),
    Column("deleted_us", BigInteger),  # hidden since then: it can be brought back for a while
    Column("system", Text, nullable=False, server_default=""),
    Column("temperature", Float),
    Column("max_tokens", Integer),
    Column("shared", String(32)),  # the token of its link
    Column("shared_leaf", String(36)),  # the answer up to which the link shows it
    Index(None, "user", "changed_us", "id"),
)

VISIBLE = conversations.c.deleted_us.is_(None)
PINNED = conversations.c.pinned_us.is_not(None)
_HIDDEN = conversations.c.deleted_us.is_not(None)
_SHARED = conversations.c.shared.is_not(None)
_PLACE = (conversations.c.user, conversations.c.changed_us, conversations.c.id)
Index("ix_conversations_pinned", *_PLACE, sqlite_where=PINNED, postgresql_where=PINNED)
Index("ix_conversations_hidden", conversations.c.deleted_us, sqlite_where=_HIDDEN, postgresql_where=_HIDDEN)
Index("ix_conversations_shared", conversations.c.shared, unique=True, sqlite_where=_SHARED, postgresql_where=_SHARED)

messages = Table(
    "messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("conversation", String(36), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    # No cascade along the branch: SQLite would follow it message by message, and gives up at a depth of 1000.
    Column("parent", String(36), ForeignKey("messages.id"), index=True),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("model", Text),
    Column("state", String(16)),
    Column("reasoning", Text),
    Column("finish_reason", Text),
    Column("usage", JSON(none_as_null=True)),
    Column("chars", Integer),
    Column("sha256", String(64)),
    Column("ttft_ms", Integer),
    Column("tokens_per_s", Float),
    Column("close_ms", Integer),
    Column("adoptions", Integer),
    Column("error", Text),
    Column("files", JSON(none_as_null=True)),  # of a prompt: what is shown of each
    Column(
        "token", Text, nullable=False, server_default=""
    ),  # of an answer: the public id of the token it was asked by
    Column("charged", JSON(none_as_null=True)),  # of an answer: what its limits of tokens were charged before it began
    UniqueConstraint("conversation", "position"),
)

# Few answers run at any time: a user's are counted without looking at all that ever did.
RUNNING = messages.c.state == literal_column("'running'")
Index("ix_messages_running", messages.c.conversation, sqlite_where=RUNNING, postgresql_where=RUNNING)

files = Table(
    "files",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user", Text, nullable=False),
    Column("conversation", String(36), ForeignKey("conversations.id", ondelete="CASCADE"), index=True),
    Column("name", Text, nullable=False),
    Column("type", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("chars", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("text", Text),
    Column("data", LargeBinary),
)

usage = Table(
    "usage",
    metadata,
    Column("day", String(10), primary_key=True),  # of UTC, as 2026-11-23
    Column("user", Text, primary_key=True),
    Column("token", Text, primary_key=True),  # its public id; empty where none was needed
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),  # how many of the requests no model server counted the tokens of
    Index(None, "user", "day"),  # the key begins with the day: one user's rows would be looked for among everybody's
)

quotas = Table(
    "quotas",
    metadata,
    Column("subject", Text, primary_key=True),  # user:… or token:…
    Column("name", String(32), primary_key=True),  # of the limit
    Column("period", BigInteger, nullable=False),  # the number of the minute or day since 1970 that `used` is of
    Column("used", BigInteger, nullable=False),
    Column("most", BigInteger, nullable=False),
)

places = Table(
    "places",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("token", Text, nullable=False, index=True),
    Column("until_us", BigInteger, nullable=False),
)

UNSENT = files.c.conversation.is_(None)
Index("ix_files_unsent", files.c.user, files.c.created_us, sqlite_where=UNSENT, postgresql_where=UNSENT)

# Of a token there is only the digest: who reads this table can use none of them.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("user", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # separated by blanks
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),  # about
    Column("requests_per_minute", Integer),
    Column("requests_per_day", Integer),
    Column("tokens_per_minute", Integer),
    Column("tokens_per_day", Integer),
    Column("answers_at_once", Integer),
)

sign_outs = Table(  # sessions of that user that are older than this are over
    "sign_outs",
    metadata,
    Column("user", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
)

attempts = Table(  # to sign in
    "attempts",
    metadata,
    Column("minute", BigInteger, primary_key=True),
    Column("address", String(64), primary_key=True),  # or "" for all of them
    Column("count", Integer, nullable=False),
)
