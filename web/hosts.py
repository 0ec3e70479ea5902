"""By which names the server answers, so that no other site's name can be made to lead here (DNS rebinding).

Where nobody is asked who they are, the name is all that keeps other sites out: a page of theirs whose name is suddenly
the address of this machine may read what is ours. Such a name has a dot and is no address; those that are get through.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from relay.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANY = "*"


def answers_to(settings: Settings) -> Callable[[str], bool] | None:
    """Make what tells if a `Host` is one of ours; None where every one is."""
    named = settings.hosts.lower().split()
    if _ANY in named or not (named or (settings.auth == "none" and settings.host in LOOPBACK)):
        return None
    return lru_cache(maxsize=256)(lambda host: _is_local(name := _name(host)) or name in named)


def _name(host: str) -> str:
    """Leave the port off, and the dot of the root."""
    return host.lower() if host.startswith("[") else host.lower().partition(":")[0].rstrip(".")


def _is_local(name: str) -> bool:
    return "." not in name or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
