"""What `deploy/` ships for systemd, as tests run it: the unit's commands, without a systemd."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

import requests

from tests.servers import ROOT, free_port
from tests.streams import opened
from tests.waiting import until

PATIENCE_S = 20.0
NOBODY = 65534
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def listens(port: int) -> bool:
    """Tell if a connection to a port succeeds."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def read_unit(state: Path) -> tuple[str, dict[str, list[str]]]:
    """Read the unit, with its folders replaced by those that are here: its text, and what stands behind each name."""
    text = (ROOT / "deploy/talkabout.service").read_text()
    text = text.replace("/opt/talkabout", str(ROOT)).replace("/var/lib/talkabout", str(state))
    unit: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found and not line.startswith("#"):
            unit.setdefault(name, []).append(value)
    return text, unit


class Service:
    """The unit's commands, run as systemd would run them: in its environment and, if root runs the tests, by nobody.

    Nobody may read what root may, since Python can lie in a root's home, but writes in the state's folder alone.
    """

    def __init__(self, folder: Path, state: Path, **settings: str) -> None:
        self.log = folder / "service.log"
        self.state = state
        _, self.unit = read_unit(state)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.address = f"talkabout-{self.port}"
        own = dict(line.split("=", 1) for line in self.unit["Environment"])
        self.environ = {"PATH": SYSTEM_PATH, "NOTIFY_SOCKET": f"@{self.address}", "PORT": str(self.port)}
        self.environ |= {**own, **settings}
        self.as_user: list[str] = []
        if os.getuid() == 0:
            os.chown(self.state, NOBODY, NOBODY)
            reads = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
            who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *reads]
            self.as_user = ["setpriv", *who, "--"]

    def __enter__(self) -> Service:
        """Start it, and wait for its word that it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(f"\0{self.address}")
            notify.settimeout(PATIENCE_S)
            self.main = self.run(self.unit["ExecStart"][0])
            try:
                assert notify.recv(1000).startswith(b"READY=1\n")
                until(lambda: listens(self.port), "the workers")
            except (AssertionError, TimeoutError):
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.main.kill()
        self.main.wait()

    def run(self, line: str) -> subprocess.Popen[bytes]:
        """Begin one of the unit's commands."""
        if "$MAINPID" in line:
            line = line.replace("$MAINPID", str(self.main.pid))
        umask = int(self.unit["UMask"][0], 8)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.as_user, *line.split()], cwd=ROOT, env=self.environ, umask=umask, stdout=log, stderr=log
            )

    def reload(self) -> list[int]:
        """Run the commands for a reload until one fails; give each one's exit status."""
        statuses: list[int] = []
        for line in self.unit["ExecReload"]:
            if not any(statuses):
                statuses.append(self.run(line).wait(PATIENCE_S))
        return statuses

    def processes(self) -> list[str]:
        """List every process that the service has started."""
        found = [path for path in Path("/proc").glob("[0-9]*/environ") if self.address.encode() in read(path)]
        return [read(path.with_name("cmdline")).decode() for path in found]

    def recite(self) -> contextlib.AbstractContextManager[requests.Response]:
        """Open a relay that will not end by itself."""
        accept = {"Accept": "text/event-stream", "Connection": "close"}  # else its end waits for the kept connection
        return opened("POST", f"{self.url}/talkeAbout", json={"prompt": "x", "model": "poem"}, headers=accept)


def read(path: Path) -> bytes:
    """Read a process's file, empty if it has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
