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
        "`none`: each browser is its own user. `token`: a token is needed. `oidc`, `proxy`: or a provider or proxy says"
        " who comes ([access.md](access.md)).",
        choices=("none", "token", "oidc", "proxy"),
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
    hosts: str = row(
        "",
        "names",
        "Names that the server answers to, separated by blanks; `*`: any. Addresses and names without a dot always are."
        " Empty: any, but no others with `TALKABOUT_AUTH=none` on loopback.",
    )
    proxy_user_header: str = row(
        "X-Forwarded-User", "header", "With `TALKABOUT_AUTH=proxy`: in which header `TALKABOUT_PROXIES` name the user."
    )
    proxy_admins: str = row("", "users", "With `TALKABOUT_AUTH=proxy`: who administers, separated by blanks.")
    oidc_issuer: str = row("", "URL", "With `TALKABOUT_AUTH=oidc`: the provider.", url=True)
    oidc_client_id: str = row("", "id", "What the provider knows this server as.")
    oidc_client_secret: str = row("", "secret", "The provider's secret for it; empty: a public client.", secret=True)
    oidc_scopes: str = row("openid email profile", "scopes", "What the provider is asked for.")
    oidc_user_claim: str = row(
        "sub", "claim", "Which claim of the ID token names the user; an `email` must be verified."
    )
    oidc_allow: str = row(
        "",
        "rules",
        "Who may come in: `claim=value` pairs of which one must hold, as `groups=staff email=@example.com`.",
    )
    oidc_admins: str = row("", "rules", "Who administers, in the same way; empty: nobody.")


def check_access(settings: AccessSettings) -> None:
    """Raise SettingError if what is set does not fit together."""
    users_by_token(settings)
    if not networks(settings) and settings.auth == "proxy":
        raise SettingError("TALKABOUT_PROXIES: TALKABOUT_AUTH=proxy needs the addresses of the proxies")
    if settings.auth == "oidc":
        _check_oidc(settings)


def _check_oidc(settings: AccessSettings) -> None:
    for name in ("oidc_issuer", "oidc_client_id"):
        if not getattr(settings, name):
            raise SettingError(f"TALKABOUT_{name.upper()}: TALKABOUT_AUTH=oidc needs it")
    if "openid" not in settings.oidc_scopes.split():
        raise SettingError("TALKABOUT_OIDC_SCOPES: expected scopes with openid among them")
    for name in ("oidc_allow", "oidc_admins"):
        if not all(
            claim and value for claim, _, value in (rule.partition("=") for rule in getattr(settings, name).split())
        ):
            raise SettingError(f"TALKABOUT_{name.upper()}: expected claim=value pairs, separated by blanks")


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
