"""The way to a model: the servers that have it, and a call that goes to one of them, or to the next.

Until the first byte of an answer a failure leads to another server, and is nobody's business. After it the answer
breaks off for whoever reads, who may ask for the rest: that call goes to a server that does well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from relay import retries, spans
from relay.body import Take, TakeChunk
from relay.context import capped, fits, prompt_bytes
from relay.continuation import NONE, continued
from relay.entry import Entry
from relay.errors import UpstreamBroken, UpstreamError, UpstreamRefused
from relay.gate import Gate
from relay.health import OPEN, is_down
from relay.request_id import current
from relay.route_errors import PromptTooLong
from relay.upstream import Call


class Route:
    """The servers of one model, for one request or answer; the first is the preferred one.

    `having` lists them anew for each call: one that went may be back when an answer is to go on. `label` stands for a
    model's name that is nothing but what somebody said.
    """

    def __init__(self, model: str, having: Callable[[], list[Entry]], gate: Gate, label: str = "") -> None:
        self.model = model
        self.label = label or model
        self.entries = having()
        self.gate = gate
        self._having = having
        self.asked: set[Entry] = set()

    @property
    def name(self) -> str:
        """Name the server that is asked, if there is one alone, else the model's first."""
        return self.entries[0].upstream.name

    def call(self, body: dict[str, Any], kept: str = "", user: str = "", request_id: str = "") -> RoutedCall:
        """Prepare one streamed completion, of what follows the text `kept`; nothing is sent before `open`.

        The model's name in the body becomes the server's own. Users take turns where requests have to wait. The
        request's id is for `abort`, and goes to servers that know what it is.
        """
        self.entries = self._having() or self.entries
        return RoutedCall(self, body, kept, user, request_id)

    def expect_room(self) -> None:
        """Raise UpstreamBusy if a request could not even wait for a server."""
        self.gate.expect_room(self.entries)

    def continues(self) -> str:
        """Tell how a server of these goes on with a begun text; `none` if no one can (relay.continuation)."""
        return next(self._styles(), NONE)

    def abort(self, model: str, request_id: str) -> None:
        """Tell the servers that were asked to give a request up, where they know how; raises nothing.

        If none was from here, another worker asked: then it may have been any.
        """
        for entry in self.asked or self.entries:
            entry.upstream.abort(entry.own(model), request_id)

    def _styles(self) -> Iterator[str]:
        sound = [entry for entry in self.entries if entry.health.state != OPEN]
        return (style for entry in sound or self.entries if (style := entry.continues(self.model)) != NONE)


class RoutedCall(Call):
    """One streamed completion of a server of a route; each try may go to another."""

    def __init__(self, route: Route, body: dict[str, Any], kept: str, user: str, request_id: str) -> None:
        super().__init__(route.entries[0].upstream, body)
        self._route = route
        self._asked_for = body
        self._kept = kept
        self._user = user
        self._request_id = request_id
        self._origin = current.get()  # whose work it is: another thread may come to ask the next server
        self._size = -1
        self._left: list[Entry] = []  # who was not asked yet in this round
        self._entry: Entry | None = None  # whose slot it holds
        self._held_from = 0.0
        self._failed = False
        self._said_all = False

    def read(self, take: Take, take_chunk: TakeChunk | None = None) -> bool:
        """Give the bytes as a call of one server does; one that ends without a byte is taken over by the next."""
        while True:
            try:
                is_traced = self.span and not self._line.body_heard_at
                more = self._first(take, take_chunk) if is_traced else super().read(take, take_chunk)
                if more or self._line.body_heard_at:
                    return more
                raise UpstreamBroken("the reply ended without a byte")
            except UpstreamError as error:
                self._note(error)
                if self._line.body_heard_at or not self._left or not retries.elsewhere(error):
                    raise
                self.close()
                self._reply = None
                self._ask_in_turn(error)

    def _first(self, take: Take, take_chunk: TakeChunk | None) -> bool:
        """Read as ever, but note when the first piece comes; those behind it go where they should."""
        enough = False

        def note(piece: bytes) -> bool:
            nonlocal enough
            if self.span:
                self.span.note("first_token")
            enough = take(piece)
            return True

        return super().read(note) and (enough or super().read(take, take_chunk))

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes to a reader that may wait; one server's, to the end."""
        try:
            yield from super().__iter__()
        except UpstreamError as error:
            self._note(error)
            raise

    def end_within(self, seconds: float) -> None:
        """Give the rest so much time: the answer is whole, so that nothing is the server's failure any more."""
        self._said_all = True
        super().end_within(seconds)

    def close(self) -> None:
        """Release the connection and the server's slot, by the reading thread."""
        super().close()
        self._leave()

    def _send(self) -> None:
        """Ask one server after the other, the likeliest first, until one begins to answer."""
        self._left = self._able()
        self._ask_in_turn(None)

    def _able(self) -> list[Entry]:
        """List who can do it: where the prompt may fit, and of those who can go on with a text that is kept."""
        entries = self._route.entries
        if any(entry.context for entry in entries):
            self._size = prompt_bytes(self._asked_for) if self._size < 0 else self._size
            entries = [entry for entry in entries if fits(self._size, entry.context)]
        if not entries:
            raise PromptTooLong(f"{self._size} bytes")
        able = [entry for entry in entries if entry.continues(self._route.model) != NONE] if self._kept else []
        return list(able or entries)

    def _ask_in_turn(self, failure: UpstreamError | None) -> None:
        """Ask those who are left; raises what is likeliest to pass of all that they said."""
        while self._left:
            entry = self._enter()
            answers = False
            try:
                super()._send()
                answers = True
                entry.health.answered()
                if self.span:
                    self.span.tell(status=200)
                return
            except UpstreamError as error:
                self._note(error)
                failure = error if failure is None or retries.may_pass(error) else failure
                if not retries.elsewhere(error):
                    raise
            finally:
                current.set(self._origin)
                if not answers:
                    self._leave()
        if failure:
            raise failure

    def _enter(self) -> Entry:
        for entry in self._left:
            entry.look_if_back()
        entry = self._route.gate.enter(self._left, self._user, self._line)
        self._left.remove(entry)
        self._route.asked.add(entry)
        self._entry, self._held_from, self._failed = entry, monotonic(), False
        self._upstream = entry.upstream
        self._line.timeouts = entry.upstream.timeouts
        self._line.begin()
        self._body = self._body_for(entry)
        self.span = spans.begin(spans.CALL, self._route.label, self._origin, upstream=entry.upstream.name)
        current.set(self.span.origin if self.span else self._origin)
        return entry

    def _body_for(self, entry: Entry) -> dict[str, Any]:
        """Write the request as this server is to have it."""
        body = {**capped(self._asked_for, self._size, entry.context), "model": entry.own(self._route.model)}
        if self._request_id and entry.upstream.names_requests():
            body["request_id"] = self._request_id
        return continued(body, self._kept, entry.continues(self._route.model)) if self._kept else body

    def _note(self, error: UpstreamError) -> None:
        if self._entry and not self._said_all:
            error.upstream = self._entry.upstream.name
            self._failed = True
            if self.span:
                self.span.fail(error)
            self._entry.failed(error)
            if isinstance(error, UpstreamRefused) and error.status < 500 and not is_down(error):
                self._entry.health.answered()

    def _leave(self) -> None:
        entry, self._entry = self._entry, None
        span, self.span = self.span, None
        if span:
            span.end()
        if entry:
            if self._line.body_heard_at and not self._failed:
                entry.health.succeeded()
            self._route.gate.leave(entry, monotonic() - self._held_from, self._line)
