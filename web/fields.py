"""The fields of a request, checked one by one."""

from __future__ import annotations

import json
from typing import Any

import orjson

from relay.chat import clean


class FieldError(Exception):
    """A field of the request is wrong; becomes a 422 that names it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class Fields:
    """The fields of one request, taken out by name and kind."""

    def __init__(self, values: dict[str, Any], body: bytes = b"") -> None:
        self.values = values
        self._body = body

    def text(self, name: str, max_chars: int, default: str | None = None) -> str:
        """Take a text that is not blank; null means absent, and without a default it is required. Raises FieldError."""
        value = self.values.get(name)
        if value is None:
            value = default
        if value is None:
            raise FieldError(name, f"The field {name} is required.")
        if not isinstance(value, str):
            raise FieldError(name, f"The field {name} must be a string.")
        value = clean(value)
        if not value.strip() and value != default:
            raise FieldError(name, f"The field {name} must not be blank.")
        if len(value) > max_chars:
            raise FieldError(name, f"The field {name} may have at most {max_chars} characters; it has {len(value)}.")
        return value

    def flag(self, name: str) -> bool:
        """Take a required true or false. Raises FieldError."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise FieldError(name, f"The field {name} must be true or false.")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """Take a number within bounds; null means absent. Raises FieldError."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise FieldError(name, f"The field {name} must be a number from {low:g} to {high:g}.")
        return float(value)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """Take a whole number within bounds; null means absent. Raises FieldError."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FieldError(name, f"The field {name} must be a whole number from {low} to {high}.")
        return value

    def names(self, name: str, max_chars: int) -> tuple[str, ...]:
        """Take a list of short texts, each once; null means absent, which is none. Raises FieldError."""
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) and len(each) <= max_chars for each in value):
            raise FieldError(name, f"The field {name} must be a list of ids.")
        return tuple(dict.fromkeys(map(clean, value)))

    def as_json(self, name: str) -> str:
        """Take a required value of any JSON type and write it as JSON again. Raises FieldError."""
        if name not in self.values:
            raise FieldError(name, f"The field {name} is required.")
        try:
            orjson.dumps(self.values)
        except orjson.JSONEncodeError as exc:  # it reads a thousand levels, and writes a quarter of them
            raise FieldError(name, f"The field {name} is nested too deeply.") from exc
        # orjson has made floats of integers of more than 64 bits; what it took, the slower parser takes as well.
        return json.dumps(json.loads(self._body)[name], ensure_ascii=False, separators=(",", ":"))
