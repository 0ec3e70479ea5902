"""The application in this process, for tests that need no gunicorn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask.testing import FlaskClient

from answers.migrate import migrate
from answers.store import AnswerRow, Store
from app import create_app
from relay.settings import Settings
from relay.sse import Decoder, Event
from web.services import Services


@contextmanager
def client(settings: Settings) -> Iterator[FlaskClient]:
    """Make an application with its tables, and end what it runs beside its requests when the block ends."""
    migrate(settings)
    app = create_app(settings)
    try:
        yield app.test_client()
    finally:
        app.extensions["talkabout"].drain()


@contextmanager
def browser(data_dir: Path, **settings: object) -> Iterator[FlaskClient]:
    """Make an application without the embedded model, and a browser that is a user of its own."""
    with client(Settings(data_dir=data_dir, embedded_model=False, **settings)) as made:  # type: ignore[arg-type]
        made.get("/")
        yield made
    here(made).store.close()


def another(client: FlaskClient) -> FlaskClient:
    """Make another user's browser."""
    other = client.application.test_client()
    other.get("/")
    return other


def here(client: FlaskClient) -> Services:
    """Take the services of a browser's application."""
    services: Services = client.application.extensions["talkabout"]
    return services


def owner(client: FlaskClient) -> str:
    """Name the user that a browser is."""
    with client.session_transaction() as session:
        return str(session["user"])


def news(client: FlaskClient, count: int) -> list[Event]:
    """Take the first events behind `open` from the channel of a browser's user."""
    decoder, events = Decoder(), []
    with client.get(f"/sse/connect/{owner(client)}?last_event_id=0", buffered=False) as response:
        for chunk in response.response:
            events += decoder.feed(chunk)
            if len(events) > count:
                return events[1:]
    raise AssertionError(events)


def settled(store: Store, user: str, prompt: str, text: str, **more: str) -> AnswerRow:
    """Keep a prompt with its whole answer."""
    row, _ = store.begin(user, prompt, "poem", **more)
    return store.settle(row.id, "complete", content=text, chars=len(text))
