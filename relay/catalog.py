"""The models that can be asked, and which upstream has each."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.errors import TalkaboutError, UpstreamError, UpstreamNotAStream, UpstreamRefused
from relay.upstream import Upstream

log = logging.getLogger(__name__)

STAND_IN = "default"  # stands for the preferred upstream's model where that lists none

OTHER = "other"  # stands for models that nobody knows

_REMEMBER_S = 30.0
_REMEMBER_ALIVE_S = 5.0  # also how soon an upstream that failed is asked again
_NO_SUCH_ROUTE = (404, 405, 501)


class UnknownModel(TalkaboutError):
    """No upstream has a model of that name."""

    public = "There is no such model."


class State(NamedTuple):
    """How an upstream does on this worker: the calls that run and wait, and if it answered when it was last asked."""

    name: str
    healthy: bool
    running: int = 0
    waiting: int = 0


@dataclass
class Entry:
    """An upstream and what it serves: the `known` models, or else those that it lists.

    It is asked in a thread of its own, and only its first answer is waited for: else each request that wants the list
    would stand still for as long as the upstream does.
    """

    upstream: Upstream
    known: tuple[str, ...] = ()
    _listed: list[str] = field(default_factory=list)
    _answers: bool = False
    _asked_at: float = float("-inf")
    _asking: threading.Thread = field(default_factory=threading.Thread)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _first_answer: threading.Event = field(default_factory=threading.Event)

    def models(self) -> list[str]:
        """List the models as of a while ago; an upstream that does not answer keeps those it listed last."""
        if not self.known:
            self._ask_again_after(_REMEMBER_S if self._answers and self._listed else _REMEMBER_ALIVE_S)
        return list(self.known) or self._listed

    def models_now(self) -> list[str]:
        """List the models; where none are known, ask again and wait for the answer, all who wait for the same one."""
        if not self.models():
            self._ask_again_after(0).join()
        return list(self.known) or self._listed

    def alive(self) -> bool:
        """Tell if the upstream answered when it was last asked: some seconds ago, where somebody looks regularly."""
        self._ask_again_after(_REMEMBER_ALIVE_S)
        return self._answers

    def state(self) -> State:
        """Tell what is known of the upstream, without asking it; well until it was asked."""
        return State(self.upstream.name, self._answers or not self._first_answer.is_set())

    def _ask_again_after(self, seconds: float) -> threading.Thread:
        with self._lock:
            now = time.monotonic()
            if not self._asking.is_alive() and now - self._asked_at >= seconds:
                self._asked_at = now
                self._asking = threading.Thread(target=self._ask, daemon=True)
                self._asking.start()
            asking = self._asking
        self._first_answer.wait()
        return asking

    def _ask(self) -> None:
        try:
            self._listed = self.upstream.models()
            self._answers = True
        except UpstreamError as exc:
            self._answers = _answers_without_a_list(exc)
            log.warning("%s lists no models: %s", self.upstream.name, exc)
        finally:
            self._first_answer.set()


def _answers_without_a_list(error: UpstreamError) -> bool:
    """Tell if a model server is there that just has no list: many that only complete have none."""
    no_route = isinstance(error, UpstreamRefused) and error.status in _NO_SUCH_ROUTE
    return no_route or isinstance(error, UpstreamNotAStream)


class Catalog:
    """Every upstream, the preferred one first."""

    def __init__(self, entries: list[Entry], default: str = "", image_models: str = "") -> None:
        self.entries = entries
        self._default = default
        self._image_models = frozenset(image_models.split())

    def models(self) -> list[str]:
        """List every model id once, the default first."""
        return list(dict.fromkeys([self.default(), *(model for entry in self.entries for model in entry.models())]))

    def label(self, model: str) -> str:
        """Name a model for whoever counts: where a model server lists nothing, who asks can say any name."""
        known = model == self._default or any(model in entry.models() for entry in self.entries)
        return model if known else OTHER

    def states(self) -> list[State]:
        """Tell how each upstream does."""
        return [entry.state() for entry in self.entries]

    def default(self) -> str:
        """Name the model that is asked when none is named; `default` if the preferred upstream lists none."""
        return self._default or next(iter(self.entries[0].models()), STAND_IN)

    def find(self, model: str | None) -> tuple[Upstream, str]:
        """Find the upstream of a model, or of the default one. Raises UnknownModel.

        The model that the operator set belongs to the preferred upstream, listed there or not; so does any model that
        nobody lists, while the preferred upstream lists none: it may have it, and says so itself if it has not.
        """
        preferred, wanted = self.entries[0], model or self.default()
        if wanted == self._default:
            return preferred.upstream, wanted
        for entry in self.entries:
            if wanted in entry.models():
                return entry.upstream, wanted
        listed = preferred.models_now()
        if listed and wanted == STAND_IN:
            return preferred.upstream, self.default()
        if listed and wanted not in listed:
            raise UnknownModel(wanted)
        return preferred.upstream, wanted

    def takes_images(self, model: str) -> bool:
        """Tell if a model takes images: its server says so, or the operator for the preferred upstream's models."""
        for entry in self.entries:
            if model in entry.models():
                said = entry is self.entries[0] and not {model, "*"}.isdisjoint(self._image_models)
                return said or model in entry.upstream.seeing
        return not {model, "*"}.isdisjoint(self._image_models)

    def ready(self) -> bool:
        """Tell if the preferred upstream answers: the poem counts only where there is nothing else."""
        return self.entries[0].alive()
