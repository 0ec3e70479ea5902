"""What the machine gives and takes: processes on one CPU, their clocks and memory, and what else was running."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

ALL_CPUS = sorted(os.sched_getaffinity(0))
REST_CPUS, PEER_CPUS = ALL_CPUS[:1], ALL_CPUS[1:2] or ALL_CPUS[:1]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_S = 90.0
MOMENT_S = 0.25
NOT_BUSY = (3, 4)  # the columns of /proc/stat that count idling and waiting for a disk
_libc = ctypes.CDLL(None, use_errno=True)


class Broken(RuntimeError):
    """A part of the benchmark is missing, does not start or has ended; the text says which and what to do."""


class Program:
    """A process with its children on the given CPUs; a context manager that ends them all.

    It counts as started once its port takes connections. Its output goes to `log`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        port: int,
        log: Path,
        cpus: Sequence[int] = REST_CPUS,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self._command = [str(word) for word in command]
        self._cpus, self._log, self._cwd, self._environ = cpus, log, cwd, environ

    def __enter__(self) -> Program:
        with self._log.open("ab") as log, on_cpus(self._cpus):
            self._process = self._start(log)
        _keep_niceness(self._process.pid)
        deadline = time.monotonic() + START_S
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Broken(f"{self._command[0]} did not start; the end of {self._log}:\n{self._last_words()}")
            time.sleep(0.05)
        return self

    def _start(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=None if self._environ is None else dict(self._environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and its children at once: nothing that they have is kept."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pids(self) -> list[int]:
        """List the process and all below it."""
        found, to_look_at = [], [self._process.pid]
        while to_look_at:
            found.append(pid := to_look_at.pop())
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    to_look_at += map(int, children.read_text().split())
        return found

    def cpu_s(self) -> float:
        """Tell the seconds of CPU that the processes have used, to the nanosecond."""
        return sum(map(_cpu_s, self.pids()))

    def pss_kb(self) -> int:
        """Tell their memory; what several share counts once."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def on_cpus(cpus: Sequence[int]) -> Iterator[None]:
    """Let what is started meanwhile run on these CPUs; a child has its parent's from its first instruction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _keep_niceness(session: int) -> None:
    """Give a new session our own niceness: with the kernel's autogroups, a process's counts inside its session only."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{session}/autogroup").write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))


def _cpu_s(pid: int) -> float:
    """Read a process's CPU clock; what /proc says is in steps of 10 ms."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0  # it has ended
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0


def free_port() -> int:
    """Take a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Tell if a connection to a port succeeds."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def busy_s() -> float:
    """Tell the seconds of CPU that the whole machine has used since it started, stolen ones too, in steps of 10 ms."""
    columns = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(columns) - sum(columns[i] for i in NOT_BUSY)) / TICKS_PER_S


def wait_until_quiet(cores: float, patience_s: float) -> None:
    """Wait for a moment in which the machine does no more than that, but not for long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before = busy_s()
        time.sleep(MOMENT_S)
        if busy_s() - before < cores * MOMENT_S:
            return


def describe() -> dict[str, str | int | float]:
    """Say what this machine is, for whoever reads the results elsewhere."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cpus": len(ALL_CPUS),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "load_1min": os.getloadavg()[0],
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    }


def raise_descriptor_limit() -> None:
    """Let all that we start have as many open sockets as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
