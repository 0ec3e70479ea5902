"""What may stand in a setting: read from where it stands, made what it is to be, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from relay.errors import SettingError


def row(default: Any, unit: str, sentence: str, **more: Any) -> Any:
    """Describe one setting: default, unit, what it does; `low`/`high`, `choices`, `secret`, `env` where they apply."""
    return field(default=default, metadata={"unit": unit, "sentence": sentence, **more})


def read_file(name: str, path: str) -> str:
    """Read a secret from its file. Raises SettingError."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingError(f"{name}: cannot read {path!r}: {exc.__class__.__name__}") from exc


def convert(name: str, kind: type, text: str) -> Any:
    """Make a value of a text. Raises SettingError."""
    if kind is bool:
        if text.lower() not in ("on", "off"):
            raise SettingError(f"{name}: expected on or off, got {text!r}")
        return text.lower() == "on"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as exc:
            what = "a whole number" if kind is int else "a number"
            raise SettingError(f"{name}: expected {what}, got {text!r}") from exc
    return kind(text)


def check(name: str, rule: Mapping[str, Any], value: Any) -> None:
    """Raise SettingError for a value that the row does not allow."""
    if "low" in rule and not rule["low"] <= value <= rule["high"]:
        raise SettingError(f"{name}: expected {rule['low']} to {rule['high']}, got {value}")
    if "choices" in rule and value not in rule["choices"]:
        raise SettingError(f"{name}: expected one of {', '.join(rule['choices'])}, got {value!r}")
    if rule.get("url"):
        _check_url(name, value)
    if rule.get("base") and (set("?#") & set(value) or value.rstrip("/").endswith("/chat/completions")):
        what = "the URL that stands before /v1/chat/completions, without a query or fragment"
        raise SettingError(f"{name}: expected {what}, as in http://127.0.0.1:11434/v1")
    if rule.get("file") and not Path(value).is_file():
        raise SettingError(f"{name}: expected the path of a file, got {value!r}")
    if rule.get("secret") and not value.isprintable():
        raise SettingError(f"{name}: expected one line of printable characters")


def _check_url(name: str, value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingError(f"{name}: expected an http or https URL, got {value.rpartition('@')[2]!r}")
