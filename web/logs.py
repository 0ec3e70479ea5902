"""The log: what every part of the server says, gunicorn too, as lines of text or JSON on stderr; docs/seeing.md.

Parts say what happens with the standard library's `logging`, and what belongs to it in `extra`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from relay import request_id
from relay.settings import Settings, secrets_of
from web.log_outlet import Outlet

OURS = ("relay", "answers", "web", "app", "gunicorn", "talkabout", "wsgi")

_MASK = "[secret]"
_hidden: list[str] = []
_SHORTEST_SECRET = 6  # what is shorter would hide words
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[^\s='\"\\]+")
_QUERY = re.compile(r"\?\S*")


def init(settings: Settings) -> None:
    """Send all that this process says through one formatter; may be called again."""
    outlet = Outlet()
    outlet.setFormatter(_formatter(settings))
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
    _hidden.extend(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET and secret not in _hidden)


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


def _formatter(settings: Settings) -> logging.Formatter:
    in_json = settings.log == "json"
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _name_the_request,
        structlog.processors.format_exc_info,
    ]
    last = _as_json if in_json else _as_text
    processors: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last, _masking(settings)]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=processors)


def _name_the_request(_logger: WrappedLogger, _method: str, said: EventDict) -> EventDict:
    origin = request_id.current.get()
    if origin.id:
        said.setdefault("request", origin.id)
    if origin.trace:
        said["trace"] = origin.trace.split("-")[1]
    return said


def _as_json(_logger: WrappedLogger, _method: str, said: EventDict) -> str:
    return orjson.dumps(said, default=str).decode()


def _as_text(_logger: WrappedLogger, _method: str, said: EventDict) -> str:
    """Write one line for people, with a traceback below it; structlog's own ConsoleRenderer takes three times as long.

    Control characters are shown as what they are: nobody can begin a line of his own.
    """
    traceback = said.pop("exception", "")
    words = [said.pop("timestamp"), f"[{said.pop('level')}]", said.pop("event"), f"[{said.pop('logger')}]"]
    words += [f"{name}={_shown(value)}" for name, value in said.items()]
    line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], " ".join(words))
    return f"{line}\n{traceback}" if traceback else line


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else repr(value)


def _masking(settings: Settings) -> Callable[[WrappedLogger, str, str], str]:
    """Keep the secrets of the settings out, whoever said them: a model server may repeat the key that it refuses."""
    secrets = [secret for secret in secrets_of(settings) if len(secret) >= _SHORTEST_SECRET]

    def mask(_logger: WrappedLogger, _method: str, line: str) -> str:
        for secret in (*secrets, *_hidden):
            if secret in line:
                line = line.replace(secret, _MASK)
        return line

    return mask
