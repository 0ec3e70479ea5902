"""Where the programs are that the benchmark runs, built or found; what is missing is said with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.machine import Broken

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = ROOT / ".make/bench"  # everything that is built, installed or measured; git ignores it
RELAYS = HERE / "relays"
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
PACKAGES = {"gcc": "gcc libc6-dev", "nginx": "nginx-light", "redis-server": "redis-server", "node": "nodejs"}


def find(name: str) -> str:
    """Find a program of the machine; raise Broken with the name of its Debian package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if not found:
        raise Broken(f"the benchmark needs {name}; on Debian and Ubuntu: apt-get install {PACKAGES[name]}")
    return found


def built(name: str) -> Path:
    """Compile `bench/<name>.c`, if it has changed since; return the program."""
    source, program = HERE / f"{name}.c", WORK / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        WORK.mkdir(parents=True, exist_ok=True)
        unfinished = WORK / f"{name}.{os.getpid()}"
        command: list[str | Path] = [find("gcc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-o", unfinished, source]
        if subprocess.run(command, check=False).returncode:
            raise Broken(f"{source} does not compile; see above")
        unfinished.rename(program)
    return program


def python_with(environment: str) -> Path:
    """Return the Python of one of the benchmark's own environments."""
    python = WORK / environment / "bin/python"
    if not python.exists():
        raise Broken(f"{environment} is not installed: use `make bench`, with PEERS=all for all peers")
    return python
