"""The files in which prometheus_client keeps the numbers of each process, and what becomes of those of a dead one.

Counters must not fall when their worker has gone, so prometheus_client keeps its files for ever. Here they are added up
in one, and deleted. Whoever reads meanwhile would count them twice, or not at all, so that there is a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead

log = logging.getLogger(__name__)

GONE = "gone"  # stands in a file's name for all dead processes together
_KINDS = ("counter", "histogram")
_PATIENCE_S = 1.0


def fold(folder: Path, pid: int) -> None:
    """Add what a dead process has counted to that of those before it, take it out of the gauges, delete its files."""
    with locked(folder, fcntl.LOCK_EX):
        for kind in _KINDS:
            left = folder / f"{kind}_{pid}.db"
            if left.exists():
                _add(left, folder / f"{kind}_{GONE}.db")
                left.unlink()
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _add(left: Path, gone: Path) -> None:
    total = MmapedDict(str(gone))  # type: ignore[no-untyped-call]
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(left)):  # type: ignore[no-untyped-call]
            total.write_value(key, total.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, struct.error) as error:  # it was killed while it wrote there
        log.warning("some of what a dead worker has counted is lost: %s", error)
    finally:
        total.close()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Have the folder to oneself (`fcntl.LOCK_EX`), or with others who only read (LOCK_SH); waits a second at most.

    Numbers that are wrong once are better than a master that hangs.
    """
    with (folder / "lock").open("ab") as file:
        until = time.monotonic() + _PATIENCE_S
        while not _taken(file.fileno(), how) and time.monotonic() < until:
            time.sleep(0.01)
        yield


def _taken(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
