"""Forms that only our own pages can have made: each carries a word that no other site can know.

Fetch Metadata and Origin refuse other sites' forms already (web/access.py); this stands behind them where a form gives
somebody rights or takes them, for browsers that send neither.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Flask, current_app, request, session
from werkzeug.exceptions import Forbidden

from web.fields import Fields
from web.users import by_token, current_user


def init_app(app: Flask) -> None:
    """Give the templates `csrf`."""
    app.jinja_env.globals.update(csrf=csrf)


def csrf() -> str:
    """Make the word of this user's session."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, f"csrf\0{current_user()}\0{session.get('since', '')}".encode(), hashlib.sha256).hexdigest()


def check(form: Fields) -> None:
    """Refuse a form without the word, unless a token came in its header, which no browser adds by itself."""
    given = str(form.values.get("csrf", ""))
    if not by_token(request.environ) and not hmac.compare_digest(given.encode(), csrf().encode()):
        raise Forbidden("This form is not from here, or too old. Please load the page again.")
