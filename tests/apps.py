"""The application in this process, for tests that need no gunicorn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient

from answers.migrate import migrate
from app import create_app
from relay.settings import Settings


@contextmanager
def client(settings: Settings) -> Iterator[FlaskClient]:
    """Make an application with its tables, and end what it runs beside its requests when the block ends."""
    migrate(settings)
    app = create_app(settings)
    try:
        yield app.test_client()
    finally:
        app.extensions["talkabout"].drain()
