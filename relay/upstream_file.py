"""The upstreams that the operator has configured: a TOML file, one line of pairs, or the settings of a single one.

docs/upstreams.md says what may stand in the file. What is read here is plain data, keys and all, so that gunicorn's
master can check it and give it to each worker: a file that is broken later takes no worker down.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from relay.errors import SettingError
from relay.setting_values import check, read_file
from relay.settings import PREFIX, Settings

VARIABLE = f"{PREFIX}UPSTREAMS"
MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES = "names of letters, digits, dots, hyphens and underscores, 64 at most"
_RULES = {f.name: f.metadata for f in fields(Settings)}
_TIMEOUTS = ("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s", "total_timeout_s")

Upstreams = dict[str, dict[str, Any]]


def configured(settings: Settings) -> Upstreams:
    """Read what each upstream is given, by its name, the preferred one first.

    Raises SettingError, which names the file, the upstream and the key, and never shows a secret.
    """
    text = settings.upstreams
    if text and settings.upstream_url:
        raise SettingError(f"{VARIABLE}: {PREFIX}UPSTREAM_URL is set too, which is one upstream; set one of the two")
    alone = {
        "key": settings.upstream_key,
        "proxy": settings.upstream_proxy,
        "ca": settings.upstream_ca,
        "continues": settings.upstream_continues,
    }
    if "://" in text:
        return {name: {"url": url, **alone} for name, url in _pairs(text).items()}
    if text:
        return _from_file(Path(text))
    return {"upstream": {"url": settings.upstream_url, **alone}} if settings.upstream_url else {}


def secrets_in(upstreams: Upstreams) -> list[str]:
    """List every value of these that must not be shown: keys, and the passwords of addresses."""
    addresses = [urlsplit(each.get(name) or "") for each in upstreams.values() for name in ("url", "proxy")]
    found = [each.get("key") for each in upstreams.values()] + [address.password for address in addresses]
    return [secret for secret in found if secret]


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split():
        name, _, url = pair.partition("=")
        if not _NAME.fullmatch(name) or not url:
            raise SettingError(f"{VARIABLE}: expected name=url pairs, separated by blanks, with {_NAMES}")
        if name in found:
            raise SettingError(f"{VARIABLE}: {name}: stands there twice")
        check(f"{VARIABLE}: {name}", {"url": True, "base": True}, url)
        found[name] = url
    return found


def _from_file(path: Path) -> Upstreams:
    where = f"{VARIABLE}: {path}"
    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            raise SettingError(f"{where}: expected at most {MOST_BYTES} bytes, got {len(data)}")
        document = tomllib.loads(data.decode())
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingError(f"{where}: cannot be read: {exc.__class__.__name__}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingError(f"{where}: is no TOML: {_place(exc)}") from None  # its text may show a secret
    for name in document:
        if name != "upstream":
            raise SettingError(f"{where}: {name}: expected tables [upstream.NAME] and nothing else")
    tables = document.get("upstream")
    if not isinstance(tables, dict) or not tables:
        raise SettingError(f"{where}: upstream: expected at least one table [upstream.NAME]")
    return {name: _table(f"{where}: upstream.{name}", name, table, path.parent) for name, table in tables.items()}


def _place(exc: tomllib.TOMLDecodeError) -> str:
    found = re.search(r"\(([^()]*)\)$", str(exc))
    return found[1] if found else "somewhere"


def _table(where: str, name: str, table: object, folder: Path) -> dict[str, Any]:
    if not _NAME.fullmatch(name):
        raise SettingError(f"{where}: expected {_NAMES}")
    if not isinstance(table, dict):
        raise SettingError(f"{where}: expected a table [upstream.NAME], got {_kind(table)}")
    for key, value in table.items():
        if key not in _KEYS:
            raise SettingError(f"{where}.{key}: is no key of an upstream; there are {', '.join(sorted(_KEYS))}")
        _KEYS[key](f"{where}.{key}", value)
    if "url" not in table:
        raise SettingError(f"{where}.url: is missing")
    return _finished(where, dict(table), folder)


def _finished(where: str, given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read the key's file, find the CA's, and see that the names fit together."""
    if "key_file" in given:
        if "key" in given:
            raise SettingError(f"{where}.key_file: key is there too; expected one of the two")
        given["key"] = read_file(f"{where}.key_file", str(folder / given.pop("key_file")))
        check(f"{where}.key_file", {"secret": True}, given["key"])
    if "ca" in given:
        given["ca"] = str(folder / given["ca"])
        check(f"{where}.ca", {"file": True}, given["ca"])
    for name in given.get("aliases", {}):
        if name in given.get("models", ()):
            raise SettingError(f"{where}.aliases: {name!r} is one of the models too")
    return given


def _text(**rule: Any) -> Callable[[str, object], None]:
    def take(where: str, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise SettingError(f"{where}: expected a text in quotation marks, got {_kind(value)}")
        check(where, rule, value)

    return take


def _number(low: float, high: float, *, whole: bool) -> Callable[[str, object], None]:
    def take(where: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise SettingError(f"{where}: expected a {'whole ' if whole else ''}number, got {_kind(value)}")
        check(where, {"low": low, "high": high}, value)

    return take


def _texts(where: str, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise SettingError(f"{where}: expected a list of texts, got {_kind(value)}")
    for each in value:
        if value.count(each) > 1:
            raise SettingError(f"{where}: {each!r} stands there twice")


def _aliases(where: str, value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(own, str) and own for own in value.values()):
        raise SettingError(f'{where}: expected names with the server\'s own, as in {{ fast = "qwen3:4b" }}')


def _kind(value: object) -> str:
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return (
        "an empty text" if value == "" else names.get(type(value), "a table" if isinstance(value, dict) else "a date")
    )


_KEYS: dict[str, Callable[[str, object], None]] = {
    "url": _text(url=True, base=True),
    "key": _text(secret=True),
    "key_file": _text(),
    "proxy": _text(url=True),
    "ca": _text(),
    "continues": _text(choices=_RULES["upstream_continues"]["choices"]),
    "models": _texts,
    "image_models": _texts,
    "aliases": _aliases,
    "weight": _number(0.01, 1000, whole=False),
    "max_concurrent": _number(1, 100_000, whole=True),
    "context": _number(1, 100_000_000, whole=True),
    **{name: _number(_RULES[name]["low"], _RULES[name]["high"], whole=False) for name in _TIMEOUTS},
}
