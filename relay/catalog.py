"""The models that can be asked, and which upstream has each."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from relay.errors import TalkaboutError, UpstreamError, UpstreamUnreachable
from relay.upstream import Upstream

log = logging.getLogger(__name__)

_REMEMBER_S = 30.0
_REMEMBER_ALIVE_S = 5.0  # also how soon an upstream that failed is asked again


class UnknownModel(TalkaboutError):
    """No upstream has a model of that name."""

    public = "There is no such model."


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
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _first_answer: threading.Event = field(default_factory=threading.Event)

    def models(self) -> list[str]:
        """List the models as of a while ago; an upstream that does not answer keeps those it listed last."""
        if not self.known:
            self._ask_again_after(_REMEMBER_S if self._answers else _REMEMBER_ALIVE_S)
        return list(self.known) or self._listed

    def alive(self) -> bool:
        """Tell if the upstream answered when it was last asked: some seconds ago, where somebody looks regularly."""
        self._ask_again_after(_REMEMBER_ALIVE_S)
        return self._answers

    def _ask_again_after(self, seconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._asked_at > seconds:
                self._asked_at = now
                threading.Thread(target=self._ask, daemon=True).start()
        self._first_answer.wait()

    def _ask(self) -> None:
        try:
            self._listed = self.upstream.models()
            self._answers = bool(self._listed)
        except UpstreamError as exc:
            self._answers = False
            log.warning("%s lists no models: %s", self.upstream.name, exc)
        finally:
            self._first_answer.set()


class Catalog:
    """Every upstream, the preferred one first."""

    def __init__(self, entries: list[Entry], default: str = "") -> None:
        self.entries = entries
        self._default = default

    def models(self) -> list[str]:
        """List every model id once, the default first."""
        ids = [self._default] if self._default else []
        return list(dict.fromkeys(ids + [model for entry in self.entries for model in entry.models()]))

    def default(self) -> str:
        """Name the model that is asked when none is named. Raises UpstreamUnreachable if its upstream lists none."""
        preferred = self._default or next(iter(self.entries[0].models()), "")
        if not preferred:
            raise UpstreamUnreachable(f"{self.entries[0].upstream.name} lists no models and TALKABOUT_MODEL is not set")
        return preferred

    def find(self, model: str | None) -> tuple[Upstream, str]:
        """Find the upstream of a model, or of the default one. Raises UnknownModel or UpstreamUnreachable.

        The model that the operator set belongs to the first upstream, listed there or not.
        """
        wanted = model or self.default()
        if wanted == self._default:
            return self.entries[0].upstream, wanted
        for entry in self.entries:
            if wanted in entry.models():
                return entry.upstream, wanted
        raise UnknownModel(wanted)

    def ready(self) -> bool:
        """Tell if at least one upstream answers."""
        return any(entry.alive() for entry in self.entries)
