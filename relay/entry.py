"""One model server as the catalog has it: what it serves, under which names, how it does, how busy it is."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.errors import UpstreamError, UpstreamNotAStream, UpstreamRefused, UpstreamUnreachable
from relay.health import OPEN, Health, is_down
from relay.upstream import Upstream

log = logging.getLogger(__name__)

_REMEMBER_S = 30.0
_REMEMBER_ALIVE_S = 5.0  # also how soon an upstream that failed is asked again
_NO_SUCH_ROUTE = (404, 405, 501)


@dataclass(eq=False)
class Entry:
    """An upstream and what it serves: the `known` models, or else those that it lists; and its `aliases`.

    It is asked in a thread of its own, and only its first answer is waited for: else each request that wants the list
    would stand still for as long as the upstream does.

    `aliases` map further names to its own. `seeing` are the models that take images by the operator's word, `*` for
    all. `weight` is its share among equals, `limit` the most requests that run at once, `context` the tokens that its
    models take, 0 if nobody said. A `spare` one counts only where there is nothing else.
    """

    upstream: Upstream
    known: tuple[str, ...] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    seeing: frozenset[str] = frozenset()
    weight: float = 1.0
    limit: float = math.inf
    context: int = 0
    spare: bool = False
    running: int = 0  # the gate's
    served: float = 0.0  # the gate's
    health: Health = field(default_factory=Health)
    _listed: list[str] = field(default_factory=list)
    _answers: bool = False
    _heard: bool = False
    _asked_at: float = float("-inf")
    _asking: threading.Thread = field(default_factory=threading.Thread)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _first_answer: threading.Event = field(default_factory=threading.Event)

    def models(self) -> list[str]:
        """List the models as of a while ago; an upstream that does not answer keeps those it listed last."""
        self.look()
        if self.known is None:
            self._first_answer.wait()
        return self.names()

    def models_now(self) -> list[str]:
        """List the models; where none are known, ask again and wait for the answer, all who wait for the same one."""
        if not self.models() and self.known is None:
            self._ask_again_after(0).join()
        return self.names()

    def look(self) -> None:
        """Have the list asked for again if it is old, or not there, and wait for nothing."""
        if self.known is None:
            self._ask_again_after(_REMEMBER_S if self._answers and self._listed else _REMEMBER_ALIVE_S)
        else:
            self.meet()

    def meet(self) -> None:
        """Have it asked, until it has answered, whose it is and which of its models take images; wait for nothing.

        Not one of our own, which has nothing more to say; it may still be starting.
        """
        if not (self._heard or self.spare or self.upstream.patience_s):
            self._ask_again_after(_REMEMBER_S)

    def wait(self, seconds: float) -> None:
        """Wait for its first answer, for so long at most; not where its models are known."""
        if self.known is None:
            self._first_answer.wait(seconds)

    def wait_for_news(self, seconds: float) -> None:
        """Wait for a list of some seconds ago at most, for so long; not where its models are known."""
        if self.known is None:
            self._ask_again_after(_REMEMBER_ALIVE_S).join(seconds)

    def names(self) -> list[str]:
        """List the models as far as they are known now."""
        return [*(self._listed if self.known is None else self.known), *self.aliases]

    def is_unheard(self) -> bool:
        """Tell if nobody knows here what it has, since it was not there whenever it was asked."""
        return self.known is None and not self._heard

    def own(self, model: str) -> str:
        """Give the server's own name of a model."""
        return self.aliases.get(model, model)

    def continues(self, model: str) -> str:
        """Tell how a model goes on with a begun text (relay.continuation); may wait for the server to say so."""
        return self.upstream.continues(self.own(model))

    def sees(self, model: str) -> bool:
        """Tell if a model takes images: its server says so, or the operator."""
        own = self.own(model)
        return own in self.upstream.seeing or not self.seeing.isdisjoint(("*", model, own))

    def alive(self) -> bool:
        """Tell if the upstream answered when it was last asked: some seconds ago, where somebody looks regularly."""
        self._ask_again_after(_REMEMBER_ALIVE_S)
        self._first_answer.wait()
        return self._answers

    def healthy(self) -> bool:
        """Tell, without asking it, if its requests go well, and its list if that is needed; well until it was asked."""
        listed = self.known is not None or self._answers or not self._first_answer.is_set()
        return self.health.state != OPEN and listed

    def look_if_back(self) -> None:
        """Have one that was left alone for long enough asked for its list, and wait for nothing."""
        if self.health.due():
            self._ask_again_after(0)

    def failed(self, error: UpstreamError) -> None:
        """Note that a request failed."""
        if pause := self.health.failed(error):
            log.warning("upstream %s rests for %.1f s: %s", self.upstream.name, pause, error.public)

    def _ask_again_after(self, seconds: float) -> threading.Thread:
        with self._lock:
            now = time.monotonic()
            if not self._asking.is_alive() and now - self._asked_at >= seconds:
                self._asked_at = now
                self._asking = threading.Thread(target=self._ask, daemon=True)
                self._asking.start()
            return self._asking

    def _ask(self) -> None:
        try:
            self._listed = self.upstream.models()
            self._answers = self._heard = True
            self.health.listed()
        except UpstreamError as exc:
            self._answers = _answers_without_a_list(exc)
            log.warning("%s lists no models: %s", self.upstream.name, exc)
            if self._answers or not is_down(exc):
                self._heard = True
                self.health.listed()
            elif isinstance(exc, UpstreamUnreachable) or self.health.due():
                self.failed(exc)
        finally:
            self._first_answer.set()


def _answers_without_a_list(error: UpstreamError) -> bool:
    """Tell if a model server is there that just has no list: many that only complete have none."""
    no_route = isinstance(error, UpstreamRefused) and error.status in _NO_SUCH_ROUTE
    return no_route or isinstance(error, UpstreamNotAStream)
