"""What goes on beside an attack, in a thread, while it is entered."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self


class Beside:
    """Run `go_on` from entering to leaving, which it is told by `leave`."""

    def __init__(self) -> None:
        self.leave = threading.Event()
        self._thread = threading.Thread(target=self.go_on)

    def go_on(self) -> None:
        """Do what is to be done, until `leave` is set."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave.set()
        self._thread.join()
