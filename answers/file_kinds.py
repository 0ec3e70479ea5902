"""What a file is, by what stands in it: an image, a PDF, or text. Its name only says how its text is meant."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

from relay.attachments import IMAGE_TOKENS, estimate
from relay.chat import clean
from relay.file_errors import FileNotTaken, FileUnreadable, TooMuchText

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PDF = "application/pdf"
TEXTS = ("text/plain", "text/markdown", "text/csv")

_MAGIC = re.compile(rb"(\x89PNG\r\n\x1a\n)|(\xff\xd8\xff)|(GIF8[79]a)|(RIFF.{4}WEBP)", re.DOTALL)
_ENDINGS = {"md": "text/markdown", "markdown": "text/markdown", "csv": "text/csv", "tsv": "text/csv"}
_PDF_WITHIN = 1024  # bytes; there are PDFs that begin with something else
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NO_TEXT = bytes({*range(32)} - {*b"\a\b\t\n\v\f\r\x1b"})  # of the control characters, those that no text has
_FEW = 1000  # one in so many may be a slip
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069`]+")  # would forge another name
_NAME_CHARS = 120


class Contents(NamedTuple):
    """Hold what is kept of a file: its `text`, or the `data` of an image; `size` counts the bytes that were given."""

    name: str
    type: str
    size: int
    text: str | None
    data: bytes | None
    tokens: int

    @property
    def chars(self) -> int:
        """Count the characters of its text."""
        return len(self.text or "")


def read_file(name: str, data: bytes, max_chars: int, read_pdf: Callable[[bytes], str]) -> Contents:
    """Take what a model can read out of a file. Raises FileNotTaken, FileUnreadable, TooMuchText."""
    if found := image(name, data):
        return found
    name = named(name)
    is_pdf = b"%PDF-" in data[:_PDF_WITHIN]
    text = read_pdf(data) if is_pdf else _decoded(data)
    if len(text) > max_chars:
        raise TooMuchText(f"This file has {len(text)} characters of text; a message may have {max_chars}.")
    return of_text(name, PDF if is_pdf else _type(name), len(data), clean(text))


def image(name: str, data: bytes) -> Contents | None:
    """Make the contents of an image, if it is one."""
    found = _MAGIC.match(data)
    return (
        Contents(named(name), IMAGES[(found.lastindex or 1) - 1], len(data), None, data, IMAGE_TOKENS)
        if found
        else None
    )


def of_text(name: str, type_: str, size: int, text: str) -> Contents:
    """Make the contents of a file whose text is known."""
    return Contents(name, type_, size, text, None, estimate(text))


def named(name: str) -> str:
    """Make a name that can stand in a line: the last part of a path, its ending kept."""
    short = " ".join(_UNSEEN.sub(" ", clean(name)).replace("\\", "/").rpartition("/")[2].split())
    if len(short) > _NAME_CHARS:
        ending = short.rpartition(".")[2]
        kept = f"….{ending}" if len(ending) < _NAME_CHARS // 4 else "…"
        short = short[: _NAME_CHARS - len(kept)] + kept
    return short or "file"


def _type(name: str) -> str:
    return _ENDINGS.get(name.rpartition(".")[2].lower(), TEXTS[0])


def _decoded(data: bytes) -> str:
    encoding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise FileNotTaken
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise FileUnreadable from exc
    raw = text.encode()
    if len(raw) - len(raw.translate(None, _NO_TEXT)) > len(raw) / _FEW:
        raise FileNotTaken
    if not text.strip():
        raise FileUnreadable("There is nothing in this file.")
    return text.replace("\r\n", "\n")
