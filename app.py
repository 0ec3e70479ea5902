"""The wiring: everything that talkabout consists of is put together here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response
from werkzeug.routing import MapAdapter

from answers.accounts import Accounts
from answers.attempts import Attempts
from answers.channels import Channels
from answers.chunks import Desk
from answers.completions import Completions
from answers.database import Database
from answers.files import Files
from answers.follow import Follower
from answers.hidden import Hidden
from answers.history import History
from answers.imports import Imports
from answers.intake import Intake
from answers.journal import open_journal
from answers.limits import default_limits
from answers.places import Places
from answers.producer import Ask
from answers.producers import Producers
from answers.pruning import Pruning
from answers.quotas import Quotas
from answers.readers import Readers
from answers.recovery import Recovery
from answers.room import Room
from answers.shares import Shares
from answers.store import AnswerRow, Store
from answers.tokens import Tokens
from answers.tree import new_id
from answers.usage import Usage
from answers.writer import Writer
from relay.access_settings import networks
from relay.catalog import Catalog
from relay.chat import request_body
from relay.settings import Settings, prepare_data_dir
from relay.upstream import Call
from relay.upstream_file import Upstreams, configured, secrets_in
from relay.upstreams import catalog
from web import (
    access,
    assets,
    doctor,
    headers,
    i18n,
    logs,
    oidc,
    ops,
    problems,
    request_log,
    slices,
    tokens_cli,
    traces,
)
from web.admin import admin
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
from web.usage_page import usage_page
from web.v1 import v1

BLUEPRINTS = (
    pages,
    list_page,
    playground,
    article,
    channel,
    answers,
    api_conversations,
    files,
    admin,
    usage_page,
    v1,
    probe,
)


class Application(Flask):
    """Flask, without a coroutine anywhere."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take each function as it is: Flask would look at each again for each request, five times."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Look for the route by what the request has read of itself already: there are no subdomains here."""
        if request is None:
            return super().create_url_adapter(request)
        query = request.query_string.decode(errors="replace")
        where = (request.host, request.root_path, "", request.scheme, request.path)
        return MapAdapter(self.url_map, *where, request.method, query)

    def send_static_file(self, filename: str) -> Response:
        """Serve a file under the address that goes with its contents, too."""
        return assets.serve(self, filename)


def create_app(settings: Settings, embedded_url: str = "", upstreams: Upstreams | None = None) -> Flask:
    """Make the application; `upstreams` are read as the settings say, unless somebody has.

    Raises SettingError if the settings do not fit together.
    """
    data_dir = prepare_data_dir(settings)
    app = Application(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key or kept_secret(data_dir), MAX_CONTENT_LENGTH=settings.max_body_bytes
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    upstreams = configured(settings) if upstreams is None else upstreams
    logs.hide(secrets_in(upstreams))
    app.extensions["talkabout"] = make_services(settings, data_dir, catalog(settings, embedded_url, upstreams))
    request_log.init_app(app)
    traces.init_app(app, settings)
    i18n.init_app(app)
    problems.init_app(app)
    headers.init_app(app)
    assets.init_app(app)
    slices.init_app(app)
    access.init_app(app, settings, app.extensions["talkabout"].tokens)
    oidc.init_app(app, settings)
    ops.init_app(app)
    tokens_cli.init_app(app)
    doctor.init_app(app, settings)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def make_services(settings: Settings, data_dir: Path, models: Catalog) -> Services:
    """Make what the views work with, each part from those before it."""
    database = Database(settings)
    store, hidden, kept = Store(database), Hidden(database, settings.undo_s), Files(database, settings)
    usage, quotas = Usage(database, settings.usage_keep_days), Quotas(database, default_limits(settings))
    journal = open_journal(settings, data_dir)
    pruning = Pruning(journal, settings, hidden.purge, kept.purge, usage.purge, quotas.purge)
    follower = Follower(journal, settings)
    writer = Writer(journal, follower, settings.journal_pending_bytes)
    channels = Channels(journal, follower, settings, writer.tell)
    asking, tell = partial(ask, settings, models, store), partial(tell_of_answer, channels)
    producers = Producers(journal, store, writer, asking, tell)
    accounts = Accounts(usage, quotas, Places(database), producers.measures, models.label)
    durable = Completions(Desk(f"{producers.owner}:completions", journal, writer, accounts, settings), models, follower)
    return Services(
        settings=settings,
        catalog=models,
        streams=Streams(
            settings.max_streams,
            settings.drain_s,
            partial(follower.listen, CUTS),
            settings.max_readers_per_user,
            settings.reader_timeout_s,
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
        tokens=Tokens(database),
        attempts=Attempts(database, settings.login_per_minute, settings.login_per_minute_together),
        proxies=networks(settings),
        room=Room(settings.max_answers_per_user, store.running),
        producers=producers,
        completions=durable,
        recovery=Recovery(producers, durable, follower, pruning, settings.abandon_after_s),
        readers=Readers(journal, store, follower),
        usage=usage,
        quotas=quotas,
        places=accounts.places,
        accounts=accounts,
    )


def ask(
    settings: Settings, models: Catalog, store: Store, row: AnswerRow, history: History | None, is_new: bool
) -> Ask:
    """Say how the model server of an answer is asked; `is_new`: for the first time."""
    upstream, name = models.find(row.model)
    within, longest = row.within, settings.max_tokens
    max_tokens = min(within.max_tokens or longest, longest)
    asked = history or store.history(row.id, models.takes_images(name))
    body = request_body(name, asked, max_tokens, within.system, within.temperature)
    # Each request is named anew: what was given up, Xinference takes under that name no more, for half a minute. The
    # first has the answer's name, by which a worker that adopts it can have it given up.
    names, named = chain([row.id] if is_new else [], iter(new_id, "")), [row.id]

    def call(kept: str) -> Call:
        named[0] = next(names)
        return upstream.call(body, kept, row.user, named[0])

    return Ask(
        call,
        lambda: upstream.abort(name, named[0]),
        upstream.continues,
        settings.max_event_bytes,
        settings.max_answer_chars,
        upstream.name,
        models.label(name),
    )
