"""What is attacked: a real gunicorn with two workers and a model server, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tests import waiting
from tests.attacks.model import MODEL
from tests.servers import ROOT, Server, free_port

WORKERS = 2
HONEST, MALLORY = "honest-token-0123456789", "mallory-token-0123456789"
BODY_S = READER_S = 2.0
PATIENCE_S = 30.0
ANSWERS_AT_ONCE = 50
AT_ONCE = 50
until = partial(waiting.until, patience_s=PATIENCE_S)


class Target:
    """The server under attack; a context manager."""

    def __init__(self, folder: Path, streams: int = 6000) -> None:
        port = free_port()
        self._model = subprocess.Popen([sys.executable, "-m", "tests.attacks.model", str(port)], cwd=ROOT)
        self.server = Server(
            folder,
            WORKERS,
            TALKABOUT_UPSTREAM_URL=f"http://127.0.0.1:{port}",
            TALKABOUT_MODEL=MODEL,
            TALKABOUT_AUTH="token",
            TALKABOUT_TOKENS=f"honest={HONEST} mallory={MALLORY}",
            TALKABOUT_BODY_TIMEOUT_S=str(BODY_S),
            TALKABOUT_READER_TIMEOUT_S=str(READER_S),
            TALKABOUT_MAX_STREAMS=str(streams),
            TALKABOUT_MAX_READERS_PER_USER=str(streams),
            TALKABOUT_MAX_ANSWER_CHARS="5000000",
            TALKABOUT_MAX_ANSWERS_PER_USER=str(ANSWERS_AT_ONCE),
        )
        until(lambda: _listens(port), "the model server to listen")

    def __enter__(self) -> Target:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.kill()
        self._model.wait()
        self.server.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    def session(self, token: str = MALLORY) -> requests.Session:
        """Come as a user; the caller closes it."""
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"
        return session

    def connect(self) -> socket.socket:
        """Open a connection; the caller closes it."""
        return socket.create_connection(("127.0.0.1", self.server.port), 10)

    def send(self, data: bytes, wait_s: float = 10.0) -> bytes:
        """Send bytes as they are; give all that comes back until the end, or for so long."""
        found = b""
        with self.connect() as client, contextlib.suppress(OSError):
            client.settimeout(wait_s)
            client.sendall(data)
            while piece := client.recv(65536):
                found += piece
        return found

    def send_all(self, requests_: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """Send each on a connection of its own, some at once; give each with what came back."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(zip(requests_, pool.map(self.send, requests_), strict=True))

    def begin(self, session: requests.Session, prompt: str) -> requests.Response:
        """Ask for an answer, without reading it."""
        return session.post(f"{self.url}/api/answers", json={"prompt": prompt}, timeout=30)

    def memory_mb(self) -> float:
        """Add up what the workers have in memory, in MB (2**20 bytes)."""
        rolled = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.server.workers()]
        return (
            sum(int(line.split()[1]) for text in rolled for line in text.splitlines() if line.startswith("Pss:")) / 1024
        )


def head(method: str, path: str, *lines: str, token: str = MALLORY) -> bytes:
    """Write a request's head by hand."""
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *lines, "", ""]
    ).encode()


def posted(path: str, value: Any, *lines: str) -> bytes:
    """Write a POST of JSON by hand, after which the connection ends."""
    body = json.dumps(value).encode()
    return (
        head(
            "POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", *lines
        )
        + body
    )


def status_of(reply: bytes) -> int:
    """Read the status of a reply; 0 if the connection was closed without one."""
    first = reply.split(b" ", 2)
    return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
