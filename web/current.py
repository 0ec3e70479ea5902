"""The current request, application and session themselves: one call, where each look through Flask's proxies is three.

For what every request passes through; elsewhere the proxies are as good.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Request, current_app, request, session
from flask.sessions import SessionMixin

this_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]
this_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]
this_session: Callable[[], SessionMixin] = session._get_current_object  # type: ignore[attr-defined]
