"""The client of an OpenAI-compatible model server, on requests.

The reading thread owns the response and closes it. Whoever stops it, from any other thread, only shuts the socket down:
closing it from there would hang, or break the reader in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import BaseAdapter

from relay import retries
from relay.asking import SHORT_S, check, hides, is_streamed, time_for, written
from relay.body import Ours, Reply, Take, TakeChunk, pieces, reply_of
from relay.continuation import style_of
from relay.errors import UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamUnreachable
from relay.exchange import Template, exchange
from relay.line import DEFAULT_TIMEOUTS, Line, Timeouts
from relay.pool import Pool
from relay.replies import bounded, model_list
from relay.session import make_session, prepare, transmit
from relay.spans import Span
from relay.wire import using

__all__ = ["Call", "Timeouts", "Upstream"]

MAX_MODELS_BYTES = 1 << 20
XINFERENCE = "xinference"  # the owner that it names for its models


class Upstream:
    """One model server, by name.

    `base_url` is with or without `/v1`. `ca` is the path of a CA file, else the usual ones hold. For `patience_s`
    seconds after a refused connection or a 503 a call keeps trying: the server is expected to come up. `adapter`
    carries the requests instead of HTTP.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        key: str = "",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        retries: int = 2,
        proxy: str = "",
        ca: str = "",
        patience_s: float = 0.0,
        continues: str = "auto",
        adapter: BaseAdapter | None = None,
    ) -> None:
        self.name = name
        self.timeouts = timeouts
        self.retries = retries
        self.patience_s = patience_s
        self._continues = continues
        self._owner = ""
        self._engines: dict[str, str] = {}
        self.seeing: frozenset[str] = frozenset()  # its models that take images, by its last list
        base = base_url.strip().rstrip("/")
        self._base = base if base.endswith("/v1") else base + "/v1"
        self._session = make_session(key, proxy, ca)
        if adapter:
            self._session.mount(base_url, adapter)
        path = self._base + "/chat/completions"
        self._streamed = Template(prepare(self._session, "POST", path, json={}))
        self._whole = Template(prepare(self._session, "POST", path, json={}, headers={"Accept": "application/json"}))
        self.hides = hides(key, base)
        self._pool: Pool | None = None  # of a server that is asked without a proxy, and does not compress

    def call(self, body: dict[str, Any]) -> Call:
        """Prepare one completion, streamed or not as its body says; nothing is sent before `open`."""
        return Call(self, body)

    def models(self) -> list[str]:
        """Ask which models there are; raises UpstreamError, waits a few seconds at most."""
        line = Line(self.timeouts.at_most(SHORT_S))
        line.begin()
        asked = prepare(self._session, "GET", self._base + "/models", headers={"Accept": "application/json"})
        reply = self.send(line, asked)
        try:
            if reply.status != 200:
                raise UpstreamRefused(reply.status, "GET /models")
            listed = model_list(bounded(pieces(reply.body), MAX_MODELS_BYTES))
            self._owner, self._engines, self.seeing = listed.owner, listed.engines, listed.seeing
            return listed.ids
        finally:
            reply.close()

    def continues(self, model: str) -> str:
        """Tell how a model goes on with a begun text (relay.continuation); asks what the server is if nobody said."""
        if self._continues != "auto":
            return self._continues
        if not self._owner:
            with suppress(UpstreamError):
                self.models()
        return style_of(self._owner, self._engines.get(model, ""))

    def names_requests(self) -> bool:
        """Tell if a request is to carry a `request_id`, by which it can be given up."""
        return self._owner == XINFERENCE

    def abort(self, model: str, request_id: str) -> None:
        """Tell Xinference to give a request up; its llama.cpp engine writes on for a client that has gone.

        Whatever comes of it, the connection is closed already; nothing is raised.
        """
        if not self.names_requests():
            return
        line = Line(self.timeouts.at_most(SHORT_S))
        line.begin()
        path = f"/models/{quote(model, safe='')}/requests/{quote(request_id, safe='')}/abort"
        with suppress(UpstreamError):
            self.send(line, prepare(self._session, "POST", self._base + path, json={})).close()

    def complete(self, line: Line, body: dict[str, Any]) -> Reply:
        """Ask for a completion; as `send`."""
        content = written(body)
        template = self._streamed if is_streamed(body) else self._whole
        while connection := self._pool and self._pool.take():
            line.start()
            try:
                with Ours(line):
                    return exchange(connection, template.written(content), line)
            except UpstreamError as error:
                connection.close()
                if not (line.reused and isinstance(error, UpstreamUnreachable)):
                    self._pool = None  # requests may understand the server better, so that the next one is theirs
                    raise
                # The server had closed the kept connection; the next one is another, at last a new one.
        reply = self.send(line, template.whole(content))
        self._pool = None if self._session.proxies else reply.pool
        return reply

    def send(self, line: Line, request: requests.PreparedRequest) -> Reply:
        """Send one request on a line and wait for the headers; the caller closes the reply."""
        limits = (line.timeouts.connect, None)  # the line keeps to the others
        while True:
            line.start()
            try:
                with Ours(line), using(line):
                    line.left()
                    response = transmit(self._session, request, limits)
            except UpstreamUnreachable:
                if line.reused:
                    continue  # as in `complete`
                raise
            line.answered(response.raw.shutdown)
            return reply_of(response, line)


