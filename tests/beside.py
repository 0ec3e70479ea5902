"""What goes on beside a test, in a thread, while it is entered."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self


class Beside:
    """Run `go_on` from entering to leaving, of which `end` tells it."""

    def __init__(self) -> None:
        self.leave = threading.Event()
        self._thread = threading.Thread(target=self.go_on, daemon=True)

    def go_on(self) -> None:
        """Do what is to be done, until `end` is called."""
        raise NotImplementedError

    def end(self) -> None:
        """Have it come to its end."""
        self.leave.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._thread.join()
