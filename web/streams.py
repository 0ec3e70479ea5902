"""The open streams of this worker: how many there may be, who has gone, and how they end when the worker is replaced.

gunicorn tells an application that a client has gone only when it writes (gunicorn#2010), never while a generator waits.
So one thread a worker looks at the sockets of all open streams, without reading from them, and abandons the streams
whose client has closed.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Protocol

from flask import Response
from prometheus_client import Gauge

from relay.access_errors import AccessEnded
from relay.errors import DatabaseError, Draining, Overloaded, ReaderGone, ReaderTooSlow, TalkaboutError, TooManyReaders
from relay.loop import Lock, poll, spawn
from relay.pipe import Pipe
from relay.settings import Settings
from web.client import NO_SOCKET, Client
from web.current import this_request
from web.event_stream import EVENT_STREAM, HEADERS, Streamed
from web.users import still_holds

log = logging.getLogger(__name__)

_SWEEP_S = 0.4  # a gone client is noticed within a second
_CHECK_S = 2.0  # and a token that was taken away, or a reader that is too slow, soon after
_CHECKED_AT_ONCE = 50  # streams, before others have their turn
_LINGER_S = 2.0  # what a drained stream gets to write its terminal event

OPEN = Gauge("talkabout_streams_open", "Open streams.", multiprocess_mode="livesum")


class Source(Protocol):
    """What can be streamed: a relay.pipe.Pipe, or anything else that can be iterated and abandoned."""

    @property
    def reason(self) -> TalkaboutError | None:
        """Why it was abandoned, if it was."""

    def __iter__(self) -> Iterator[bytes]: ...

    def abandon(self, reason: TalkaboutError, linger_s: float = 0.0) -> None:
        """End for that reason; with `linger_s` the terminal event may still be read."""


class Stream:
    """One admitted stream; leaves by itself when its response is closed."""

    def __init__(self, streams: Streams, source: Source, resumable: bool, user: str) -> None:
        self.source = source
        self.user = user
        self.resumable = resumable
        environ = this_request().environ
        self.cut_key = this_request().args.get("cut", "") if environ.get("QUERY_STRING") else ""
        self._streams = streams
        self.client = Client(environ, streams.reader_timeout_s)
        self.descriptor = self.client.descriptor
        self.allowed = still_holds()

    def response(self, mimetype: str = EVENT_STREAM, headers: Mapping[str, str] | None = None) -> Response:
        """Stream the source; the headers leave at once."""
        response = Streamed(self._blocks(), mimetype=mimetype, headers={**HEADERS, **(headers or {})})
        response.call_on_close(self.leave)
        return response

    def before(self, action: Callable[[], None]) -> None:
        """Do what must succeed before the response begins; if it fails, the stream leaves and the error is raised.

        What was stopped because the client went or the worker drains, fails for that reason.
        """
        succeeded = False
        try:
            action()
            succeeded = True
        except TalkaboutError as error:
            raise self.source.reason or error from error
        finally:
            if not succeeded:  # whatever it was: a stream that nobody closes would keep its place for ever
                self.leave()

    def leave(self) -> None:
        """Take the stream off the list; its source is abandoned, if it has not ended. Idempotent."""
        self._streams.remove(self)
        self.source.abandon(ReaderGone("the response was closed"))
        if self._streams.draining:
            self.client.take_no_more()  # a further request would come to this worker

    def _blocks(self) -> Iterator[bytes]:
        yield b""  # makes gunicorn send the headers before there is anything to say
        if isinstance(self.source, Pipe):
            self.source.outlet = self.client.outlet
        yield from self.source


class Streams:
    """All open streams of this worker."""

    def __init__(
        self,
        max_streams: int,
        drain_s: float,
        listen_for_cuts: Callable[[Callable[[str], None]], None],
        max_readers_per_user: int = Settings.max_readers_per_user,
        reader_timeout_s: float = Settings.reader_timeout_s,
    ) -> None:
        self.max_streams = max_streams
        self.max_readers_per_user = max_readers_per_user
        self.reader_timeout_s = reader_timeout_s
        self.drain_s = drain_s
        self.draining = False
        self._refuses_since = 0.0
        self._open: set[Stream] = set()
        self._readers: Counter[str] = Counter()
        self._watched: dict[int, Stream] = {}  # by the descriptor that is polled
        self._poll = poll()
        self._lock = Lock()
        self._watching = False
        self._checking = False
        self._listen_for_cuts = listen_for_cuts
        self._listening = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, source: Source, resumable: bool = False, user: str = "") -> Stream:
        """Take a stream of the current request on; call its `response()`, or `leave()` if there is none.

        Raises Overloaded, Draining, or TooManyReaders for a named user, before anything was begun, and abandons the
        source. A resumable stream is ended as soon as the worker drains, since its reader goes on elsewhere; the others
        get `drain_s` first.
        """
        stream = Stream(self, source, resumable, user)
        try:
            if stream.cut_key and not self._listening:  # only now, since it costs a look at the journal now and then
                self._listen_for_cuts(self.cut)
                self._listening = True
            self._add(stream)
        except TalkaboutError as refused:
            source.abandon(refused)  # else it would be filled for a reader that never comes
            raise
        return stream

    def remove(self, stream: Stream) -> None:
        """Forget a stream."""
        with self._lock:
            if stream in self._open:
                self._open.remove(stream)
                if self._watched.get(stream.descriptor) is stream:
                    del self._watched[stream.descriptor]
                    with suppress(OSError):  # its socket is closed already
                        self._poll.unregister(stream.descriptor)
                self._readers[stream.user] -= 1
                if not self._readers[stream.user]:
                    del self._readers[stream.user]

    def cut(self, key: str) -> None:
        """Tear the connections that were opened with `?cut=<key>` (the playground's button)."""
        for stream in self._all():
            if key and stream.cut_key == key:
                stream.client.cut()

    def refuse(self) -> None:
        """Take nothing on any more."""
        with self._lock:
            self.draining = True
            self._refuses_since = self._refuses_since or time.monotonic()

    def drain(self) -> None:
        """End every stream with its terminal event: resumable ones now, the others `drain_s` after `refuse`."""
        self.refuse()
        self._abandon(resumable_only=True)
        while self._open and time.monotonic() < self._refuses_since + self.drain_s:
            time.sleep(0.05)
        self._abandon(resumable_only=False)

    def _add(self, stream: Stream) -> None:
        with self._lock:
            if self.draining:
                raise Draining
            if len(self._open) >= self.max_streams:
                raise Overloaded(f"{len(self._open)} streams are open")
            if stream.user and self._readers[stream.user] >= self.max_readers_per_user:
                raise TooManyReaders(f"{self.max_readers_per_user} are open for this user")
            self._open.add(stream)
            self._readers[stream.user] += 1
            if stream.descriptor != NO_SOCKET:
                self._watched[stream.descriptor] = stream
                with suppress(FileExistsError):  # by a stream that nobody has closed
                    self._poll.register(stream.descriptor, select.POLLIN)
            begin_watching, self._watching = not self._watching, True
        if begin_watching:
            threading.Thread(target=self._watch, daemon=True).start()

    def _abandon(self, resumable_only: bool) -> None:
        for stream in self._all():
            if stream.resumable or not resumable_only:
                stream.source.abandon(Draining("this worker is being replaced"), _LINGER_S)

    def _all(self) -> list[Stream]:
        with self._lock:
            return list(self._open)

    def _watch(self) -> None:
        """Look after all open streams until there are none."""
        check_at = time.monotonic() + _CHECK_S
        while True:
            time.sleep(_SWEEP_S)
            if is_due := time.monotonic() >= check_at:
                check_at = time.monotonic() + _CHECK_S
                if not self._checking:
                    self._checking = True
                    spawn(self._end_disallowed)  # the database may keep it waiting
            self._sweep(is_due)
            with self._lock:
                OPEN.set(len(self._open))  # for each stream it would cost more than the rest
                if not self._open:
                    self._watching = False
                    return

    def _sweep(self, each: bool) -> None:
        """Abandon whose client has gone, by what can be read; looking at `each`, cut who is too slow."""
        for stream in self._all() if each else ():
            if isinstance(stream.source.reason, ReaderTooSlow):
                stream.client.cut()
        for descriptor, _ in self._poll.poll(0):
            readable = self._watched.get(descriptor)
            if readable is not None and readable.client.gone():
                readable.source.abandon(ReaderGone("the client has closed its connection"))

    def _end_disallowed(self) -> None:
        """End the streams of whoever may not read them any more."""
        try:
            for number, stream in enumerate(self._all(), 1):
                if stream.allowed is not None and not stream.allowed():
                    stream.source.abandon(AccessEnded("its token or session has ended"), _LINGER_S)
                if number % _CHECKED_AT_ONCE == 0:
                    time.sleep(0)
        except DatabaseError as error:  # the next round asks again
            log.warning("nobody can be asked who may read: %s", error)
        finally:
            self._checking = False
