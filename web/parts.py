"""The parts that one application is made of; app.py makes them, web/services.py says what is done with them."""

from __future__ import annotations

from dataclasses import dataclass

from answers.accounts import Accounts
from answers.attempts import Attempts
from answers.channels import Channels
from answers.completions import Completions
from answers.files import Files
from answers.follow import Follower
from answers.hidden import Hidden
from answers.imports import Imports
from answers.intake import Intake
from answers.journal import Journal
from answers.places import Places
from answers.producers import Producers
from answers.quotas import Quotas
from answers.readers import Readers
from answers.recovery import Recovery
from answers.room import Room
from answers.shares import Shares
from answers.store import Store
from answers.tokens import Tokens
from answers.usage import Usage
from relay.access_settings import Networks
from relay.catalog import Catalog
from relay.settings import Settings
from web.streams import Streams


@dataclass(frozen=True)
class Parts:
    """Each part, once for an application."""

    settings: Settings
    catalog: Catalog
    streams: Streams
    journal: Journal
    follower: Follower
    channels: Channels
    store: Store
    files: Files
    intake: Intake
    hidden: Hidden
    imports: Imports
    shares: Shares
    tokens: Tokens
    attempts: Attempts
    proxies: Networks
    room: Room
    producers: Producers
    completions: Completions
    recovery: Recovery
    readers: Readers
    usage: Usage
    quotas: Quotas
    places: Places
    accounts: Accounts
