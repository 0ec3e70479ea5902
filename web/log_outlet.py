"""Where lines of the log go out, without ever waiting: whoever reads them may stop to, and the streams must go on.

A pipe that nobody empties would stop the whole worker at its next line. So what does not fit is dropped, and counted.
"""

from __future__ import annotations

import logging
import os
import select
import stat

from relay.loop import Lock, writable_now

MAX_LINE_BYTES = 65_536
ERRORS = 2  # the descriptor of stderr


class Outlet(logging.Handler):
    """Write each record as a line to a descriptor; `dropped` counts those that found no room."""

    def __init__(self, descriptor: int = ERRORS) -> None:
        super().__init__()
        self.lock = self._lock = Lock()  # nothing here waits
        self.dropped = 0
        self._unsaid = 0  # of those
        self._rest = b""
        self._own = _opened_anew(descriptor)
        self._to = descriptor if self._own is None else self._own
        waits_never = self._own is not None or stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._write = self._write_at_once if waits_never else self._write_if_there_is_room

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record; nothing here filters any."""
        with self._lock:
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it."""
        try:
            line = self.format(record).encode(errors="replace")[:MAX_LINE_BYTES] + b"\n"
        except Exception:  # noqa: BLE001  the edge of the log: what cannot be written stops nobody
            self.handleError(record)
            return
        if self._rest:
            self._send(self._rest)
        if self._unsaid:
            line = self._word_of_the_dropped() + line
        if self._rest or not self._send(line):
            self.dropped += 1
            self._unsaid += 1
        else:
            self._unsaid = 0

    def close(self) -> None:
        """Close what was opened here."""
        super().close()
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _word_of_the_dropped(self) -> bytes:
        said = f"{self._unsaid} lines of the log found no room"
        record = logging.LogRecord("web.log_outlet", logging.WARNING, __file__, 0, said, (), None)
        return self.format(record).encode() + b"\n"

    def _send(self, data: bytes) -> bool:
        """Send it, now or, once its beginning is out, before anything else; false if nothing of it went."""
        try:
            sent = self._write(data)
        except OSError:  # full, or nobody is there any more
            return False
        if sent:
            self._rest = data[sent:]
        return sent > 0

    def _write_at_once(self, data: bytes) -> int:
        return os.write(self._to, data)

    def _write_if_there_is_room(self, data: bytes) -> int:
        return os.write(self._to, data[: select.PIPE_BUF]) if writable_now(self._to) else 0


def _opened_anew(descriptor: int) -> int | None:
    """Open a pipe or a terminal once more, not to wait there: as a flag of the descriptor it would be everybody's."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # another user's, or no Linux
            return None
    return None
