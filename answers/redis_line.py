"""The way to Redis: one connection for all threads, with time limits, and one typed error for all that goes wrong.

One journey to Redis and back runs at a time. What is asked meanwhile travels together with the next one, so that
hundreds who ask at once wait for two journeys at most. Whoever is the first to ask goes himself, for all the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from answers.redis_protocol import Garbled, Refused, Replies, packed
from answers.redis_scripts import ALL
from relay.errors import JournalError, SettingError
from relay.loop import Lock, Readable

CONNECT_S = 1.0
TURN_S = 2.0  # how long a thread waits until its journey begins
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.2
RECEIVE_BYTES = 1 << 16


class _Asked:
    """Hold what one thread asks, and what has become of it; `gate` opens when that is known, or when it `leads`."""

    __slots__ = ("count", "error", "gate", "leads", "replies", "request")

    def __init__(self, commands: Sequence[bytes]) -> None:
        self.request = b"".join(commands)
        self.count = len(commands)
        self.leads = False
        self.gate: threading.Lock | None = None
        self.replies: list[Any] | None = None
        self.error: Exception | None = None

    def result(self) -> list[Any]:
        """Return the replies; raises JournalError if there is none, or one is a refusal."""
        if self.replies is None:
            raise JournalError(f"Redis: {self.error or 'the journey was broken off'}") from self.error
        for reply in self.replies:
            if isinstance(reply, Refused):
                raise JournalError(f"Redis: {reply}") from reply
        return self.replies


class RedisLine:
    """Run commands at the Redis server of `url`: each answers within `answer_s` or is tried again, `retries` times.

    A command may thus run twice; those of the journal all bear that. No error text holds the URL or a command.
    """

    def __init__(self, url: str, *, answer_s: float, retries: int) -> None:
        limits = {"socket_timeout": answer_s, "socket_connect_timeout": CONNECT_S}
        try:
            pool = ConnectionPool.from_url(url, protocol=2)
            # After what stands in the URL, since a shorter limit there would break every wait for news.
            pool.connection_kwargs.update(limits, retry=Retry(NoBackoff(), 0))
            self._connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
        except (TypeError, ValueError):  # their texts may hold parts of the password
            expected = "redis:// or rediss://[user:password@]host[:port][/number]"
            raise SettingError(f"TALKABOUT_JOURNAL_URL: expected {expected}") from None
        self._answer_s = answer_s
        self._retries = retries
        self._wire: _Wire | None = None
        self._lock = Lock()
        self._waiting: list[_Asked] = []
        self._travels = False

    def do(self, *commands: bytes) -> list[Any]:
        """Run commands in one pipeline and return what each gave; raises JournalError if any of them failed."""
        asked = _Asked(commands)
        with self._lock:
            leads, self._travels = not self._travels, True
            if not leads:
                asked.gate = threading.Lock()
                asked.gate.acquire()
            self._waiting.append(asked)
        if leads or self._is_to_lead(asked):
            self._travel()
        return asked.result()

    def close(self) -> None:
        """Close the connection; the next command opens it again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        self._connection.disconnect()  # type: ignore[no-untyped-call]

    def _is_to_lead(self, asked: _Asked) -> bool:
        """Wait until what was asked is known, or its turn has come to go for it; which of both is returned."""
        assert asked.gate is not None
        comes = False
        try:
            comes = asked.gate.acquire(timeout=TURN_S)
        finally:  # whoever is killed here must not be the one for whom the others wait
            has_left = not comes and self._leave(asked)
        if has_left:
            raise JournalError(f"Redis: no journey began within {TURN_S} s")
        if not comes:
            asked.gate.acquire()  # it is on its way, which takes its time, but ends
        return asked.leads

    def _leave(self, asked: _Asked) -> bool:
        with self._lock:
            if asked not in self._waiting:
                return False
            self._waiting.remove(asked)
            if asked.leads:
                self._pass_on()
            return True

    def _pass_on(self) -> None:
        """Let the next one lead; under the lock."""
        if self._waiting:
            first = self._waiting[0]
            first.leads = True
            assert first.gate is not None
            first.gate.release()
        else:
            self._travels = False

    def _travel(self) -> None:
        """Go for all who wait, the first of whom is here."""
        with self._lock:
            asked, self._waiting = self._waiting, []
        is_over = False
        try:
            self._ask(asked)
            is_over = True
        finally:
            with self._lock:
                if not is_over:  # killed on the way: the others go again
                    self._waiting[:0] = asked[1:]
                self._pass_on()
        for each in asked[1:]:
            assert each.gate is not None
            each.gate.release()

    def _ask(self, asked: list[_Asked]) -> None:
        request, count = b"".join([each.request for each in asked]), sum([each.count for each in asked])
        try:
            replies = self._try(request, count)
            if "NOSCRIPT" in [reply.code for reply in replies if type(reply) is Refused]:  # Redis was started anew
                self._try(b"".join([packed("SCRIPT", "LOAD", script.text) for script in ALL]), len(ALL))
                replies = self._try(request, count)
        except (RedisError, OSError, Garbled) as error:
            for each in asked:
                each.error = error
            return
        at = 0
        for each in asked:
            each.replies = replies[at : at + each.count]
            at += each.count

    def _try(self, request: bytes, count: int) -> list[Any]:
        pause = FIRST_PAUSE_S
        for left in range(self._retries, -1, -1):
            try:
                return self._exchange(request, count)
            except (RedisError, OSError):
                if not left:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        raise AssertionError("unreachable")

    def _exchange(self, request: bytes, count: int) -> list[Any]:
        is_whole = False
        try:
            wire = self._wire
            if wire is None:
                self._connection.connect()  # type: ignore[no-untyped-call]
                # redis-py has no public name for it
                wire = self._wire = _Wire(self._connection._sock, self._answer_s)
            replies = wire.exchange(request, count)
            is_whole = True
            return replies
        finally:  # replies that come later, to nobody's question, would be taken for those to the next one
            if not is_whole:
                self.close()


class _Wire:
    """Exchange bytes by the socket of a connection that redis-py has opened, with TLS and password as it may be."""

    def __init__(self, sock: Any, answer_s: float) -> None:
        self._socket = sock
        self._readable = Readable(sock, answer_s)
        self._answer_s = answer_s

    def exchange(self, request: bytes, count: int) -> list[Any]:
        """Send commands and return as many replies. Raises OSError."""
        sent = self._socket.send(request)  # all of it, as a rule, for which `sendall` would ask the kernel more
        if sent < len(request):
            self._socket.sendall(memoryview(request)[sent:])
        replies = Replies()
        while len(replies.whole) < count:
            if not self._readable.wait():
                raise TimeoutError(f"no answer within {self._answer_s} s")
            piece = self._socket.recv(RECEIVE_BYTES)
            if not piece:
                raise ConnectionError("the connection was closed")
            replies.feed(piece)
        return replies.whole

    def close(self) -> None:
        """Stop looking at the socket, which is the connection's to close."""
        self._readable.close()
