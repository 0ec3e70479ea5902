"""The process that takes the text out of one PDF: `python -I pdf_text.py MAX_CHARS SECONDS`, bytes in, text out.

A PDF is a program that strangers write. So it is read in a process of its own, which has no secrets in its environment,
little time and memory, and may not write files. It imports nothing of ours; `answers.pdf` runs it.
"""

from __future__ import annotations

import io
import logging
import os
import resource
import sys
from collections.abc import Iterator

import pypdf
from pypdf.errors import LimitReachedError

LOCKED, UNREADABLE, TOO_LONG, TOO_MUCH = 3, 4, 5, 6  # how it exits where it gives no text

MEMORY_BYTES = 1 << 29
_NICE = 10


def confine(seconds: int) -> None:
    """Leave this process no more than it needs. What takes more memory than there is, is a MemoryError."""
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        resource.setrlimit(kind, (most, most))
    os.nice(_NICE)


def pages(data: bytes) -> Iterator[str]:
    """Give the text of each page. Exits with LOCKED if it needs a password."""
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        sys.exit(LOCKED)
    for page in reader.pages:
        yield page.extract_text().strip()


def main(most_chars: int, seconds: int) -> None:
    """Read a PDF from standard input and write its text, page by page."""
    logging.disable()  # what a PDF makes pypdf complain of is nobody's concern
    data = sys.stdin.buffer.read()
    confine(seconds)
    text = ""
    try:
        for page in pages(data):
            text += f"{page}\n\n" if page else ""
            if len(text) > most_chars:
                sys.exit(TOO_LONG)
    except (MemoryError, LimitReachedError):
        sys.exit(TOO_MUCH)
    except Exception:  # noqa: BLE001  the edge of the process; pypdf finds out in many ways that a file is broken
        sys.exit(UNREADABLE)
    sys.stdout.buffer.write(text.strip().encode(errors="replace"))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
