"""The session that all requests to one model server share, and what of requests and urllib3 is set otherwise in it."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from relay.pool import POOLS

POOL_SIZE = 1000


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


def make_session(key: str, proxy: str, ca: str) -> requests.Session:
    """Make the session of one model server: nothing of the environment, nothing kept between two requests."""
    session = requests.Session()
    # Without this ~/.netrc replaces our key and REQUESTS_CA_BUNDLE our certificates.
    session.trust_env = False
    session.verify = ca or True
    session.proxies = {"http": proxy, "https": proxy} if proxy else {}
    # One session serves everybody: a cookie would carry one user's state to the next.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "text/event-stream", "Accept-Encoding": "identity", "User-Agent": "talkabout"})
    if key:
        session.headers["Authorization"] = f"Bearer {key}".encode()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0))
    return session


def prepare(session: requests.Session, method: str, url: str, **more: Any) -> requests.PreparedRequest:
    """Make a request with what the session adds to each."""
    return session.prepare_request(requests.Request(method, url, **more))


def transmit(session: requests.Session, request: requests.PreparedRequest, timeout: Any) -> requests.Response:
    """Send a request by the session's adapter alone, and give the response when its headers are there.

    `Session.send` would add what is not wanted here: a redirect's body, which it reads even where it does not follow,
    cookies and hooks.
    """
    adapter = session.get_adapter(request.url or "")
    return adapter.send(request, stream=True, timeout=timeout, verify=session.verify or True, proxies=session.proxies)
