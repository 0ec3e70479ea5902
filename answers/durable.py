"""One durable completion: the model server's own chunks, each kept in the journal with an id of ours.

It is no answer of a conversation: nothing of it is in the database. When its worker dies, or its model server, it is
gone on with as an answer is, where its text is all that there is of it (answers/begun.py). Else it ends with an error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from answers.asked import Asked, keep
from answers.chunks import Chunks, Desk
from answers.producer import MAX_ADOPTIONS, PAUSES_S
from relay import request_id, spans
from relay.completion import read_to_end
from relay.continuation import NONE
from relay.errors import Draining, JournalError, TalkaboutError, UpstreamError, UpstreamStopped
from relay.health import is_down
from relay.loop import spawn
from relay.reply_errors import WriterGone
from relay.route import Route
from relay.sse import Decoder
from relay.upstream import Call

log = logging.getLogger(__name__)


class Durable:
    """Write a completion into its stream, to its end; `run` in a thread of its own, the rest from any.

    `call` is open already; without one the completion is adopted, and goes on behind the seq `last`. `leave` gives its
    place back.
    """

    def __init__(
        self,
        id: str,
        stream: str,
        asked: Asked,
        route: Route,
        desk: Desk,
        call: Call | None = None,
        last: int = 0,
        leave: Callable[[], None] | None = None,
    ) -> None:
        self.id = id
        self.stream = stream
        self.user = asked.account.user
        self.began_at = time.time()
        self.ended = threading.Event()
        self._asked = asked
        self._route = route
        self._desk = desk
        self._call = call
        self._leave = leave
        self._rest: dict[str, Any] = {}  # what to ask for to go on
        self._reason: TalkaboutError | None = None
        self._is_leaving = False
        self._asked_by = request_id.current.get()  # of the request that begins it
        self._wakes = threading.Event()
        self._is_cut = call is None  # there may be a model server that writes on for it
        self._chunks = Chunks(id, stream, desk, last, self._interrupt)

    def stop(self, reason: TalkaboutError) -> None:
        """End it for that reason; returns at once, and does nothing once it has ended."""
        if not self.ended.is_set():
            self._reason = self._reason or reason
            self._interrupt()

    def refuse(self) -> None:
        """Take note that the journal takes nothing more of it from us."""
        self._chunks.refuse()

    def hand_over(self) -> None:
        """Leave it to another worker, if one could go on with it; else end it. Returns at once."""
        self._is_leaving = True
        self._interrupt()

    def run(self) -> None:
        """Write it; its lease is given up with the last entry."""
        request_id.current.set(self._asked_by)
        try:
            self._write_or_fail()
            if self._chunks.is_over and self._chunks.settled():
                self._desk.accounts.count(self._asked.account, *self._chunks.spent())
        except (JournalError, Draining) as error:
            log.error("completion %s is left to another worker: %s", self.id, error)
        finally:
            self._chunks.drop()
            self.ended.set()
            self._let_go()

    def _write_or_fail(self) -> None:
        try:
            self._write()
        except (JournalError, Draining):
            raise
        except Exception:  # the edge of one completion: left as it is, it would be adopted again and again
            log.exception("completion %s cannot be written", self.id)
            if not self._chunks.is_over:
                self._chunks.fail(WriterGone("it cannot be written"))

    def _write(self) -> None:
        """Write it to its end, by as many requests as it takes, or leave it to another worker."""
        error: TalkaboutError | None = None if self._call else WriterGone("its worker is gone")
        while error is None or self._goes_on(error):
            try:
                self._copy()
                return
            except TalkaboutError as failure:
                log.warning("completion %s: %s: %s", self.id, type(failure).__name__, failure)
                self._desk.accounts.failed(self._route, self._asked.account.model, failure)
                self._drop_call()
                error = self._reason or failure
        if self._is_leaving and not self._reason:
            if self._can_go_on():
                return
            error = Draining("this worker is being replaced")
        self._chunks.fail(self._reason or error)

    def _copy(self) -> None:
        """Write what one request says, to its end."""
        chunks = self._chunks
        call = self._call or self._asked_again()
        if call is None:
            chunks.done()
            return
        decoder = Decoder(self._desk.settings.max_event_bytes)

        def take(piece: bytes) -> bool:
            for event in decoder.feed(piece):
                chunks.add(event.data, event.event)
                if chunks.is_over:
                    return True
            return not chunks.offer()

        while call.read(take):
            if chunks.is_over:
                return
            chunks.write()
        if not chunks.has_ended():
            raise call.cut()
        chunks.done()

    def _goes_on(self, error: TalkaboutError) -> bool:
        """Tell if asking again can help, and count it."""
        is_gone = isinstance(error, WriterGone)
        if not (is_gone or (isinstance(error, UpstreamError) and is_down(error))):
            return False
        # Read back whatever follows, since what was said is counted.
        if not self._can_go_on() or self._asked.tries >= MAX_ADOPTIONS or self._is_ending():
            return False
        journal, settings, tries = self._desk.journal, self._desk.settings, self._asked.tries
        self._abort()
        self._asked = self._asked._replace(tries=tries + 1)
        keep(journal, self.stream, self._asked, settings.durable_request_bytes)
        self._wakes.wait(0 if is_gone else PAUSES_S[tries])
        return not self._is_ending()

    def _can_go_on(self) -> bool:
        """Read back what is said so far; tell if a model server can go on with it."""
        begun = self._chunks.read_back()
        rest = begun.rest_of(self._asked.body) if begun else None
        if begun is None or rest is None:
            return False
        if begun.text and not begun.finished and self._route.continues() == NONE:
            return False
        self._chunks.begun, self._rest = begun, rest
        return True

    def _asked_again(self) -> Call | None:
        """Ask for the rest; none if nothing but the end was missing. Raises UpstreamError."""
        begun = self._chunks.begun
        if begun is None or begun.finished:
            return None
        call = self._call = self._route.call(self._rest, begun.text, self.user, self._request_id())
        if self._is_ending():
            raise UpstreamStopped("stopped")
        call.open()
        return call

    def _request_id(self) -> str:
        """Name each request anew: what was given up, Xinference takes under that name no more, for half a minute."""
        return f"{self.id}-{self._asked.tries}" if self._asked.tries else self.id

    def _is_ending(self) -> bool:
        return bool(self._reason or self._chunks.refused or self._is_leaving)

    def _interrupt(self) -> None:
        self._wakes.set()
        if call := self._call:
            call.stop()

    def _drop_call(self) -> None:
        call, self._call = self._call, None
        if call:
            call.close()
            self._is_cut |= not call.ended

    def _abort(self) -> None:
        """Have a server that writes on for clients that have gone give it up; raises nothing, may take some seconds."""
        if self._is_cut:
            self._is_cut = False
            self._route.abort(self._asked.account.model, self._request_id())

    def _let_go(self) -> None:
        """Give back what it holds; the model server may have something to say behind its end."""
        if self._leave:
            self._leave()
        call, self._call = self._call, None
        if call:
            spans.count(call.span, *self._chunks.spent()[:2])
        if call and call.ended:
            call.close()
        elif call:
            spawn(partial(read_to_end, call))
        self._abort()
