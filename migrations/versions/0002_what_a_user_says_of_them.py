"""What users say of their conversations: pinned, deleted for now, how to ask the model, shared by a link."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NEW = ("pinned_us", "deleted_us", "system", "temperature", "max_tokens", "shared", "shared_leaf")


def upgrade() -> None:
    """Add the columns; what is there already is neither pinned nor hidden nor shared."""
    for column in (
        sa.Column("pinned_us", sa.BigInteger()),
        sa.Column("deleted_us", sa.BigInteger()),
        sa.Column("system", sa.Text(), nullable=False, server_default=""),
        sa.Column("temperature", sa.Float()),
        sa.Column("max_tokens", sa.Integer()),
        sa.Column("shared", sa.String(32)),
        sa.Column("shared_leaf", sa.String(36)),
    ):
        op.add_column("conversations", column)
    _index("pinned", ["user", "changed_us", "id"], "pinned_us IS NOT NULL")
    _index("hidden", ["deleted_us"], "deleted_us IS NOT NULL")
    _index("shared", ["shared"], "shared IS NOT NULL", unique=True)


def downgrade() -> None:
    """Drop the columns; what was hidden is deleted."""
    op.execute("DELETE FROM messages WHERE conversation IN (SELECT id FROM conversations WHERE deleted_us IS NOT NULL)")
    op.execute("DELETE FROM conversations WHERE deleted_us IS NOT NULL")
    for name in ("pinned", "hidden", "shared"):
        op.drop_index(f"ix_conversations_{name}", "conversations")
    with op.batch_alter_table("conversations") as table:
        for name in _NEW:
            table.drop_column(name)


def _index(name: str, columns: list[str], where: str, unique: bool = False) -> None:
    few = sa.text(where)
    op.create_index(
        f"ix_conversations_{name}", "conversations", columns, unique=unique, sqlite_where=few, postgresql_where=few
    )
