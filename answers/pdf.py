"""The text of a PDF, by a process that may fail for it (pdf_text.py)."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from pathlib import Path

from relay.errors import Overloaded
from relay.file_errors import FileUnreadable, PdfLocked, PdfTooMuch, PdfWithoutText, TooMuchText
from relay.loop import after

AT_ONCE = 2  # a worker

# As pdf_text.py has them, which is not imported: pypdf would take 13 MB of each worker.
LOCKED, UNREADABLE, TOO_LONG = 3, 4, 5

_PROGRAM = Path(__file__).with_name("pdf_text.py")
_UTF8_BYTES = 4  # of a character, at most


class PdfReader:
    """Read PDFs, a few at once and each within `timeout_s`; whoever comes meanwhile waits as long, and no longer."""

    def __init__(self, timeout_s: float, max_chars: int) -> None:
        self._timeout_s = timeout_s
        self._max_chars = max_chars
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def text(self, data: bytes) -> str:
        """Take the text out of a PDF. Raises FileUnreadable, TooMuchText, and Overloaded if it has no turn in time."""
        if not self._room.acquire(timeout=self._timeout_s):
            raise Overloaded("too many PDFs are read")
        try:
            status, text = self._run(data)
        finally:
            self._room.release()
        if status == TOO_LONG:
            raise TooMuchText(f"This PDF has more than {self._max_chars} characters of text. Attach a part of it.")
        if status:
            raise {LOCKED: PdfLocked, UNREADABLE: FileUnreadable}.get(status, PdfTooMuch)()
        if not text:
            raise PdfWithoutText
        return text

    def _run(self, data: bytes) -> tuple[int, str]:
        seconds = str(math.ceil(self._timeout_s))
        # No environment: the keys of the model server and of the cookies stand in ours.
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", str(_PROGRAM), str(self._max_chars), seconds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        ) as process:
            cancel = after(self._timeout_s, process.kill)
            try:
                text = _through(process, data, self._max_chars * _UTF8_BYTES)
                status = process.wait()
            finally:
                cancel()
                process.kill()
        return status, text.decode(errors="replace")


def _through(process: subprocess.Popen[bytes], data: bytes, most_bytes: int) -> bytes:
    """Give a process all its input, then read what it says; it says nothing before it has had its input."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(data)
        process.stdin.close()
    except BrokenPipeError:  # it has died of it; its status says how
        return b""
    return process.stdout.read(most_bytes)
