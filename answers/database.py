"""The database: SQLite in the data folder, or PostgreSQL for several machines."""

from __future__ import annotations

from relay.settings import Settings


class Database:
    """Run short transactions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
