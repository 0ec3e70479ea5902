"""What becomes of an attack, and what an attack is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.attacks.target import Target


@dataclass
class Outcome:
    """Count what was tried: `refused` (a status from 400 up, or a closed connection) or `served` without any harm.

    What does harm is `broken`, in words.
    """

    tried: int = 0
    refused: int = 0
    served: int = 0
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def status(self, status: int, what: str, *, served: bool = False) -> None:
        """Count a reply by its status, 0 if there was none; what is no refusal is broken, unless it may be served."""
        self.tried += 1
        if status in (0, 501, 503, 505) or 400 <= status < 500:
            self.refused += 1
        elif status < 400 and served:
            self.served += 1
        else:
            self.broken.append(f"{status} for {what}")

    def must(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.broken.append(what)


@dataclass(frozen=True)
class Attack:
    """One kind of attack: `run` makes some `size` tries; `holds` says in words what stands against them."""

    name: str
    run: Callable[[Target, int], Outcome]
    size: int
    holds: str
