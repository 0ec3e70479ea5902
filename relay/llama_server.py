"""The process that is the embedded model: llama.cpp's own HTTP server on a loopback port, until standard input ends.

Started by `relay.embedded_model`, which restarts it; nobody imports this module. It alone imports xllamacpp.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import xllamacpp

SLOT_TOKENS = 2048
"""What one answer has for prompt and reply together."""

BATCH_TOKENS = 64
"""Half a second of work: between batches llama.cpp drops what was cancelled and lets other answers go on."""


def parameters(weights: Path, alias: str, port: int, parallel: int) -> xllamacpp.CommonParams:
    """Describe the server: one model, `parallel` answers at once, nothing but the OpenAI routes."""
    given = xllamacpp.CommonParams()
    given.model.path = str(weights)
    given.model_alias = {alias}
    given.port = port
    given.reuse_port = True  # the port is held by whoever chose it, so that it is still ours after a crash
    given.n_parallel = parallel
    given.n_ctx = SLOT_TOKENS * parallel  # llama.cpp divides it among the slots
    given.n_batch = given.n_ubatch = BATCH_TOKENS
    # With two threads the engine spins at its barriers, and all but stands still as soon as anything else runs.
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
    given.n_threads_http = parallel + 32  # a waiting answer holds one; /v1/models must get through beside them
    given.sse_ping_interval = 0  # its comments bring a blank line, which real clients take for an event without data
    given.cache_ram_mib = 128  # the default may grow to 8 GiB
    given.cors_origins = ""  # the default lets the scripts of any web page in
    given.ui = given.endpoint_slots = False
    given.verbosity = 2
    return given


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m relay.llama_server", description=main.__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    given = parameters(**vars(parser.parse_args()))
    # The web workers come first: they need little, and readers feel each millisecond. The model takes what is left.
    os.nice(5)
    server = xllamacpp.Server(given)  # noqa: F841
    sys.stdin.buffer.read()
    os._exit(0)  # without waiting for answers that nobody reads any more


if __name__ == "__main__":
    main()
