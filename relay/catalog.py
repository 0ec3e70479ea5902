"""The models that can be asked, and which upstreams have each."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from relay.entry import Entry
from relay.errors import TalkaboutError
from relay.gate import Gate
from relay.route import Route

_OTHERS_S = 0.5  # what the first list of a server gets to come; one that is away holds nobody up
STAND_IN = "default"  # stands for the preferred upstream's model where that lists none

OTHER = "other"  # stands for models that nobody knows


class UnknownModel(TalkaboutError):
    """No upstream has a model of that name."""

    public = "There is no such model."


class State(NamedTuple):
    """How an upstream does on this worker: the calls that run and wait, and if those and its list go well."""

    name: str
    healthy: bool
    running: int = 0
    waiting: int = 0


class Catalog:
    """Every upstream, the preferred one first."""

    def __init__(self, entries: list[Entry], default: str = "", gate: Gate | None = None) -> None:
        self.entries = entries
        self._default = default
        self._gate = gate or Gate()
        self._counted = [entry for entry in entries if not entry.spare] or entries

    def models(self) -> list[str]:
        """List every model id once, the default first."""
        self._look()
        return list(dict.fromkeys([self.default(), *(model for entry in self.entries for model in entry.models())]))

    def label(self, model: str) -> str:
        """Name a model for whoever counts: where a model server lists nothing, who asks can say any name."""
        known = model == self._default or any(model in entry.models() for entry in self.entries)
        return model if known else OTHER

    def default(self) -> str:
        """Name the model that is asked when none is named; `default` if no upstream but a spare one lists any."""
        if self._default:
            return self._default
        self._look()
        return next((entry.models()[0] for entry in self._counted if entry.models()), STAND_IN)

    def find(self, model: str | None) -> tuple[Route, str]:
        """Find the way to a model, or to the default one. Raises UnknownModel.

        The model that the operator set belongs to the preferred upstream, listed there or not, unless another lists
        it; so does any model that nobody lists, while the preferred upstream lists none: it may have it, and says so
        itself if it has not. So may one that was away whenever it was asked.
        """
        preferred, wanted = self.entries[0], model or self.default()
        if wanted == self._default:
            preferred.meet()
            return Route(wanted, self._with_default, self._gate), wanted
        self._look()
        for entry in self.entries:
            entry.wait(_OTHERS_S)
        if not self._having(wanted):
            for entry in self.entries:
                entry.wait_for_news(_OTHERS_S)  # it may have been started since the last list
        if self._having(wanted) or [entry for entry in self.entries if wanted in entry.models()]:
            return Route(wanted, partial(self._having, wanted), self._gate), wanted
        listed = preferred.models_now()
        if listed and wanted == STAND_IN:
            return self.find(self.default())
        may_have = [entry for entry in self.entries if entry.is_unheard() or (entry is preferred and not listed)]
        if wanted not in listed and not may_have:
            raise UnknownModel(wanted)
        return Route(wanted, lambda: self._having(wanted) or may_have or [preferred], self._gate, OTHER), wanted

    def takes_images(self, model: str) -> bool:
        """Tell if a model takes images, on whichever of its servers."""
        return all(entry.sees(model) for entry in self._having(model) or self.entries[:1])

    def ready(self) -> bool:
        """Tell if at least one upstream answers: the poem counts only where there is nothing else."""
        counted = self._counted
        self._look()
        return any(entry.alive() for entry in counted)

    def states(self) -> list[State]:
        """Tell how each upstream does; one that has rested is asked if it is back, and not waited for."""
        for entry in self.entries:
            entry.look_if_back()
        return [
            State(entry.upstream.name, entry.healthy(), entry.running, self._gate.waiting_for(entry))
            for entry in self.entries
        ]

    def _look(self) -> None:
        """Have all lists asked for that are needed, at once: then nobody waits for two."""
        for entry in self.entries:
            entry.look()

    def _having(self, model: str) -> list[Entry]:
        return [entry for entry in self.entries if model in entry.names()]

    def _with_default(self) -> list[Entry]:
        """List who has the operator's model, without waiting for a list; where one alone may, none is asked for."""
        preferred, *others = self._counted
        if others:
            self._look()
        having = self._having(self._default)
        return having if having and (preferred in having or preferred.names()) else [preferred, *having]
