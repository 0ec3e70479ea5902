"""The command line of tokens: `flask --app wsgi tokens create|list|revoke|sign-out`."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import Flask
from flask.cli import AppGroup

from answers.limits import Limits
from answers.migrate import migrate
from answers.tokens import SCOPES, USUAL, Token
from answers.tree import now_us
from relay.errors import NotMigrated, TalkaboutError
from web.callers import MAX_NAME_CHARS, is_name
from web.services import services

MAX_LIMIT = 2_000_000_000
MAX_DAYS = 36_500

_DAY_US = 86_400_000_000
_LIMIT = click.IntRange(1, MAX_LIMIT)

tokens = AppGroup("tokens", help="Make, list and revoke the tokens by which users come in.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    app.cli.add_command(tokens)


class Told(click.ClickException):
    """An error that is told in its own sentence."""

    def __init__(self, error: TalkaboutError) -> None:
        super().__init__(str(error) or error.public)


@tokens.command()
@click.argument("user")
@click.option("--name", default="", help="What the token is for, as it is shown in lists.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be repeated. Default: chat, api."
)
@click.option("--admin", is_flag=True, help="All three scopes.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), help="How long it works; else until it is revoked.")
@click.option("--requests-per-minute", type=_LIMIT)
@click.option("--requests-per-day", type=_LIMIT)
@click.option("--tokens-per-minute", type=_LIMIT)
@click.option("--tokens-per-day", type=_LIMIT)
@click.option("--answers-at-once", type=_LIMIT)
def create(user: str, name: str, scopes: tuple[str, ...], admin: bool, days: int | None, **limits: int | None) -> None:
    """Make a token for USER. It is printed once, alone on standard output."""
    if not is_name(user) or (name and not is_name(name)):
        raise click.UsageError(f"names have 1 to {MAX_NAME_CHARS} printable characters, and no blanks around them")
    granted = frozenset(SCOPES) if admin else frozenset(scopes) or USUAL
    try:
        _prepare()
        made, row = services().tokens.create(user, name, granted, expiry_us(days), Limits(**limits))
    except TalkaboutError as error:
        raise Told(error) from error
    click.echo(made)
    click.echo(f"Token {row.id} of {user}: {words(row)}. It will not be shown again.", err=True)


def _prepare() -> None:
    """Make the tables, if need be: the first token may be made before the server has ever been started."""
    try:
        services().store.check()
    except NotMigrated:
        migrate(services().settings)


@tokens.command("list")
def list_() -> None:
    """List the tokens, the newest first."""
    before_us, more = None, True
    click.echo(f"{'id':<12}  {'user':<16}  {'name':<16}  {'made':<10}  {'used':<10}  what it may")
    while more:
        try:
            found, more = services().tokens.list_(before_us)
        except TalkaboutError as error:
            raise Told(error) from error
        for row in found:
            before_us = row.created_us
            when = f"{day(row.created_us):<10}  {day(row.used_us):<10}"
            click.echo(f"{row.id:<12}  {row.user:<16}  {row.name:<16}  {when}  {words(row)}")


@tokens.command()
@click.argument("token")
def revoke(token: str) -> None:
    """End the token with the id TOKEN, everywhere, within seconds."""
    try:
        row = services().tokens.revoke(token)
    except TalkaboutError as error:
        raise Told(error) from error
    click.echo(f"Token {row.id} of {row.user} is revoked.")


@tokens.command()
@click.argument("user")
def sign_out(user: str) -> None:
    """End all sessions of USER in browsers, everywhere, within seconds. Tokens go on working."""
    try:
        services().tokens.sign_out(user)
    except TalkaboutError as error:
        raise Told(error) from error
    click.echo(f"All sessions of {user} are ended.")


def expiry_us(days: int | None) -> int | None:
    """Say when a token ends that is to work for so many days."""
    return now_us() + days * _DAY_US if days else None


def words(row: Token) -> str:
    """Say what a token may, how long, and within which limits."""
    parts = [" ".join(scope for scope in SCOPES if scope in row.scopes)]
    if row.revoked_us is not None:
        parts.append(f"revoked {day(row.revoked_us)}")
    elif row.expires_us is not None:
        parts.append(f"{'expires' if row.works() else 'expired'} {day(row.expires_us)}")
    parts += [f"{value} {name.replace('_', ' ')}" for name, value in vars(row.limits).items() if value is not None]
    return ", ".join(parts)


def day(time_us: int | None) -> str:
    """Write the day of a time."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).date().isoformat() if time_us else "-"
