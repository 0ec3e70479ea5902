from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The first thing in the process, as wsgi.py does it.
PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
ESSENTIAL = "stop or limit or total or authority or framing"


@pytest.mark.parametrize("arguments", [["test_upstream.py", "-k", ESSENTIAL], ["test_exchange.py"]])
def test_limits_stops_tls_and_further_requests_work_the_same_under_gevent(arguments: list[str]) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", PATCHED, "-p", "no:cacheprovider", str(here / arguments[0]), *arguments[1:]]
    ran = subprocess.run(command, cwd=here.parent, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
