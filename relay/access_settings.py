"""The settings that say who may come in, as rows of relay/settings.py."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from relay.errors import SettingError
from relay.setting_values import row

Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """Who may."""

    auth: str = row(
        "none",
        "mode",
        "`none`: each browser is its own user. `token`: a token is needed ([access.md](access.md)).",
        choices=("none", "token"),
    )
    tokens: str = row(
        "", "secret", "`user=token` pairs, separated by blanks, beside the tokens in the database.", secret=True
    )
    secret_key: str = row("", "secret", "Signs cookies; empty: made once and kept in the data folder.", secret=True)
    session_s: float = row(604_800.0, "seconds", "How long a browser stays signed in at most.", low=60, high=31_536_000)
    access_check_s: float = row(
        3.0, "seconds", "How long a worker may go on with a token that has been revoked.", low=0, high=60
    )
    login_per_minute: int = row(
        20, "attempts", "Attempts to sign in that one address has in a minute.", low=1, high=100_000
    )
    login_per_minute_together: int = row(
        600, "attempts", "Attempts to sign in that all have together in a minute.", low=1, high=1_000_000
    )
    proxies: str = row(
        "", "addresses", "Addresses and networks of the proxies before the server whose `X-Forwarded-For` is believed."
    )


def check_access(settings: AccessSettings) -> None:
    """Raise SettingError if what is set does not fit together."""
    users_by_token(settings)
    networks(settings)


def networks(settings: AccessSettings) -> Networks:
    """Read the addresses of our proxies. Raises SettingError."""
    try:
        return tuple(ip_network(each) for each in settings.proxies.replace(",", " ").split())
    except ValueError as exc:
        raise SettingError(
            f"TALKABOUT_PROXIES: expected addresses and networks as 10.0.0.0/8, got {settings.proxies!r}"
        ) from exc


def users_by_token(settings: AccessSettings) -> dict[str, str]:
    """Map each token of the environment to its user. Raises SettingError if what stands there are no pairs."""
    pairs = [pair.partition("=") for pair in settings.tokens.split()]
    if not all(user and token for user, _, token in pairs):
        raise SettingError("TALKABOUT_TOKENS: expected user=token pairs, separated by blanks")
    return {token: user for user, _, token in pairs}
