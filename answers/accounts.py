"""Requests that are no answers: charged as they begin, and counted as they end, by whichever worker ends them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from answers.limits import Limits
from answers.measures import Measures
from answers.places import Places
from answers.quotas import Charge, Quotas
from answers.tree import new_id
from answers.usage import Spent, Usage
from relay.attachments import estimate_of
from relay.errors import DatabaseError, UpstreamError, UpstreamStopped
from relay.route import Route

log = logging.getLogger(__name__)


class Account(NamedTuple):
    """Whom a request is counted for, under which model; `tokens` are those of its prompt, about."""

    user: str
    token: str
    model: str
    tokens: int
    charge: Charge | None


class Charged(NamedTuple):
    """A request that was charged, and what gives its place back."""

    account: Account
    leave: Callable[[], None]


class Accounts:
    """Charge and count requests; `label` names a model for whoever measures."""

    def __init__(
        self, usage: Usage, quotas: Quotas, places: Places, measures: Measures, label: Callable[[str], str]
    ) -> None:
        self._usage = usage
        self._quotas = quotas
        self.places = places
        self._measures = measures
        self._label = label

    @contextmanager
    def charged(
        self, user: str, token: str, limits: Limits, route: Route, model: str, tokens: int
    ) -> Iterator[Charged]:
        """Charge a request that begins in the block; what fails there costs nothing.

        Whoever has begun it counts it when it has ended, and gives its place back. Raises TooManyAnswers, LimitReached.
        """
        place = new_id()
        self.places.take(token, limits.answers_at_once, place)
        leave = partial(self.places.leave, place)
        try:
            with self._quotas.charging(user, token, limits, tokens) as charge:
                yield Charged(Account(user, token, model, tokens, charge), leave)
        except BaseException as error:
            leave()
            self.failed(route, model, error)
            raise

    def count(self, account: Account, prompt: int | None, completion: int | None, chars: int) -> None:
        """Count what a request has cost: as the model server counted it, else estimated. Raises nothing."""
        if prompt is None or completion is None:
            spent = Spent(account.tokens, estimate_of(chars), estimated=True)
        else:
            spent = Spent(prompt, completion)
        self._usage.record(account.user, account.token, account.model, spent)
        try:
            self._quotas.settle(account.charge, spent)
        except DatabaseError as error:
            log.warning("a request stays charged as it was thought to be: %s", error)

    def failed(self, route: Route, model: str, error: BaseException | None) -> None:
        """Count a failure of a model server under the one that failed; what was stopped has not."""
        if isinstance(error, UpstreamError) and not isinstance(error, UpstreamStopped):
            self._measures.of(error.upstream or route.name, self._label(model)).errors[error.code] += 1
