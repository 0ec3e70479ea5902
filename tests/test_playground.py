"""The playground's page as the server gives it; tests/browser has what its scripts do."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess

import pytest
import requests

from tests.servers import Server
from web.i18n import LANGUAGES, catalogue
from web.playground import CHANNEL, CLIENTS, POEM, POSTED, Endpoint, curl

ORIGIN = "http://127.0.0.1:8000"
NASTY = dict.fromkeys(("prompt", "name", "event"), 'it\'s $HOME "`id`" \\ [a-z]{b}&c=d 什\n') | {
    "user_id": "a/b?c",
    "data": '"it\'s"',
}
SENT = NASTY | {"data": "it's"}


@pytest.fixture(scope="module")
def page(server: Server) -> str:
    return requests.get(f"{server.url}/playground", timeout=10).text


def curl_lines(page: str) -> list[str]:
    return [html.unescape(line) for line in re.findall(r"<pre>(.+?)</pre>", page, re.DOTALL)]


def test_each_of_the_six_routes_is_there_for_a_client_that_can_reach_it() -> None:
    by_event_source, by_fetch = ({(e.method, e.path) for e in endpoints} for _, endpoints in CLIENTS.values())
    assert by_event_source == {("GET", "/sse/connect/{user_id}"), ("GET", "/talkeAbouttestEvent")}
    assert by_fetch - by_event_source == {(e.method, e.path) for e in POSTED}


def test_the_page_offers_every_endpoint_and_its_curl_line(page: str) -> None:
    for endpoint in (CHANNEL, POEM, *POSTED):
        assert f'data-method="{endpoint.method}" data-path="{endpoint.path}"' in page
    assert len(curl_lines(page)) == len(POSTED) + 2


def test_without_javascript_the_page_says_what_it_needs_and_keeps_its_clients_hidden(page: str) -> None:
    assert f'<noscript><p class="needs">{catalogue("en")["playground.needs_script"]}' in page
    assert re.search(r"<div class=\"clients\"[^>]*\shidden>", page)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_page_speaks_each_language_and_so_do_its_scripts(server: Server, tag: str) -> None:
    page = requests.get(f"{server.url}/playground", headers={"Accept-Language": tag}, timeout=10).text
    said = json.loads(html.unescape(re.search(r"data-messages='([^']+)'", page)[1]))
    assert f'<html lang="{tag}">' in page
    assert said["playground.say.open"] == catalogue(tag)["playground.say.open"]


def test_the_channel_on_the_page_is_the_browsers_own(server: Server) -> None:
    pages = [requests.get(f"{server.url}/playground", timeout=10).text for _ in range(2)]
    mine, theirs = (re.search(r'name="user_id" value="([^"]+)"', page)[1] for page in pages)
    assert mine != theirs


@pytest.mark.parametrize("endpoint", [CHANNEL, POEM, *POSTED], ids=lambda e: f"{e.method} {e.path} {e.accept}")
def test_a_curl_line_survives_the_shell_whatever_stands_in_the_fields(endpoint: Endpoint) -> None:
    words = shlex.split(curl(endpoint, ORIGIN, NASTY))
    assert words[:2] == ["curl", "-N"]
    assert words[-1].startswith(ORIGIN + endpoint.path.format(user_id="a%2Fb%3Fc"))
    if endpoint.method == "POST":
        sent = json.loads(words[words.index("--data-raw") + 1])
        assert sent == {name: SENT[name] for name in endpoint.fields if name != "user_id"}


@pytest.mark.parametrize("index", range(1, len(POSTED) + 2))
def test_the_curl_lines_of_the_page_run_as_they_stand(page: str, index: int) -> None:
    done = subprocess.run(["sh", "-c", curl_lines(page)[index] + " -fsS"], capture_output=True, timeout=30, check=True)
    assert done.stdout
    assert done.stderr == b""
