"""Statements that run for every answer, without what SQLAlchemy does anew each time: it takes longer than the database.

A statement is defined on the tables as any other is, and compiled once for each dialect. What is left of a call is the
driver's own: 4 µs with SQLite, where the same statement takes 40 µs by way of Connection.execute().
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import JSON, Delete, Dialect, Insert, Select, Update

_Process = Callable[[Any], Any]


class Transaction(NamedTuple):
    """What a statement needs of a transaction: the driver's cursor, and which SQL it speaks."""

    cursor: Any
    dialect: Dialect


class _Compiled(NamedTuple):
    """What the driver is given, and what becomes of the values on their way to it and back."""

    sql: str
    constants: dict[str, Any]
    order: list[str] | None  # of the parameters, where they go by their place
    to_driver: list[tuple[str, _Process]]
    from_driver: list[tuple[int, _Process]]


class Prepared:
    """A statement that was made once; an INSERT or an UPDATE names the `columns` that each call gives values for."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete, *columns: str) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, transaction: Transaction, **values: Any) -> list[Any]:
        """Run it, and return the rows that it finds or returns. Raises the driver's own errors."""
        cursor, dialect = transaction
        made = self._compiled.get(dialect.name) or self._compile(dialect)
        sql, constants, order, to_driver, from_driver = made
        values = {**constants, **values}
        for name, process in to_driver:
            values[name] = process(values[name])
        cursor.execute(sql, values if order is None else list(map(values.__getitem__, order)))
        rows = list(cursor.fetchall()) if cursor.description else []
        for place, process in from_driver:
            rows = [
                row if row[place] is None else (*row[:place], process(row[place]), *row[place + 1 :]) for row in rows
            ]
        return rows

    def first(self, transaction: Transaction, **values: Any) -> Any | None:
        """Run it, and return the first row if there is one."""
        rows = self.run(transaction, **values)
        return rows[0] if rows else None

    def _compile(self, dialect: Dialect) -> _Compiled:
        made = self._statement.compile(dialect=dialect, column_keys=list(self._columns) or None)
        constants: dict[str, Any] = {}
        to_driver: list[tuple[str, _Process]] = []
        for bound, name in made.bind_names.items():
            process = bound.type.dialect_impl(dialect).bind_processor(dialect)
            if not bound.required:
                constants[name] = process(bound.value) if process else bound.value
            elif process:
                to_driver.append((name, process))
        compiled = _Compiled(str(made), constants, made.positiontup, to_driver, self._from_driver(dialect))
        self._compiled[dialect.name] = compiled
        return compiled

    def _from_driver(self, dialect: Dialect) -> list[tuple[int, _Process]]:
        """Say what becomes of the columns that a driver does not give as they are: of ours, those in JSON."""
        processes = [
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(self._statement.exported_columns)
            if isinstance(column.type, JSON)
        ]
        return [(place, process) for place, process in processes if process]
