"""The real server under real gunicorn, started and stopped by tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import requests

ROOT = Path(__file__).parent.parent
START_S = 30.0
ESTABLISHED = "01"  # as /proc/net/tcp writes it
MODEL_RESTS_S = 20.0  # far less than a whole answer takes


def free_port() -> int:
    """Take a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`gunicorn -c gunicorn.conf.py wsgi:app` with its own data folder; a context manager."""

    def __init__(self, data_dir: Path, workers: int = 1, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir / "server.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALKABOUT_", "OTEL_"))}
        self.environ = {
            **clean,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "TALKABOUT_DATA_DIR": str(data_dir),
            "TALKABOUT_EMBEDDED_MODEL": "off",
            "TALKABOUT_POEM_DELAY_MS": "0",
            **settings,
        }

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start gunicorn and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Stop gunicorn and return its exit status; its log must hold no traceback."""
        self.process.send_signal(with_signal)
        status = self.process.wait(60)
        text = self.log.read_text()
        assert "Traceback" not in text, text
        return status

    def workers(self) -> list[int]:
        """List the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"gunicorn" in _read(Path(f"/proc/{pid}/cmdline"))]

    def answers(self) -> bool:
        """Tell if the server answers."""
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def holds(self, clients: Sequence[socket.socket]) -> int:
        """Count those of some loopback connections that the server still has open, by the kernel's own table."""
        rows = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        held = {there for here, there, state in rows if state == ESTABLISHED and here == _in_table(self.port)}
        return sum(_in_table(client.getsockname()[1]) in held for client in clients)

    def wait_until_the_model_rests(self) -> None:
        """Wait until the embedded model uses no CPU any more."""
        before, deadline = -1, time.monotonic() + MODEL_RESTS_S
        while before != (now := self._model_ticks()):
            assert time.monotonic() < deadline, "the model still writes"
            before = now
            time.sleep(0.5)

    def _model_ticks(self) -> int:
        model = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"relay.llama_server" in _read(path)]
        ours = [path for path in model if f"={self.log.parent}".encode() in _read(path / "environ")]
        fields = (ours[0] / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


def _in_table(port: int) -> str:
    """Write a port of 127.0.0.1 as /proc/net/tcp does."""
    return f"0100007F:{port:04X}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile
        return b""
