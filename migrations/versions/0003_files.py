"""Files that come with prompts: what they hold, and what a prompt says of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table, and give messages the column."""
    op.create_table(
        "files",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("conversation", sa.String(36)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("chars", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversations.id"], name="fk_files_conversation", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_files_conversation", "files", ["conversation"])
    unsent = sa.text("conversation IS NULL")
    op.create_index("ix_files_unsent", "files", ["user", "created_us"], sqlite_where=unsent, postgresql_where=unsent)
    op.add_column("messages", sa.Column("files", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Drop both; prompts stay without their files."""
    with op.batch_alter_table("messages") as table:
        table.drop_column("files")
    op.drop_table("files")
