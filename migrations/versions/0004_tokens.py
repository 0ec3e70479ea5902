"""Who may come in: tokens, sessions that were ended everywhere, and attempts to sign in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LIMITS = ("requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day", "answers_at_once")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in ("expires_us", "revoked_us", "used_us")),
        *(sa.Column(name, sa.Integer()) for name in _LIMITS),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_index("ix_tokens_user", "tokens", ["user"])
    op.create_table(
        "sign_outs",
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user", name="pk_sign_outs"),
    )
    op.create_table(
        "attempts",
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "address", name="pk_attempts"),
    )


def downgrade() -> None:
    """Drop them: no token works any more but those of the settings."""
    for name in ("attempts", "sign_outs", "tokens"):
        op.drop_table(name)
