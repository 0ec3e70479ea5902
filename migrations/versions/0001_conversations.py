"""Conversations and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_user_changed_us_id", "conversations", ["user", "changed_us", "id"])
    op.create_table(
        "messages",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("conversation", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("parent", sa.String(36)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("state", sa.String(16)),
        sa.Column("reasoning", sa.Text()),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("usage", sa.JSON(none_as_null=True)),
        sa.Column("chars", sa.Integer()),
        sa.Column("sha256", sa.String(64)),
        sa.Column("ttft_ms", sa.Integer()),
        sa.Column("tokens_per_s", sa.Float()),
        sa.Column("close_ms", sa.Integer()),
        sa.Column("adoptions", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversations.id"], name="fk_messages_conversation", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["parent"], ["messages.id"], name="fk_messages_parent"),
        sa.UniqueConstraint("conversation", "position", name="uq_messages_conversation_position"),
    )
    op.create_index("ix_messages_parent", "messages", ["parent"])
    running = sa.text("state = 'running'")
    op.create_index("ix_messages_running", "messages", ["conversation"], sqlite_where=running, postgresql_where=running)


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("messages")
    op.drop_table("conversations")
