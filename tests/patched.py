"""Tests once more, in a process that gevent has patched before all else, as wsgi.py does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def run_patched(*arguments: str, timeout_s: float) -> str:
    """Run pytest with these arguments, patched, and return what it said; all must pass."""
    command = [sys.executable, "-c", _PATCHED, "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
