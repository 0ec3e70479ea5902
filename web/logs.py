"""The log: what every part of the server says, gunicorn too, as lines of text or JSON on stderr; docs/seeing.md.

Parts say what happens with the standard library's `logging`, and what belongs to it in `extra`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

from relay import request_id
from relay.settings import Settings, secrets_of
from web.log_outlet import Outlet

OURS = ("relay", "answers", "web", "app", "gunicorn", "talkabout", "wsgi")

_MASK = "[secret]"
_hidden: list[str] = []
_SHORTEST_SECRET = 6  # what is shorter would hide words
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[^\s='\"\\]+")
_ALL_PLAIN = re.compile(rf"(?: {_PLAIN.pattern}={_PLAIN.pattern})*")
_QUERY = re.compile(r"\?\S*")
_OF_EVERY_RECORD = len(vars(logging.makeLogRecord({})))  # what a call gives in `extra` stands behind that
_OF_OTHERS = ("message", "asctime")  # other formatters leave these in a record


def init(settings: Settings) -> None:
    """Send all that this process says through one formatter; may be called again."""
    outlet = Outlet()
    outlet.setFormatter(Formatter(settings))
    # What no line says is not looked for (docs.python.org/3/howto/logging.html#optimization); under gevent a request's
    # first line would make a thread object for its greenlet.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(outlet)
    root.setLevel(logging.WARNING)  # libraries name addresses in what they say below that
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def hide(secrets: Iterable[str]) -> None:
    """Keep these out of all that is said from now on, too."""
    _hidden.extend(secret for secret in _maskable(secrets) if secret not in _hidden)


def _maskable(secrets: Iterable[str]) -> list[str]:
    return [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]


def lines_dropped() -> int:
    """Tell how many lines found no room so far in this process."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, Outlet))


def take_over(logger: logging.Logger) -> None:
    """Send what gunicorn says the same way, without queries and header lines: a prompt or a token may stand there."""
    logger.handlers = []
    logger.propagate = True
    logger.filters = [_without_requests]


def _without_requests(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    if said.startswith("Invalid request from"):
        said = said.partition(":")[0]
    record.msg, record.args = _QUERY.sub("", said), ()
    return True


class Formatter(logging.Formatter):
    """Write a record, and what belongs to it, as one line of text or JSON; no secret of the settings is in it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._written = _as_json if settings.log == "json" else _as_text
        self._secrets = _maskable(secrets_of(settings))

    def format(self, record: logging.LogRecord) -> str:
        """Write it."""
        said = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": f"{_second(int(record.created))}.{int(record.created % 1 * 1_000_000):06d}Z",
        }
        said.update(islice(vars(record).items(), _OF_EVERY_RECORD, None))
        for name in _OF_OTHERS:
            said.pop(name, None)
        origin = request_id.current.get()
        if origin.id:
            said.setdefault("request", origin.id)
        if origin.trace:
            said["trace"] = origin.trace.split("-")[1]
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return self._masked(self._written(said))

    def _masked(self, line: str) -> str:
        """Keep secrets out, whoever said them: a model server may repeat the key that it refuses."""
        for secret in (*self._secrets, *_hidden):
            if secret in line:
                line = line.replace(secret, _MASK)
        return line


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _as_json(said: dict[str, Any]) -> str:
    return orjson.dumps(said, default=str).decode()


def _as_text(said: dict[str, Any]) -> str:
    """Write one line for people, with a traceback below it.

    Control characters are shown as what they are: nobody can begin a line of his own.
    """
    traceback = said.pop("exception", "")
    line = f"{said.pop('timestamp')} [{said.pop('level')}] {said.pop('event')} [{said.pop('logger')}]"
    facts = "".join([f" {name}={value}" for name, value in said.items()])
    if facts.count(" ") > len(said) or not _ALL_PLAIN.fullmatch(facts):  # seldom
        facts = "".join([f" {name}={_quoted(value)}" for name, value in said.items()])
    line += facts
    if not line.isprintable():
        line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)
    return f"{line}\n{traceback}" if traceback else line


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else repr(value)
