"""How files come in: a few at once, each read for what it is, and kept for its user until it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from answers.file_kinds import Contents, image, read_file
from answers.files import File, Files, refuse_too_large
from answers.pdf import PdfReader
from relay.errors import Overloaded
from relay.file_errors import FileNotTaken
from relay.settings import Settings

AT_ONCE = 32  # a worker; each may take as much memory as a user may have attached


class Intake:
    """Take files in. Raises FileError for what is wrong with one."""

    def __init__(self, files: Files, settings: Settings) -> None:
        self._files = files
        self._most_bytes = settings.max_file_bytes
        self._most_chars = settings.max_files_chars
        self._pdfs = PdfReader(settings.pdf_timeout_s, settings.max_files_chars)
        self._room = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold one of the places for what comes in. Raises Overloaded if none is free."""
        if not self._room.acquire(blocking=False):
            raise Overloaded("as many files come in as may")
        try:
            yield
        finally:
            self._room.release()

    def take(self, user: str, name: str, data: bytes) -> File:
        """Keep a file until it is sent."""
        return self._files.add(user, self.read(name, data))

    def read(self, name: str, data: bytes) -> Contents:
        """Read a file without keeping it."""
        refuse_too_large(len(data), self._most_bytes)
        return read_file(name, data, self._most_chars, self._pdfs.text)

    def read_image(self, name: str, data: bytes) -> Contents:
        """Read an image, and nothing else. Raises FileNotTaken."""
        refuse_too_large(len(data), self._most_bytes)
        if (found := image(name, data)) is None:
            raise FileNotTaken
        return found
