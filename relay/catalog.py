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


class UnknownModel(TalkaboutError):
    """No upstream has a model of that name."""

    public = "There is no such model."


@dataclass
class Entry:
    """An upstream and what it serves: the `known` models, or else those that it lists, remembered for a while."""

    upstream: Upstream
    known: tuple[str, ...] = ()
    _listed: list[str] = field(default_factory=list)
    _asked: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def models(self) -> list[str]:
        """List the models; an upstream that does not answer keeps those it listed last."""
        if self.known:
            return list(self.known)
        with self._lock:
            if time.monotonic() - self._asked > _REMEMBER_S:
                self._ask()
            return self._listed

    def _ask(self) -> None:
        try:
            self._listed = self.upstream.models()
        except UpstreamError as exc:
            log.warning("%s lists no models: %s", self.upstream.name, exc)
        self._asked = time.monotonic()

    def alive(self) -> bool:
        """Ask the upstream now if it answers."""
        try:
            return bool(self.upstream.models())
        except UpstreamError:
            return False


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
