"""The wiring: everything that talkabout consists of is put together here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response

from answers.channels import Channels
from answers.database import Database
from answers.files import Files
from answers.follow import Follower
from answers.hidden import Hidden
from answers.history import History
from answers.imports import Imports
from answers.intake import Intake
from answers.journal import open_journal
from answers.producer import Ask
from answers.producers import Producers
from answers.pruning import Pruning
from answers.readers import Readers
from answers.recovery import Recovery
from answers.room import Room
from answers.shares import Shares
from answers.store import AnswerRow, Store
from answers.writer import Writer
from relay.catalog import Catalog
from relay.chat import request_body
from relay.continuation import continued
from relay.settings import Settings, prepare_data_dir
from relay.upstreams import catalog
from web import access, assets, doctor, headers, i18n, ops, problems, request_log
from web.answers import answers
from web.api_conversations import api_conversations
from web.article import article
from web.channel import CUTS, channel
from web.files import files
from web.list_page import list_page
from web.news import tell_of_answer
from web.pages import pages
from web.playground import playground
from web.probe import probe
from web.secret import kept_secret
from web.services import Services
from web.streams import Streams


class Application(Flask):
    """Flask, without a coroutine anywhere."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take each function as it is: Flask would look at each again for each request, five times."""
        return func

    def send_static_file(self, filename: str) -> Response:
        """Serve a file under the address that goes with its contents, too."""
        return assets.serve(self, filename)


def create_app(settings: Settings, embedded_url: str = "") -> Flask:
    """Make the application. Raises SettingError if the settings do not fit together."""
    data_dir = prepare_data_dir(settings)
    app = Application(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key or kept_secret(data_dir), MAX_CONTENT_LENGTH=settings.max_body_bytes
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["talkabout"] = make_services(settings, data_dir, embedded_url)
    request_log.init_app(app)
    i18n.init_app(app)
    problems.init_app(app)
    headers.init_app(app)
    assets.init_app(app)
    access.init_app(app, settings)
    ops.init_app(app)
    doctor.init_app(app, settings)
    for blueprint in (pages, list_page, playground, article, channel, answers, api_conversations, files, probe):
        app.register_blueprint(blueprint)
    return app


def make_services(settings: Settings, data_dir: Path, embedded_url: str) -> Services:
    """Make what the views work with, each part from those before it."""
    models = catalog(settings, embedded_url)
    database = Database(settings)
    store, hidden, kept = Store(database), Hidden(database, settings.undo_s), Files(database, settings)
    journal = open_journal(settings, data_dir)
    follower = Follower(journal, settings)
    writer = Writer(journal, follower, settings.journal_pending_bytes)
    channels = Channels(journal, follower, settings, writer.tell)
    tell = partial(tell_of_answer, channels)
    producers = Producers(journal, store, writer, partial(ask, settings, models, store), tell)
    return Services(
        settings=settings,
        catalog=models,
        streams=Streams(
            settings.max_streams, settings.drain_s, partial(follower.listen, CUTS), settings.max_readers_per_user
        ),
        journal=journal,
        follower=follower,
        channels=channels,
        store=store,
        files=kept,
        intake=Intake(kept, settings),
        hidden=hidden,
        imports=Imports(database),
        shares=Shares(database),
        room=Room(settings.max_answers_per_user, store.running),
        producers=producers,
        recovery=Recovery(
            producers, follower, Pruning(journal, settings, hidden.purge, kept.purge), settings.abandon_after_s
        ),
        readers=Readers(journal, store, follower),
    )


def ask(settings: Settings, models: Catalog, store: Store, row: AnswerRow, history: History | None) -> Ask:
    """Say how the model server of an answer is asked."""
    upstream, name = models.find(row.model)
    within, longest = row.within, settings.max_tokens
    max_tokens = min(within.max_tokens or longest, longest)
    asked = history or store.history(row.id, models.takes_images(name))
    body = request_body(name, asked, max_tokens, within.system, within.temperature)
    style = upstream.continues()
    if upstream.names_requests():
        body["request_id"] = row.id
    return Ask(
        lambda kept: upstream.call(continued(body, kept, style)),
        lambda: upstream.abort(name, row.id),
        style,
        settings.max_event_bytes,
        settings.max_answer_chars,
        upstream.name,
        models.label(name),
    )
