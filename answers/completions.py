"""The durable completions of this worker: begun here, and followed, stopped or brought to their end from any worker.

A stream's name holds a digest of whose it is, so that under another user's name there is no such stream.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from answers.asked import Asked, keep, kept
from answers.begun import chars_of
from answers.chunks import Desk
from answers.durable import Durable
from answers.follow import Follower
from answers.journal import Batch, Entry, read_all
from answers.pen import LEASE_S
from answers.tree import is_id
from relay.catalog import Catalog, UnknownModel
from relay.errors import Draining, JournalError, NotFound, Overloaded, TalkaboutError, TooManyAnswers, UpstreamStopped
from relay.loop import spawn
from relay.passthrough import error_block, full
from relay.pipe import Pipe
from relay.reply_errors import EventsGone, WriterGone
from relay.route import Route
from relay.sse import PING
from relay.upstream import Call

log = logging.getLogger(__name__)

STOPS = "completion-stops"  # the journal's stream of completions that are to be stopped, wherever they are written
PREFIX = "completion:"

_STOPS_KEPT = 1000
_STOPPED_WITHIN_S = 10.0
_SAY_AGAIN_S = 0.5
_LOOK_S = 0.02
_LEAVING_S = 2.0


class Completions:
    """Begin, follow and stop durable completions; `desk` is what they are written with here."""

    def __init__(self, desk: Desk, catalog: Catalog, follower: Follower) -> None:
        self._desk = desk
        self._owner = desk.owner
        self._journal = desk.journal
        self._settings = desk.settings
        self._catalog = catalog
        self._follower = follower
        self._running: dict[str, Durable] = {}
        self._lock = threading.Lock()
        self._draining = False

    def running(self) -> dict[str, Durable]:
        """Map each stream that is written here to its completion."""
        with self._lock:
            return dict(self._running)

    def refuse_too_many(self, user: str) -> None:
        """Raise TooManyAnswers or Overloaded if this worker writes as many as it may, for this user or at all."""
        running = self.running().values()
        if len(running) >= self._settings.max_streams:
            raise Overloaded(f"{len(running)} completions are being written")
        if sum(each.user == user for each in running) >= self._settings.max_answers_per_user:
            raise TooManyAnswers(f"{self._settings.max_answers_per_user} are being written for this user")

    def begin(self, id: str, asked: Asked, route: Route, call: Call, leave: Callable[[], None]) -> None:
        """Write an opened call from now on, whoever reads it. Raises JournalError, and Draining."""
        if self._draining:
            call.close()
            raise Draining("this worker is being replaced")
        stream = _stream(asked.account.user, id)
        try:
            self._journal.take(stream, self._owner, LEASE_S)
            self._journal.touch([stream])  # so that it is known before it has an entry
            keep(self._journal, stream, asked, self._settings.durable_request_bytes)
        except BaseException:
            call.close()
            raise
        self._start(Durable(id, stream, asked, route, self._desk, call, leave=leave))

    def follow(self, user: str, id: str, after: int | None) -> Pipe | None:
        """Follow a completion from behind the seq `after`, None for the beginning; None if nothing can come.

        Raises NotFound where there is none, or it is another's, and EventsGone where its events are not kept any more.
        """
        stream = self._find(user, id)
        first, last = self._follower.bounds(stream)
        if after is None or after > last:
            after = 0
        if after < first - 1:
            raise EventsGone(f"the first that is kept is {first}")
        if after and after == last and self._has_ended(stream):
            return None
        return self._follower.follow(stream, after, PING if after else b"", _gap, _farewell)

    def stop(self, user: str, id: str) -> bool:
        """Stop a completion, wherever it is written, and wait until it has ended; say if it has. Raises NotFound."""
        stream = self._find(user, id)
        deadline, say_at = time.monotonic() + _STOPPED_WITHIN_S, 0.0
        while not (ended := self._has_ended(stream)) and time.monotonic() < deadline:
            if durable := self._running.get(stream):
                durable.stop(UpstreamStopped("by its user"))
                durable.ended.wait(_SAY_AGAIN_S)
            elif time.monotonic() >= say_at:
                say_at = time.monotonic() + _SAY_AGAIN_S
                self._journal.publish(STOPS, lambda _: stream.encode(), _STOPS_KEPT)
            time.sleep(_LOOK_S)
        return ended

    def heard_stop(self, stream: str) -> None:
        """Stop a completion, if it is written here."""
        if durable := self._running.get(stream):
            durable.stop(UpstreamStopped("by its user"))

    def renew(self) -> None:
        """Let the leases last; whoever has lost one ends."""
        running = self.running()
        held = self._journal.renew(self._owner, running.keys(), LEASE_S) if running else set()
        for stream in running.keys() - held:
            running[stream].refuse()

    def adopt(self, stream: str) -> None:
        """Go on with a completion whose worker is gone, or bring it to its end."""
        if stream in self._running:
            return
        id_, asked = stream.rpartition(":")[2], kept(self._journal, stream)
        route = self._route(id_, asked) if asked else None  # before the lease, which may run out meanwhile
        if not self._journal.take(stream, self._owner, LEASE_S):
            return
        last = self._journal.bounds(stream)[1]
        if asked and route:
            self._start(Durable(id_, stream, asked, route, self._desk, last=last))
            return
        entries = read_all(self._journal, stream) if asked else []
        block = error_block(full(WriterGone("its worker is gone")), f"{id_}:{last + 1}")
        refused = self._journal.commit([Batch(stream, self._owner, [Entry(stream, last + 1, block, final=True)])])
        if asked and not refused:
            self._desk.accounts.count(asked.account, None, None, chars_of(entries))

    def drain(self, seconds: float) -> None:
        """Give what is written here so much time, then hand it over or end it, before this worker ends."""
        self._draining = True
        deadline = time.monotonic() + seconds
        for durable in self.running().values():
            durable.ended.wait(max(0.0, deadline - time.monotonic()))
        for durable in self.running().values():
            durable.hand_over()
        deadline = time.monotonic() + _LEAVING_S
        for durable in self.running().values():
            durable.ended.wait(max(0.0, deadline - time.monotonic()))
        try:
            self._journal.hand_over(self._owner)
        except JournalError as error:
            log.warning("completions are adopted only when their leases run out: %s", error)

    def _route(self, id: str, asked: Asked) -> Route | None:
        try:
            return self._catalog.find(asked.account.model)[0]
        except UnknownModel:
            log.warning("completion %s: nobody has its model any more", id)
            return None

    def _start(self, durable: Durable) -> None:
        with self._lock:
            self._running[durable.stream] = durable
        spawn(partial(self._run, durable))

    def _run(self, durable: Durable) -> None:
        try:
            durable.run()
        finally:
            with self._lock:
                del self._running[durable.stream]

    def _find(self, user: str, id: str) -> str:
        stream = _stream(user, id.lower())
        if not is_id(id.lower()) or not self._is_known(stream):
            raise NotFound(f"no completion {id[:100]!r}")
        return stream

    def _is_known(self, stream: str) -> bool:
        """Tell if it has an entry, or is about to; one that ends between two looks has entries at the second."""
        bounds = self._follower.bounds
        return bool(bounds(stream)[1] or self._journal.last_read(stream) is not None or bounds(stream)[1])

    def _has_ended(self, stream: str) -> bool:
        first, last = self._follower.bounds(stream)
        if first > last > 0:  # nothing is kept of it
            return self._journal.last_read(stream) is None
        newest = self._journal.read(stream, last - 1, 1)
        return bool(newest and newest[0].final)


def _stream(user: str, id: str) -> str:
    return f"{PREFIX}{hashlib.sha256(user.encode(errors='replace')).hexdigest()[:32]}:{id}"


def _gap(_upto: int) -> bytes:
    return error_block(full(EventsGone("lost on the way")))


def _farewell(reason: TalkaboutError) -> bytes:
    """Let a reader that is sent away know that this was not the end; without an id, so that it can come back."""
    return error_block(full(reason))