class Call:
    """One completion: `open` it, iterate over its bytes to the end, `close` it."""

    def __init__(self, upstream: Upstream, body: dict[str, Any]) -> None:
        self._upstream = upstream
        self._body = body
        self._line = Line(upstream.timeouts)
        self._reply: Reply | None = None
        self.span: Span | None = None  # while somebody traces it

    def open(self) -> None:
        """Send the request and wait for the reply's headers; raises UpstreamError."""
        self._line.begin()
        patient_until = monotonic() + self._upstream.patience_s
        tried = 0
        while (pause := self._try(tried, patient_until)) is not None:
            self._line.wait(pause)
            tried += 1

    def read(self, take: Take, take_chunk: TakeChunk | None = None) -> bool:
        """Give the bytes to `take` as they arrive, until it returns True, then return True; False at the end.

        At the end the connection is free for the next call. `take` may run in the event loop, so it must not wait for
        anything; what it raises comes out here. Raises UpstreamError.
        """
        return self._opened().body.read(take, take_chunk)

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes as they arrive, to a reader that may wait; as `read`."""
        return pieces(self._opened().body)

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self._reply is not None and self._reply.body.ended

    def cut(self) -> UpstreamBroken:
        """Make the error of a stream whose end came before the completion's."""
        broken = UpstreamBroken("the stream ended without [DONE] and without a finish reason")
        broken.upstream = self._upstream.name
        return broken

    def stop(self) -> None:
        """End it, from any thread, at any moment; `open` and the iteration raise UpstreamStopped."""
        self._line.stop()

    def end_within(self, seconds: float) -> None:
        """Give the rest of it so much time and no more."""
        self._line.end_within(seconds)

    def close(self) -> None:
        """Release the connection, by the reading thread; not read to the end, it is closed."""
        if self._reply is not None:
            self._reply.close()

    @property
    def kind(self) -> str:
        """The content type of the reply."""
        return self._opened().headers.get("content-type", "")

    def _opened(self) -> Reply:
        if self._reply is None:
            raise RuntimeError("open() it first")
        return self._reply

    def _try(self, tried: int, patient_until: float) -> float | None:
        """Send the request once; give the seconds until the next try, None if it went well."""
        try:
            self._send()
        except UpstreamError as error:
            if monotonic() < patient_until and retries.still_starting(error):
                return retries.PATIENT_PAUSE_S
            pause = retries.pause(error, tried) if tried < self._upstream.retries else None
            if pause is None:
                raise
            return pause
        return None

    def _send(self) -> None:
        self._line.timeouts = time_for(self._body, self._upstream.timeouts)
        reply = self._upstream.complete(self._line, self._body)
        try:
            check(reply, self._line, is_streamed(self._body), self._upstream.hides)
        except UpstreamError:
            reply.close()
            raise
        self._reply = reply
