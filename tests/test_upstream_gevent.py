from __future__ import annotations

from pathlib import Path

import pytest

from tests.patched import run_patched

ESSENTIAL = "stop or limit or total or authority or framing"


@pytest.mark.parametrize("arguments", [["test_upstream.py", "-k", ESSENTIAL], ["test_exchange.py"]])
def test_limits_stops_tls_and_further_requests_work_the_same_under_gevent(arguments: list[str]) -> None:
    run_patched(str(Path(__file__).parent / arguments[0]), *arguments[1:], timeout_s=300)
