"""What the hot path takes from gevent, and the same in plain threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from relay.loop import after

PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def test_what_is_to_run_after_a_while_runs_unless_it_is_prevented() -> None:
    called, prevented = threading.Event(), threading.Event()
    prevent = after(0.02, prevented.set)
    let_go = after(0.05, called.set)
    prevent()
    assert called.wait(10) and not prevented.is_set()
    let_go()


def test_the_same_holds_under_gevent() -> None:
    command = [sys.executable, "-c", PATCHED, "-p", "no:cacheprovider", __file__, "-k", "after"]
    ran = subprocess.run(
        command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
