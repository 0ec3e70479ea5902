"""The chat page as the server writes it, with the form that needs no JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests

from relay.poem import POEM
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT
from tests.servers import Server

STAYS_S = 1.5  # a stream whose client has gone would have been ended by then
FORM = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


class Text(HTMLParser):
    """The text of the first element that has an attribute, and every tag of the page."""

    def __init__(self, page: str, attribute: str = "", value: str | None = None) -> None:
        super().__init__()
        self.text, self.tags, self._wanted, self._depth = "", [""], (attribute, value), 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if not self.text and (self._depth or self._wanted in attrs):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - 1)

    def handle_data(self, data: str) -> None:
        self.text += data if self._depth else ""


def text_of(page: str, attribute: str, value: str | None = None) -> str:
    return Text(page, attribute, value).text


def post(server: Server, path: str = "/", headers: dict[str, str] = FORM, **fields: str) -> requests.Response:
    answer = requests.post(server.url + path, data=fields, headers=headers, timeout=30)
    answer.encoding = "utf-8"
    return answer


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


def test_the_page_has_nothing_inline_and_forbids_it(server: Server) -> None:
    answer = requests.get(server.url, timeout=30)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for rule in (
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy


def test_a_page_that_is_streamed_forbids_the_same(server: Server) -> None:
    page, streamed = requests.get(server.url, timeout=30), post(server, headers=FORM, prompt="x")
    assert streamed.headers["Transfer-Encoding"] == "chunked"
    for name in (
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Referrer-Policy",
        "Cross-Origin-Opener-Policy",
    ):
        assert streamed.headers[name] == page.headers[name]


def test_the_page_speaks_the_readers_language_and_tells_caches(server: Server) -> None:
    answer = requests.get(server.url, headers={"Accept-Language": "zh-TW,zh;q=0.9"}, timeout=30)
    assert '<html lang="zh-Hant">' in answer.text
    assert answer.headers["Content-Language"] == "zh-Hant"
    assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))


def test_the_switch_is_a_link_that_is_remembered(server: Server) -> None:
    with requests.Session() as session:
        assert 'href="?lang=zh-Hans"' in session.get(server.url, timeout=30).text
        session.get(f"{server.url}/?lang=zh-Hans", timeout=30)
        assert '<html lang="zh-Hans">' in session.get(server.url, timeout=30).text


def test_a_language_that_is_not_there_is_not_remembered(server: Server) -> None:
    answer = requests.get(f"{server.url}/?lang=//evil.example", timeout=30)
    assert "lang=" not in answer.headers.get("Set-Cookie", "")


def test_the_model_list_holds_every_model(server: Server) -> None:
    assert text_of(requests.get(server.url, timeout=30).text, "id", "model").split() == ["poem"]


def test_the_form_answers_in_the_page_with_the_composer_below(server: Server) -> None:
    page = post(server, prompt="什麼是愛而不得?", model="poem").text
    assert text_of(page, "data-question") == "什麼是愛而不得?"
    assert text_of(page, "data-answer") == POEM
    assert page.index("data-answer") < page.index("data-composer")


def test_a_form_in_parts_is_answered_too(server: Server) -> None:
    parts = {"prompt": (None, "什麼是愛而不得?"), "model": (None, "poem")}
    answer = requests.post(server.url, files=parts, headers=FORM, timeout=30)
    assert text_of(answer.content.decode(), "data-question") == "什麼是愛而不得?"
    assert text_of(answer.content.decode(), "data-answer") == POEM


def test_a_question_with_markup_stays_text(server: Server) -> None:
    prompt = "<script>alert(1)</script>\r\n<img src=x onerror=alert(1)>"
    page = post(server, prompt=prompt).text
    assert text_of(page, "data-question") == prompt.replace("\r\n", "\n")
    assert Text(page).tags.count("script") == 1


def test_the_page_leaves_before_the_answer_is_there(tmp_path: Path) -> None:
    slow = Server(tmp_path, TALKABOUT_POEM_DELAY_MS="50")
    with slow, requests.post(slow.url, data={"prompt": "x"}, headers=FORM, stream=True, timeout=30) as answer:
        read = b""
        while "東".encode() not in read:
            read += answer.raw.read1(65536)
        assert b"</header>" in read and b"data-question" in read
        assert "絕期".encode() not in read
        assert answer.headers["X-Accel-Buffering"] == "no"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "Please write a question first."),
        ({"prompt": " \n "}, "Please write a question first."),
        ({"prompt": "x" * 100_001}, "100001 characters of at most 100000"),
        ({"prompt": "x", "model": "no such"}, "There is no such model."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(server: Server, fields: dict[str, str], words: str) -> None:
    answer = post(server, **fields)
    assert answer.status_code == 422
    assert words in text_of(answer.text, "data-field-error")
    assert text_of(answer.text, "id", "prompt").strip() == fields["prompt"].strip()


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_a_form_on_another_site_is_refused(server: Server, headers: dict[str, str]) -> None:
    answer = post(server, headers={"Accept": "text/html", **headers}, prompt="x")
    assert answer.status_code == 403
    assert "<main" in answer.text


def test_a_page_that_is_not_there_is_said_in_words(server: Server) -> None:
    answer = requests.get(f"{server.url}/no-such", headers={"Accept": "text/html", "Accept-Language": "zh"}, timeout=30)
    assert answer.status_code == 404
    answer.encoding = "utf-8"
    assert "没有这个页面。" in answer.text


@pytest.mark.parametrize(
    ("behaviour", "answered"),
    [
        ("cut-clean", f"{TEXT}\n\n[模型服务器中途断开。]\n"),
        ("401", "\n\n[The model server refused the request (status 401).]\n"),
    ],
)
def test_what_the_model_server_does_is_told_in_the_page(
    misbehaving: MisbehavingServer, tmp_path: Path, behaviour: str, answered: str
) -> None:
    settings = {"TALKABOUT_UPSTREAM_URL": f"{misbehaving.url}/{behaviour}", "TALKABOUT_MODEL": "mock"}
    with Server(tmp_path, **settings) as server:
        answer = post(server, headers={**FORM, "Accept-Language": "zh"}, prompt="x", model="mock")
    assert answer.status_code == 200
    assert text_of(answer.text, "data-answer") == answered


def test_a_reader_who_leaves_the_page_does_not_stop_the_model_server(
    misbehaving: MisbehavingServer, tmp_path: Path
) -> None:
    with Server(tmp_path, TALKABOUT_UPSTREAM_URL=f"{misbehaving.url}/silent") as server:
        begun = len(misbehaving.completions)
        with requests.post(server.url, data={"prompt": "x"}, headers=FORM, stream=True, timeout=30) as answer:
            while b"Silence" not in answer.raw.read1(65536):
                pass
        request = misbehaving.wait_for_completions(begun + 1)
        assert not request.closed.wait(STAYS_S)


def test_a_full_server_says_so_and_keeps_the_question(tmp_path: Path) -> None:
    full = Server(tmp_path, TALKABOUT_POEM_DELAY_MS="50", TALKABOUT_MAX_STREAMS="1")
    with full, requests.post(full.url, data={"prompt": "x"}, headers=FORM, stream=True, timeout=30):
        answer = post(full, prompt="second")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "Too many answers" in text_of(answer.text, "data-field-error")
        assert text_of(answer.text, "id", "prompt").strip() == "second"


def test_a_conversation_is_a_page_of_its_own_where_markup_stays_text(server: Server) -> None:
    prompt = "<img src=x onerror=alert(1)>"
    with requests.Session() as browser:
        browser.get(server.url, timeout=30)
        asked = browser.post(f"{server.url}/api/answers", json={"prompt": prompt}, timeout=30).json()
        browser.get(f"{server.url}{asked['events']}", timeout=30)  # until its end
        answer = browser.get(f"{server.url}/c/{asked['conversation']}", timeout=30)
    answer.encoding = "utf-8"
    assert (text_of(answer.text, "data-question"), text_of(answer.text, "data-answer")) == (prompt, POEM)
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_answer_that_runs_is_shown_as_far_as_it_is_written(tmp_path: Path) -> None:
    with Server(tmp_path, TALKABOUT_POEM_DELAY_MS="50") as slow:
        asked = requests.post(f"{slow.url}/api/answers", json={"prompt": "x"}, timeout=30).json()
        page = ""
        while "東邊" not in page:
            page = requests.get(f"{slow.url}/c/{asked['conversation']}", timeout=30).content.decode()
        assert POEM.startswith(text_of(page, "data-answer"))
        assert f'data-answer-id="{asked["answer"]}"' in page
        assert 'data-state="running"' in page


def test_a_conversation_that_is_not_there_is_a_page_in_words(server: Server) -> None:
    answer = requests.get(f"{server.url}/c/nobody's", headers={"Accept": "text/html"}, timeout=30)
    assert (answer.status_code, "There is no such page." in answer.text) == (404, True)
