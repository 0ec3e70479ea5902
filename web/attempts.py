"""The bound on how often somebody may try to sign in."""

from __future__ import annotations

import time

from flask import render_template
from flask.typing import ResponseReturnValue

from answers.attempts import MINUTE_S
from web.address import client_group
from web.services import services


def too_many() -> ResponseReturnValue | None:
    """Count an attempt of this client; make the response to one too many."""
    here = services()
    if here.attempts.take(client_group(here.proxies)):
        return None
    wait_s = MINUTE_S - int(time.time()) % MINUTE_S
    return render_template("login.html", refused="too_many"), 429, {"Retry-After": str(wait_s)}
