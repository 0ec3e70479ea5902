"""The way to Redis: pipelines with a time limit, and one typed error for everything that goes wrong on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from answers.redis_scripts import ALL, Script
from relay.errors import JournalError, SettingError

CONNECT_S = 1.0
POOL_S = 2.0  # how long a thread waits for a connection of the pool
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.2

Command = tuple[str | int | float | bytes, ...]


class RedisLine:
    """Run commands at the Redis server of `url`: each answers within `answer_s` or is tried again, `retries` times.

    A command may thus run twice; those of the journal all bear that. No error text holds the URL or a command.
    `connects` counts connections, since one that has broken off while nobody used it is replaced without a word.
    """

    def __init__(self, url: str, *, answer_s: float, retries: int, connections: int) -> None:
        self.connects = 0
        limits = {"socket_timeout": answer_s, "socket_connect_timeout": CONNECT_S}
        retry = Retry(ExponentialBackoff(LONGEST_PAUSE_S, FIRST_PAUSE_S), retries)
        try:
            pool = BlockingConnectionPool.from_url(url, max_connections=connections, timeout=POOL_S, protocol=2)
            # After what stands in the URL, since a shorter limit there would break every wait for news.
            pool.connection_kwargs.update(limits, retry=retry, redis_connect_func=self._greet)
            pool.connection_class(**pool.connection_kwargs)
        except (TypeError, ValueError):  # their texts may hold parts of the password
            expected = "redis:// or rediss://[user:password@]host[:port][/number]"
            raise SettingError(f"TALKABOUT_JOURNAL_URL: expected {expected}") from None
        self._client = Redis(connection_pool=pool)

    def do(self, *commands: Command) -> list[Any]:
        """Run commands in one pipeline and return what each gave; raises JournalError if any of them failed."""
        try:
            results = self._run(commands)
            if any(isinstance(result, NoScriptError) for result in results):  # Redis was started anew
                self._run([("SCRIPT", "LOAD", script.text) for script in ALL])
                results = self._run(commands)
        except (RedisError, OSError) as exc:
            raise JournalError(f"Redis: {exc}") from exc
        for result in results:
            if isinstance(result, Exception):
                raise JournalError(f"Redis: {result}") from result
        return results

    def close(self) -> None:
        """Close all connections; the next command opens one again."""
        self._client.connection_pool.disconnect()

    def _greet(self, connection: AbstractConnection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call]
        self.connects += 1

    def _run(self, commands: Sequence[Command]) -> list[Any]:
        """Run a pipeline as redis-py's own does, which takes twice as long over it."""
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            results = connection.retry.call_with_retry(
                lambda: _exchange(connection, commands),
                lambda _error: connection.disconnect(),  # type: ignore[no-untyped-call]
            )
        finally:
            pool.release(connection)
        callbacks = self._client.response_callbacks
        return [
            result if isinstance(result, Exception) else callbacks.get(command[0], _as_it_is)(result)  # type: ignore[no-untyped-call]
            for command, result in zip(commands, results, strict=True)
        ]


def _exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    connection.send_packed_command([b"".join(map(_packed, commands))])  # type: ignore[no-untyped-call]
    return [_reply(connection) for _ in commands]


def _reply(connection: AbstractConnection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _packed(command: Command) -> bytes:
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))


def _as_it_is(result: Any) -> Any:
    return result


def call(script: Script, *keys: str, args: Sequence[str | int | float | bytes] = ()) -> Command:
    """Return the command that runs a script."""
    return ("EVALSHA", script.sha, len(keys), *keys, *args)
