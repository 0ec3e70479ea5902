"""What Alembic runs: the migrations, in the transaction that answers/migrate.py has begun."""

from __future__ import annotations

from alembic import context

from answers.tables import metadata

# SQLite changes a table by making it anew ("batch"), and the change is part of the transaction there too.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
