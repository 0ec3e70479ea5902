"""The pages and the program of docs/client.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from relay.poem import POEM
from tests.servers import ROOT, Server

pytestmark = pytest.mark.browser

BLOCKS = re.findall(r"^```(html|js)\n(.+?)^```", (ROOT / "docs/client.md").read_text(encoding="utf-8"), re.M | re.S)
PAGES = [code for kind, code in BLOCKS if kind == "html"]
PROGRAMS = [code for kind, code in BLOCKS if kind == "js"]


@pytest.mark.parametrize("html", PAGES, ids=["answer", "event-source"])
def test_a_plain_page_shows_the_whole_answer(browser: Browser, server: Server, html: str) -> None:
    page = browser.new_page()
    page.route("**/plain", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto(f"{server.url}/plain")
    expect(page.locator("#state")).to_have_text("complete", timeout=20_000)
    assert page.locator("#text").text_content() == POEM
    page.close()


def test_a_program_reads_the_whole_answer_with_a_token(tmp_path: Path) -> None:
    settings = {"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": "ada=secret-of-ada"}
    with Server(tmp_path, **settings) as server:
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", PROGRAMS[0]],
            cwd=ROOT,
            env={**os.environ, "TALKABOUT": server.url, "TOKEN": "secret-of-ada"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.stdout, done.stderr) == (POEM, "complete true\n")
