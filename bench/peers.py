"""Who is measured: our paths, and the relays that stand beside them. Each is one worker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.machine import ALL_CPUS, PEER_CPUS, Program, free_port
from bench.programs import RELAYS, ROOT, find, python_with

OPENAI_PATH = "/v1/chat/completions"
STREAMS = "12000"  # more than any test opens
LITELLM_KEY = "sk-bench"


@dataclass(frozen=True)
class Place:
    """Where a peer runs: its folder, its port, its upstream's port, and its Redis server's port."""

    folder: Path
    port: int
    upstream: int
    redis: int = 0

    @property
    def upstream_url(self) -> str:
        """Say where the model server is."""
        return f"http://127.0.0.1:{self.upstream}"


@dataclass(frozen=True)
class Peer:
    """How one relay is started, asked and believed. Without a command it is the upstream itself.

    `end` is how the line begins that ends its streams; `numbered` says that their events have ids that count.
    `share` is how much of a test's load it gets: one that cannot finish it in time is measured on less.
    """

    name: str
    command: Callable[[Place], list[str | Path]] | None
    environ: Callable[[Place], dict[str, str]] = lambda place: {"PORT": str(place.port), "UPSTREAM": place.upstream_url}
    path: str = OPENAI_PATH
    end: str = "data: [DONE]"
    numbered: bool = False
    header: str = ""
    tree: Path | None = None
    with_redis: bool = False
    share: dict[str, float] = field(default_factory=dict)

    def body(self, tokens: int, interval_us: int) -> str:
        """Write the request that orders this many tokens this far apart."""
        prompt = f"bench n={tokens} i={interval_us} "
        if self.tree:
            return json.dumps({"prompt": prompt})
        return json.dumps({"model": "bench", "stream": True, "messages": [{"role": "user", "content": prompt}]})

    def program(self, place: Place, workers: int = 1) -> Program:
        """Prepare the process: one worker on a CPU of its own, or several on all CPUs."""
        assert self.command
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TALKABOUT_")}
        environ |= {"PYTHONDONTWRITEBYTECODE": "1", "WEB_CONCURRENCY": str(workers), **self.environ(place)}
        cpus = PEER_CPUS if workers == 1 else ALL_CPUS
        log = place.folder / f"{self.name}.log"
        return Program(self.command(place), place.port, log, cpus, self.tree or place.folder, environ)


def _our_settings(place: Place) -> dict[str, str]:
    return {
        "HOST": "127.0.0.1",
        "PORT": str(place.port),
        "TALKABOUT_UPSTREAM_URL": place.upstream_url,
        "TALKABOUT_MODEL": "bench",
        "TALKABOUT_EMBEDDED_MODEL": "off",
        "TALKABOUT_DATA_DIR": str(place.folder / "data"),
        "TALKABOUT_JOURNAL_URL": f"redis://127.0.0.1:{place.redis}/0" if place.redis else "",
        "TALKABOUT_MAX_STREAMS": STREAMS,
        "TALKABOUT_MAX_ANSWERS_PER_USER": STREAMS,
        "TALKABOUT_MAX_READERS_PER_USER": STREAMS,
    }


def ours(tree: Path, suffix: str = "") -> list[Peer]:
    """Describe the three paths of a tree of this project: the plain relay, and durable answers on both journals."""
    own = tree / ".venv/bin/python"
    command: list[str | Path] = [own if own.exists() else sys.executable, "-m", "gunicorn"]
    command += ["-c", "gunicorn.conf.py", "wsgi:app"]
    raw = Peer(f"raw{suffix}", lambda place: command, _our_settings, "/talkeAbout", tree=tree)
    end = 'data: {"state":"complete"'
    durable = replace(raw, name=f"durable{suffix}", path="/api/answers", end=end, numbered=True)
    return [raw, durable, replace(durable, name=f"redis{suffix}", with_redis=True)]


def _nginx(place: Place) -> list[str | Path]:
    text = (RELAYS / "nginx.conf").read_text()
    text = text.replace("UPSTREAM", f"127.0.0.1:{place.upstream}").replace("PORT", str(place.port))
    # As root its workers would be nobody's, who cannot reach the folder.
    (place.folder / "nginx.conf").write_text(("user root;\n" if os.getuid() == 0 else "") + text)
    return [find("nginx"), "-e", "stderr", "-p", place.folder, "-c", place.folder / "nginx.conf"]


def _naive(place: Place) -> list[str | Path]:
    command: list[str | Path] = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "1"]
    command += ["-b", f"127.0.0.1:{place.port}", "--backlog", "4096", "--worker-connections", STREAMS]
    return [*command, "--log-level", "warning", "--no-control-socket", "--chdir", RELAYS, "naive:app"]


def _fastapi(place: Place) -> list[str | Path]:
    command: list[str | Path] = [python_with("venv-all"), "-m", "uvicorn", "--app-dir", RELAYS, "--backlog", "4096"]
    command += ["--port", str(place.port), "--loop", "uvloop", "--http", "httptools"]
    return [*command, "--no-access-log", "--log-level", "warning", "fastapi_relay:app"]


def _litellm(place: Place) -> list[str | Path]:
    config = place.folder / "litellm.yaml"
    config.write_text((RELAYS / "litellm.yaml").read_text().replace("UPSTREAM", place.upstream_url))
    command: list[str | Path] = [
        python_with("venv-all").with_name("litellm"),
        "--config",
        config,
        "--host",
        "127.0.0.1",
    ]
    return [*command, "--port", str(place.port), "--num_workers", "1"]


PEERS = [
    Peer("direct", None),
    Peer("nginx", _nginx),
    Peer("naive", _naive),
    Peer("aiohttp", lambda place: [python_with("venv"), RELAYS / "aiohttp_relay.py"]),
    *ours(ROOT),
    Peer("floor", lambda place: [sys.executable, RELAYS / "floor.py"], end='data: {"state":"complete"', numbered=True),
    Peer("bare", lambda place: [sys.executable, RELAYS / "floor.py", "bare"]),
    Peer("node", lambda place: [find("node"), RELAYS / "node_relay.cjs"]),
    Peer("fastapi", _fastapi),
    Peer(
        "litellm",
        _litellm,
        lambda place: {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
        header=f"Authorization: Bearer {LITELLM_KEY}",
        share={"B": 0.05, "D": 0.1, "E": 0},
    ),
]
USUAL = ["direct", "nginx", "naive", "aiohttp", "floor", "raw", "durable", "redis"]


def place_in(folder: Path, upstream: int, redis: int = 0) -> Place:
    """Give a peer a free port."""
    return Place(folder, free_port(), upstream, redis)
