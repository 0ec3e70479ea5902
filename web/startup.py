"""What the server says when it starts: where it listens, what it talks to, and what it could talk to."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing, suppress
from urllib.parse import urlsplit, urlunsplit

from answers.database import Database
from answers.tokens import Tokens
from relay import demo_model, embedded_model
from relay.access_settings import users_by_token
from relay.errors import DatabaseError, UpstreamError
from relay.settings import Settings, unknown
from relay.upstream import Timeouts, Upstream
from relay.upstream_file import Upstreams
from web.hosts import LOOPBACK

KNOWN_SERVERS = {
    "Ollama": 11434,
    "Xinference": 9997,
    "llama.cpp": 8080,
    "vLLM": 8000,
    "LM Studio": 1234,
}
log = logging.getLogger(__name__)

_GUESSABLE_CHARS = 16
_PROBE = Timeouts(connect=0.2, first_byte=0.5, idle=0.5, total=1.0)


def announce(settings: Settings, upstreams: Upstreams, embedded_url: str) -> None:
    """Print the address, the upstreams, and every warning that an operator should see before anyone else does."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say = log.info if settings.log == "json" else _say
    say(f"talkabout listens on http://{host}:{settings.port}")
    for line in _upstreams(settings, upstreams, embedded_url):
        say(f"  {line}")
    for line in _warnings(settings):
        say(f"  warning: {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is whom this is for


def _upstreams(settings: Settings, upstreams: Upstreams, embedded_url: str) -> list[str]:
    lines = [
        f"model server{f' {name}' if settings.upstreams else ''}: {_without_password(given['url'])}"
        for name, given in upstreams.items()
    ]
    if embedded_url:
        lines.append(f"model: {embedded_model.MODEL} (embedded; it answers in a few seconds)")
    else:
        lines.append(f"no embedded model: {embedded_model.why_not(settings)}")
    lines.append(f"model: {demo_model.MODEL} (built in)")
    if settings.traces_url:
        lines.append(f"traces: {_without_password(settings.traces_url)}")
    if not upstreams:
        lines += [
            f"{name} answers at {url}; to use it: TALKABOUT_UPSTREAM_URL={url}" for name, url in local_servers(settings)
        ]
    return lines


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def local_servers(settings: Settings) -> list[tuple[str, str]]:
    """Find well-known model servers that answer on their usual port of this machine."""
    return [
        (name, url)
        for name, port in KNOWN_SERVERS.items()
        if port != settings.port and _answers(url := f"http://127.0.0.1:{port}")
    ]


def _answers(url: str) -> bool:
    try:
        return bool(Upstream("probe", url, timeouts=_PROBE, retries=0).models())
    except UpstreamError:
        return False


def _warnings(settings: Settings) -> list[str]:
    lines = [f"{name} is no setting of talkabout" for name in unknown(os.environ)]
    if settings.log_prompts:
        lines.append("EVERY PROMPT IS WRITTEN INTO THE LOG (TALKABOUT_LOG_PROMPTS=on)")
    if settings.auth == "none" and settings.host not in LOOPBACK:
        lines.append(f"anyone who reaches {settings.host}:{settings.port} may use it (TALKABOUT_AUTH=none)")
    if settings.auth == "token":
        lines += [
            f"the token of {user} in TALKABOUT_TOKENS is so short that it can be guessed" for user in _weak(settings)
        ]
    if settings.auth == "token" and not settings.tokens and not _any_token(settings):
        lines.append(
            "nobody can sign in yet; make the first token: .venv/bin/flask --app wsgi tokens create NAME --admin"
        )
    return lines


def _weak(settings: Settings) -> list[str]:
    return [user for token, user in users_by_token(settings).items() if len(token) < _GUESSABLE_CHARS]


def _any_token(settings: Settings) -> bool:
    """Look into the database; where that fails, workers and `/readyz` say so."""
    with closing(Database(settings)) as database, suppress(DatabaseError):
        return Tokens(database).any()
    return True
