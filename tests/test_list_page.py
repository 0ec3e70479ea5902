"""The list of conversations as a page of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.servers import Server
from web.list_page import by_age


@pytest.mark.parametrize(
    ("days", "group"), [(0, "today"), (1, "yesterday"), (2, "week"), (7, "week"), (8, "earlier"), (400, "earlier")]
)
def test_what_changed_some_days_ago_stands_in_its_group(days: int, group: str) -> None:
    changed = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    assert [name for name, listed in by_age([{"changed": changed}]) if listed] == [group]


def test_the_page_lists_searches_and_pages_through_what_is_ones_own(server: Server) -> None:
    with requests.Session() as browser:
        browser.get(server.url, timeout=30)
        for n in range(51):
            browser.post(f"{server.url}/api/conversations", json={"title": f"number {n}."}, timeout=30)
        first = browser.get(f"{server.url}/conversations", timeout=30).text
        assert "number 50." in first and "number 0." not in first and "?before=" in first
        found = browser.get(f"{server.url}/conversations?q=number 0.", timeout=30).text
        assert "number 0." in found and "number 50." not in found
        assert "number 50." in browser.get(f"{server.url}/conversations?before=nonsense", timeout=30).text
    assert "number" not in requests.get(f"{server.url}/conversations", timeout=30).text
