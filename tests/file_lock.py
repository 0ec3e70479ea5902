"""Another process that holds the write lock of a SQLite file, for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


class FileLock:
    """Hold the lock from `with` on, until `release` or the end of the block."""

    def __init__(self, path: Path) -> None:
        self._command = [sys.executable, "-c", LOCK, str(path)]

    def __enter__(self) -> FileLock:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout and self._process.stdout.readline() == b"locked\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        assert self._process.stdout
        self._process.stdout.close()

    def release(self) -> None:
        """Let the process, and with it the lock, go."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)
