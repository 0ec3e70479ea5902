"""The settings: one row each, read once at start-up from the environment and `.env`.

A row is a field of `Settings`: its default, its unit, its bounds and a sentence. The name of the variable is the
field's, in capitals and with the prefix TALKABOUT_ (HOST, PORT and WEB_CONCURRENCY go without, as every deployment tool
writes them). A secret may also come from a file whose path stands in NAME_FILE. `docs/settings.md` is printed by
`python -m relay.settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from relay.access_settings import AccessSettings, check_access
from relay.continuation import STYLES
from relay.errors import SettingError
from relay.setting_values import check, convert, read_file, row
from relay.trace_settings import TraceSettings, as_far_as_used, check_traces, headers

PREFIX = "TALKABOUT_"
_EACH_USER, _MOST = "What each user may use", 10_000_000_000


@dataclass(frozen=True, kw_only=True)
class Settings(AccessSettings, TraceSettings):
    """What the operator can set; relay/access_settings.py and relay/trace_settings.py have more of it."""

    host: str = row("127.0.0.1", "address", "Where the server listens.", env="HOST")
    port: int = row(8000, "port", "The port that it listens on.", env="PORT", low=1, high=65535)
    web_concurrency: int = row(2, "workers", "Worker processes.", env="WEB_CONCURRENCY", low=1, high=256)
    data_dir: Path = row(Path("data"), "folder", "Where everything that the server writes is kept.")
    database_url: str = row(
        "", "secret", "`postgresql://…` for several machines; empty: SQLite in the data folder.", secret=True
    )

    upstream_url: str = row("", "URL", "OpenAI-compatible model server, with or without `/v1`.", url=True, base=True)
    upstreams: str = row(
        "",
        "file or pairs",
        "Several model servers: a TOML file ([upstreams.md](upstreams.md)), or `name=url name2=url2`.",
    )
    upstream_key: str = row("", "secret", "API key for the model server.", secret=True)
    upstream_proxy: str = row("", "URL", "HTTP proxy on the way to the model server.", url=True)
    upstream_ca: str = row("", "file", "CA file for the model server; empty: the usual authorities.", file=True)
    model: str = row(
        "", "model id", "Default model; empty: the first that the model server lists, or `default` if it lists none."
    )
    embedded_model: bool = row(True, "on/off", "Run SmolLM2-135M beside the server when no model server is set.")
    embedded_parallel: int = row(4, "answers", "Answers that the embedded model writes at once.", low=1, high=64)
    max_tokens: int = row(1024, "tokens", "Longest answer that is asked for.", low=1, high=1_000_000)
    poem_delay_ms: int = row(100, "milliseconds", "Pause between two characters of the poem.", low=0, high=10_000)

    connect_timeout_s: float = row(5.0, "seconds", "Longest time to connect to the model server.", low=0.05, high=120)
    first_byte_timeout_s: float = row(120.0, "seconds", "Longest wait for its first byte.", low=0.05, high=3600)
    idle_timeout_s: float = row(60.0, "seconds", "Longest silence in mid-answer.", low=0.05, high=3600)
    total_timeout_s: float = row(1800.0, "seconds", "Longest time for a whole answer.", low=0.1, high=86_400)
    upstream_retries: int = row(2, "tries", "Further tries before the first byte (connect, 429, 503).", low=0, high=10)
    upstream_queue: int = row(
        100,
        "requests",
        "Requests per worker that may wait for a model server with `max_concurrent`.",
        low=0,
        high=100_000,
    )
    upstream_queue_wait_s: float = row(60.0, "seconds", "Longest time that one waits there.", low=0.05, high=3600)
    max_event_bytes: int = row(1_048_576, "bytes", "Longest event of a model server.", low=1024, high=1 << 28)
    max_reply_bytes: int = row(
        16_777_216, "bytes", "Longest reply of a model server that is no stream (`/v1`).", low=1024, high=1 << 30
    )

    durable_request_bytes: int = row(
        262_144,
        "bytes",
        "Longest request of a durable completion (`/v1`) that is kept, for other workers to go on; 0: none is.",
        low=0,
        high=1 << 28,
    )

    heartbeat_s: float = row(10.0, "seconds", "Silence after which a comment line is sent.", low=0.05, high=14)
    max_streams: int = row(500, "streams", "Open streams per worker; more get a 503.", low=1, high=100_000)
    reader_buffer_bytes: int = row(262_144, "bytes", "What may wait for one reader.", low=1024, high=1 << 28)
    reader_timeout_s: float = row(30.0, "seconds", "How long a reader may take nothing.", low=0.05, high=3600)
    abandon_after_s: float = row(
        300.0, "seconds", "How long an answer goes on with nobody reading.", low=0.1, high=86_400
    )
    drain_s: float = row(5.0, "seconds", "What running streams get to end when a worker is replaced.", low=0, high=25)

    upstream_continues: str = row(
        "auto",
        "way",
        "How the model server goes on with a text that broke off; `auto` asks it what it is.",
        choices=STYLES,
    )
    max_answer_chars: int = row(1_000_000, "characters", "Longest answer.", low=1, high=100_000_000)
    max_answers_per_user: int = row(
        1000,
        "answers",
        "Answers being written for one user at once; about, when several workers begin some within a second.",
        low=1,
        high=100_000,
    )
    max_readers_per_user: int = row(1000, "readers", "Readers of one user per worker.", low=1, high=100_000)
    max_prompt_chars: int = row(100_000, "characters", "Longest prompt.", low=1, high=100_000_000)
    max_body_bytes: int = row(1_048_576, "bytes", "Longest request body.", low=64, high=1 << 30)
    max_files: int = row(10, "files", "Most files of one message.", low=1, high=100)
    max_file_bytes: int = row(10_485_760, "bytes", "Largest file.", low=1024, high=1 << 28)
    max_files_chars: int = row(
        400_000, "characters", "Most text of the files of one message, beside the prompt.", low=1, high=100_000_000
    )
    max_unsent_bytes: int = row(
        52_428_800, "bytes", "What one user may have attached and not sent yet.", low=1024, high=1 << 32
    )
    unsent_keep_s: float = row(
        86_400.0, "seconds", "How long a file waits to be sent, before it is deleted.", low=60, high=31_536_000
    )
    upload_timeout_s: float = row(120.0, "seconds", "Longest time for files to arrive.", low=0.05, high=3600)
    pdf_timeout_s: float = row(20.0, "seconds", "Longest time to take the text out of a PDF.", low=0.1, high=600)
    image_models: str = row("", "model ids", "Models that take images although their server does not say so; `*`: all.")
    journal_url: str = row(
        "", "secret", "`redis://…` or `rediss://…` for several machines; empty: SQLite in the data folder.", secret=True
    )
    journal_keep_s: float = row(
        86_400.0, "seconds", "How long an answer's events are kept for its readers.", low=60, high=31_536_000
    )
    journal_max_bytes: int = row(
        1 << 30, "bytes", "What the journal may take; past it the oldest events go.", low=1 << 20, high=1 << 50
    )
    journal_pending_bytes: int = row(
        1 << 26, "bytes", "What may wait in a worker while the journal cannot be written.", low=1 << 16, high=1 << 40
    )
    body_timeout_s: float = row(15.0, "seconds", "Longest time for a request body to arrive.", low=0.05, high=3600)
    channel_keep_s: float = row(
        86_400.0, "seconds", "How long a channel's events can be replayed.", low=1, high=31_536_000
    )
    channel_keep_events: int = row(1000, "events", "How many events a channel keeps.", low=1, high=1_000_000)

    limit_requests_per_minute: int = row(0, "requests", f"{_EACH_USER} a minute; 0: any number.", low=0, high=_MOST)
    limit_requests_per_day: int = row(0, "requests", f"{_EACH_USER} a day of UTC; 0: any number.", low=0, high=_MOST)
    limit_tokens_per_minute: int = row(0, "tokens", f"{_EACH_USER} a minute; 0: any number.", low=0, high=_MOST)
    limit_tokens_per_day: int = row(0, "tokens", f"{_EACH_USER} a day of UTC; 0: any number.", low=0, high=_MOST)
    usage_keep_days: int = row(400, "days", "How long it is kept what was asked for.", low=1, high=36_500)
    undo_s: float = row(
        600.0, "seconds", "How long a deleted conversation can be brought back.", low=0, high=31_536_000
    )

    log: str = row("text", "form", "How the log is written: `text` or `json`.", choices=("text", "json"))
    log_level: str = row(
        "info", "level", "What is logged: this and what is worse.", choices=("debug", "info", "warning", "error")
    )
    log_prompts: bool = row(False, "on/off", "Write EVERY PROMPT into the log, in full view of whoever reads that.")
    metrics_token: str = row(
        "",
        "secret",
        "Bearer token with which Prometheus reads `/metrics`; empty: who may use the server may.",
        secret=True,
    )


def load(environ: Mapping[str, str] | None = None, dotenv: str | Path | None = ".env") -> Settings:
    """Read every setting; the environment goes before `.env`.

    Raises SettingError with the name of the variable, what stands there (unless it is a secret) and what may.
    """
    found = {k: v for k, v in dotenv_values(dotenv).items() if v is not None} if dotenv else {}
    found.update(os.environ if environ is None else environ)
    used = as_far_as_used(found)
    settings = Settings(**{f.name: _read(f, used) for f in fields(Settings)})
    check_access(settings)
    check_traces(settings)
    return settings


def secrets_of(settings: Settings) -> list[str]:
    """List every value that must not be shown, each token of `tokens` by itself."""
    values = [getattr(settings, f.name) for f in fields(Settings) if f.metadata.get("secret")]
    pairs = [pair.partition("=") for pair in settings.tokens.split()]
    return [value for value in [*values, *(token for _, _, token in pairs), *headers(settings).values()] if value]


def unknown(environ: Mapping[str, str]) -> list[str]:
    """List the variables with our prefix that are no setting: most often a slip of the pen."""
    known = {variable(f) for f in fields(Settings)} | {variable(f) + "_FILE" for f in fields(Settings)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def prepare_data_dir(settings: Settings) -> Path:
    """Make the folder that everything is written to, for this user alone. Raises SettingError if that fails."""
    try:
        settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)
        writable = os.access(settings.data_dir, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise SettingError(f"{PREFIX}DATA_DIR: cannot write to {str(settings.data_dir)!r}")
    return settings.data_dir


def variable(f: Field[Any]) -> str:
    """Name the environment variable of a row."""
    return f.metadata.get("env") or PREFIX + f.name.upper()


def _read(f: Field[Any], found: Mapping[str, str]) -> Any:
    name = variable(f)
    text = found.get(name, "").strip()
    if f.metadata.get("secret") and not text and found.get(name + "_FILE"):
        text = read_file(name + "_FILE", found[name + "_FILE"])
    if not text:
        return f.default
    value = convert(name, type(f.default), text)
    check(name, f.metadata, value)
    return value


def as_markdown() -> str:
    """Print the rows as the table of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Set in the environment or in a file `.env` beside `wsgi.py`; the environment goes first. A wrong value stops",
        "start-up and names itself. A secret can also be read from a file: put its path into the same name with",
        "`_FILE` behind it. This page is printed from the code (`make docs`).",
        "",
        "| name | default | unit | what it does |",
        "|---|---|---|---|",
    ]
    inherited = [f.name for f in (*fields(AccessSettings), *fields(TraceSettings))]
    lines += [
        f"| `{variable(f)}` | {_default(f)} | {f.metadata['unit']} | {f.metadata['sentence']} |"
        for f in sorted(fields(Settings), key=lambda f: f.name in inherited and 1 + inherited.index(f.name))
    ]
    return "\n".join(lines) + "\n"


def _default(f: Field[Any]) -> str:
    if isinstance(f.default, bool):
        return "`on`" if f.default else "`off`"
    return f"`{f.default:g}`" if isinstance(f.default, float) else f"`{f.default}`" if f.default != "" else "–"


if __name__ == "__main__":
    print(as_markdown(), end="")
