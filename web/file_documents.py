"""Files in the document that an export in JSON is: a text as it stands, an image in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from answers.file_kinds import PDF, TEXTS, Contents, named, of_text
from relay.chat import clean
from relay.file_errors import FileError
from web.fields import FieldError, Fields
from web.services import services

_NAME_CHARS = 1000
_MOST_BYTES = (1 << 31) - 1


def with_contents(user: str, document: dict[str, Any]) -> dict[str, Any]:
    """Put into an exported conversation what its files hold, up to what an import takes; the rest is only named."""
    here = services()
    held = here.files.of_conversation(user, document["id"], here.settings.max_unsent_bytes)
    messages = [
        {**message, "files": [_with_content(file, *held.get(file["id"], (None, None))) for file in message["files"]]}
        if message.get("files")
        else message
        for message in document["messages"]
    ]
    return {**document, "messages": messages}


def _with_content(file: dict[str, Any], text: str | None, data: bytes | None) -> dict[str, Any]:
    kept = {name: value for name, value in file.items() if name != "path"}
    if data is not None:
        return {**kept, "data": base64.b64encode(data).decode()}
    return {**kept, "text": text} if text is not None else kept


def read_files(given: object) -> list[Contents]:
    """Take the files of one message of a document; those that are only named are left out. Raises FieldError."""
    most = services().settings.max_files
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > most or not all(isinstance(each, dict) for each in given):
        raise FieldError("files", f"The field files must be a list of at most {most} objects.")
    found = []
    for number, each in enumerate(given):
        try:
            found += _contents(Fields(each))
        except FieldError as exc:
            raise FieldError(f"files[{number}].{exc.field}", exc.detail) from exc
        except FileError as exc:
            raise FieldError(f"files[{number}]", exc.public) from exc
    if sum(file.chars for file in found) > services().settings.max_files_chars:
        raise FieldError("files", "The files of a message have more text than it may have.")
    return found


def _contents(fields: Fields) -> list[Contents]:
    name, text, data = fields.text("name", _NAME_CHARS), fields.values.get("text"), fields.values.get("data")
    if isinstance(data, str):
        return [services().intake.read_image(name, _decoded(data))]
    if not isinstance(text, (str, type(None))):
        raise FieldError("text", "The field text must be a string.")
    if text is None:
        return []
    type_ = fields.values.get("type")
    size = fields.whole("bytes", 0, _MOST_BYTES) or len(text)
    return [of_text(named(name), type_ if type_ in (*TEXTS, PDF) else TEXTS[0], size, clean(text))]


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise FieldError("data", "The field data must be base64.") from exc
