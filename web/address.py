"""Which address a request comes from, when proxies stand before us."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from flask import request

from relay.access_settings import Networks


def client_group(proxies: Networks) -> str:
    """Name the client for counting: by its address, or its network of IPv6, where who has one address has 2^64."""
    address = _parsed(client_address(proxies))
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


def client_address(proxies: Networks) -> str:
    """Name the nearest address that is no proxy of ours; only what our proxies have written is believed."""
    address = request.remote_addr or ""
    passed = request.headers.get("X-Forwarded-For", "").split(",")
    while from_proxy(address, proxies) and passed and (before := passed.pop().strip()):
        address = before
    return address


def from_proxy(address: str, proxies: Networks) -> bool:
    """Tell if an address is one of our proxies'."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in proxies)


@lru_cache(maxsize=1024)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
