"""The proxies whose configurations `deploy/` ships, run by tests in front of servers, each with ports of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import trustme

from tests.deployed import SYSTEM_PATH, listens, until
from tests.servers import ROOT, Server, free_port
from tests.streams import opened

KINDS = ["nginx", "nginx with TLS", "caddy", "haproxy"]
TLS = {"nginx with TLS", "caddy"}


@dataclass
class Front:
    """A proxy that runs: where it listens, and whom its certificate is from."""

    port: int
    ca: str = ""

    @property
    def url(self) -> str:
        """Give its address, which its certificate names."""
        return f"https://localhost:{self.port}" if self.ca else f"http://127.0.0.1:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """Give what a bare socket needs to speak to it."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    def opened(self, method: str, path: str, **more: Any) -> contextlib.AbstractContextManager[requests.Response]:
        """Open a streaming request."""
        return opened(method, self.url + path, verify=self.ca or True, **more)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """Make a request."""
        return requests.request(method, self.url + path, verify=self.ca or True, timeout=30, **more)


@contextlib.contextmanager
def front(kind: str, folder: Path, authority: trustme.CA, *servers: Server | int, **instead: str) -> Iterator[Front]:
    """Run a proxy with the shipped configuration in front of one server or two (a bare port is where none is).

    `instead` are other values of nginx's directives.
    """
    folder.mkdir(exist_ok=True)
    ports = [server if isinstance(server, int) else server.port for server in servers]
    if kind in TLS:
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(folder / "privkey.pem"))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "fullchain.pem"))
    running = Front(free_port(), str(folder / "ca.pem") if kind in TLS else "")
    make = {"nginx": nginx, "nginx with TLS": nginx, "caddy": caddy, "haproxy": haproxy}[kind]
    command = make(folder, running.port, ports, kind in TLS)
    if instead:
        change(folder / "nginx.conf", instead)
    home = {"HOME": str(folder)}  # Caddy keeps its things there
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **home}, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or listens(running.port), kind)
        assert process.poll() is None, (folder / "proxy.log").read_text()
        yield running
    finally:
        process.terminate()
        process.wait(30)


def nginx(folder: Path, port: int, servers: list[int], tls: bool) -> list[str]:
    """Write its files, and give the command."""
    text = (ROOT / "deploy/nginx.conf").read_text()
    if tls:
        text = put(text, "    listen 127.0.0.1:8080;\n", "")
        text = put(text, "#listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        for file in ("fullchain.pem", "privkey.pem"):
            text = put(text, f"/etc/ssl/talkabout/{file}", str(folder / file))
        text = text.replace("    #ssl_", "    ssl_")
    else:
        text = put(text, "listen 127.0.0.1:8080;", f"listen 127.0.0.1:{port};")
    (folder / "nginx.conf").write_text(behind(text, servers, "    #server"))
    # As root its workers would be nobody's, who cannot reach a folder of pytest's.
    here = "daemon off;" + ("user root;" if os.getuid() == 0 else "")
    command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", "nginx.conf", "-g", here]
    assert "[warn]" not in subprocess.run([*command, "-t"], check=True, capture_output=True, text=True).stderr
    return command


def change(file: Path, instead: dict[str, str]) -> None:
    """Give directives other values, wherever they stand."""
    text = file.read_text()
    for name, value in instead.items():
        text, found = re.subn(rf"\b{name} [^;]*;", f"{name} {value};", text)
        assert found, name
    file.write_text(text)


def caddy(folder: Path, port: int, servers: list[int], tls: bool) -> list[str]:
    """Write its files, and give the command; it always speaks TLS."""
    assert tls
    behind_it = " ".join(f"127.0.0.1:{server}" for server in servers)
    text = put((ROOT / "deploy/Caddyfile").read_text(), "127.0.0.1:8000", behind_it)
    # Two at once would want the same port for commands, and port 80 for the redirect to https.
    text = put(text, "{\n\tservers {", "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {")
    certificate = f"\ttls {folder / 'fullchain.pem'} {folder / 'privkey.pem'}\n"
    text = put(text, "chat.example {\n", f"https://localhost:{port} {{\n{certificate}")
    (folder / "Caddyfile").write_text(text)
    return [program("caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


def haproxy(folder: Path, port: int, servers: list[int], tls: bool) -> list[str]:
    """Write its file, and give the command."""
    assert not tls
    text = put((ROOT / "deploy/haproxy.cfg").read_text(), "bind 127.0.0.1:8080", f"bind 127.0.0.1:{port}")
    (folder / "haproxy.cfg").write_text(behind(text, servers, "  #server"))
    return [program("haproxy"), "-W", "-f", "haproxy.cfg"]


def behind(text: str, servers: list[int], further: str) -> str:
    """Put the servers' ports where the shipped ones stand; the second is a comment there."""
    text = put(text, "127.0.0.1:8000", f"127.0.0.1:{servers[0]}")
    if len(servers) > 1:
        text = put(text, further, further.replace("#", ""))
        text = put(text, "127.0.0.1:8001", f"127.0.0.1:{servers[1]}")
    return text


def put(text: str, shipped: str, ours: str) -> str:
    """Replace what stands there once."""
    assert text.count(shipped) == 1, f"{shipped!r} stands there {text.count(shipped)} times"
    return text.replace(shipped, ours)


def program(name: str) -> str:
    """Find a program; where it is missing, the test fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM_PATH}")
    assert found, f"the tests need {name}: `scripts/setup.sh machine` installs it"
    return found
