"""The kept connections to a model server: urllib3's pools, with our connections in them."""

from __future__ import annotations

import queue
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError

from relay.wire import Connection, TlsConnection


class _Stack:
    """Keep a pool's connections. The standard library's queue lets others run at each put and get, under gevent."""

    def __init__(self, max_items: int) -> None:
        self._max = max_items
        self._items: list[Any] = []

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Lay a connection on top; raises queue.Full."""
        if len(self._items) >= self._max:
            raise queue.Full
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the topmost; raises queue.Empty."""
        try:
            return self._items.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """Count them."""
        return len(self._items)


class Pool(HTTPConnectionPool):
    """The kept connections to one server."""

    ConnectionCls = Connection
    QueueCls = _Stack  # type: ignore[assignment]

    def take(self) -> Connection | None:
        """Take a connection, open if there is a kept one; None from a pool that was thrown away."""
        try:
            connection = self._get_conn()
        except ClosedPoolError:
            return None
        return connection if isinstance(connection, Connection) else None

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.pool = self
        return connection

    def _put_conn(self, conn: Any) -> None:
        # From here on the socket may be another request's: this one must not be able to cut it.
        if conn and hasattr(conn, "line"):
            conn.line.hold(None)
        super()._put_conn(conn)


class _TlsPool(Pool, HTTPSConnectionPool):
    ConnectionCls = TlsConnection


POOLS = {"http": Pool, "https": _TlsPool}
