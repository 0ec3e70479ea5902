"""How much a user, or a token, may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from relay.settings import Settings


@dataclass(frozen=True)
class Limits:
    """Hold what may be asked for at most; None is no limit."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    answers_at_once: int | None = None


def default_limits(settings: Settings) -> Limits:
    """Take the limits of every user from the settings."""
    return Limits(
        requests_per_minute=settings.limit_requests_per_minute or None,
        requests_per_day=settings.limit_requests_per_day or None,
        tokens_per_minute=settings.limit_tokens_per_minute or None,
        tokens_per_day=settings.limit_tokens_per_day or None,
    )
