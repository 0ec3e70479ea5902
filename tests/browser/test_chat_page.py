"""The chat page in a real browser: the answer types itself, and whatever happens to it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from relay.poem import POEM
from tests.chat_page import Chat, Open
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, LIST, LISTS, TEXT, Exchange, event, model_list, once, opening, stream
from tests.servers import Server

pytestmark = pytest.mark.browser

ASKED = "**/api/answers"
TARGET_PX = 44
MARKUP = "<b>bold</b> <script>alert(1)</script> <img src=x onerror=alert(1)> & more"
TOO_SMALL = f"""elements => elements.filter(e => e.checkVisibility()).map(e => [e.outerHTML, e.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < {TARGET_PX} - 0.5).map(([html]) => html)"""


def rambling(x: Exchange) -> None:
    """Think, write markup, then lines until the client goes."""
    x.head(Transfer_Encoding="chunked")
    x.chunked(event({"reasoning_content": "Hm, <i>markup</i>."}), event({"content": MARKUP}))
    while True:
        x.chunked(event({"content": "\nand a line more"}))
        x.rest(0.02)


BEHAVIOURS |= {"rambling": rambling, "flaky": once(stream(*opening()))}
LISTS |= {"rambling": model_list(LIST), "flaky": model_list(LIST)}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that takes its time, so that an answer can be seen in its middle."""
    settings = {"TALKABOUT_POEM_DELAY_MS": "15", "TALKABOUT_MAX_PROMPT_CHARS": "100"}
    with Server(tmp_path_factory.mktemp("slow"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def model_server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def rambler(model_server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("rambler"), TALKABOUT_UPSTREAM_URL=f"{model_server.url}/rambling") as running:
        yield running


def test_the_answer_types_itself_and_tells_how_fast(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("What is love?")
    chat.begins()
    assert POEM.startswith(chat.text() or "?")
    expect(chat.state).to_have_text("Writing…")
    chat.is_done()
    expect(chat.state).to_have_text(re.compile(r"Done · first word after [\d.]+ s · [\d.]+ tokens/s"))
    expect(chat.page.get_by_role("main").get_by_role("status")).to_contain_text("Done")


def test_stop_ends_the_answer_and_the_model_servers_work(
    open_chat: Open, rambler: Server, model_server: MisbehavingServer
) -> None:
    chat = open_chat(rambler)
    closed = len([request for request in model_server.requests if request.closed.is_set()])
    chat.ask(model="mock")
    chat.begins("a line more")
    chat.button("Stop").click()
    expect(chat.state).to_have_text("Stopped")
    expect(chat.button("Send")).to_be_visible()
    model_server.wait_for_closed(closed + 1)


def test_escape_stops_too_and_the_focus_stays_in_the_composer(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask()
    chat.begins()
    chat.page.keyboard.press("Escape")
    expect(chat.state).to_have_text("Stopped")
    expect(chat.prompt).to_be_focused()


def test_restart_asks_the_same_again_in_the_same_place(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("What is love?")
    chat.begins()
    chat.button("Restart").click()
    chat.button("Restart").click()
    chat.is_done()
    expect(chat.transcript.get_by_role("article")).to_have_text([re.compile("What is love?"), re.compile("東邊")])


def test_an_answer_that_broke_off_says_so_and_can_be_retried(
    open_chat: Open, model_server: MisbehavingServer, tmp_path: Path
) -> None:
    with Server(tmp_path, TALKABOUT_UPSTREAM_URL=f"{model_server.url}/flaky") as server:
        chat = open_chat(server)
        chat.ask(model="mock")
        expect(chat.error).to_contain_text("The answer broke off before its end. The model server broke off.")
        chat.button("Retry").click()
        chat.is_done(TEXT)
        expect(chat.error).to_be_hidden()


def refuse(status: int, **headers: str) -> Callable[[Route], None]:
    problem = json.dumps({"title": "No", "status": status, "detail": "x"})
    more = {"Content-Type": "application/problem+json", **headers}
    return lambda route: route.fulfill(status=status, headers=more, body=problem)


def test_a_busy_server_is_asked_again_when_it_says_so(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.route(ASKED, refuse(429, **{"Retry-After": "2"}), times=1)
    chat.ask()
    expect(chat.state).to_have_text(re.compile(r"Too many questions at once\. Reconnecting in [1-3] s…"))
    chat.is_done()


def test_a_refusal_is_said_and_the_question_can_be_asked_again(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.route(ASKED, refuse(403), times=1)
    chat.ask()
    expect(chat.error).to_contain_text("No answer came. The server refused the question (403).")
    expect(chat.button("Continue")).to_be_hidden()
    chat.button("Retry").click()
    chat.is_done()


def test_a_question_that_the_server_finds_wrong_comes_back_to_its_field(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.page.locator("[data-composer]").evaluate("form => { form.elements.model.options[0].value = 'gone' }")
    chat.ask("What is love?", model="gone")
    expect(chat.field_error).to_contain_text("no such model")
    expect(chat.prompt).to_have_value("What is love?")
    expect(chat.transcript.get_by_role("article")).to_have_count(0)


def test_without_a_network_the_page_says_that_and_asks_when_there_is_one(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.context.set_offline(True)
    chat.ask()
    expect(chat.state).to_contain_text("You are offline. Reconnecting in")
    chat.page.context.set_offline(False)
    chat.is_done()
    chat.page.locator("[data-import]:not([hidden])").wait_for(state="attached")  # what had not come yet has come too


def test_stop_takes_a_question_back_that_could_not_be_asked(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.context.set_offline(True)
    chat.ask()
    expect(chat.state).to_contain_text("You are offline.")
    chat.button("Stop").click()
    expect(chat.state).to_have_text("Stopped")
    expect(chat.button("Continue")).to_be_hidden()


@pytest.mark.parametrize(("kept", "error"), [("abc", ""), ("abcd", "this is not the whole answer")])
def test_a_text_with_a_gap_is_healed_or_not_called_whole(
    open_chat: Open, server: Server, kept: str, error: str
) -> None:
    chat = open_chat(server)
    done = json.dumps({"state": "complete", "finish_reason": "stop", "chars": 3})
    body = f'data: {{"content": "ac"}}\nid: a:1\n\nevent: done\ndata: {done}\nid: a:2\n\n'
    chat.page.route(ASKED, lambda route: route.fulfill(content_type="text/event-stream", body=body))
    whole = {"state": "complete", "content": kept, "reasoning": "", "chars": 3}
    chat.page.route("**/api/answers/*", lambda route: route.fulfill(json=whole))
    chat.ask()
    expect(chat.answer).to_have_text(kept)
    expect(chat.error).to_contain_text(error)


def test_markup_of_the_model_and_of_the_reader_is_only_text(open_chat: Open, rambler: Server) -> None:
    chat = open_chat(rambler)
    chat.ask(MARKUP, model="mock")
    chat.begins(MARKUP)
    expect(chat.transcript.locator("[data-question]")).to_have_text(MARKUP)
    assert chat.transcript.locator("b, i, img, script").count() == 0


def test_reasoning_is_folded_away(open_chat: Open, rambler: Server) -> None:
    chat = open_chat(rambler)
    chat.ask(model="mock")
    chat.begins("a line more")
    reasoning = chat.transcript.get_by_text("Hm, <i>markup</i>.")
    expect(reasoning).to_be_hidden()
    chat.transcript.get_by_text("Reasoning").click()
    expect(reasoning).to_be_visible()


def test_the_readers_place_is_never_taken_away(open_chat: Open, rambler: Server) -> None:
    chat = open_chat(rambler, viewport={"width": 800, "height": 500})
    chat.ask(model="mock")
    chat.waits_for("document.body.scrollHeight > innerHeight * 2 && scrollY > 0")
    assert chat.gap() < TARGET_PX
    chat.page.mouse.wheel(0, -300)
    expect(chat.button("To the end")).to_be_visible()
    place = chat.page.evaluate("scrollY")
    chat.waits_for(f"document.body.scrollHeight > {place} + innerHeight + 800")
    assert chat.page.evaluate("scrollY") == place
    chat.button("To the end").click()
    assert chat.gap() < TARGET_PX


def test_what_is_pressed_stays_under_the_pointer_until_it_is_let_go(open_chat: Open, rambler: Server) -> None:
    chat = open_chat(rambler, viewport={"width": 800, "height": 500})
    chat.ask(model="mock")
    chat.waits_for("document.body.scrollHeight > innerHeight * 2 && scrollY > 0")
    chat.page.mouse.move(400, 200)
    chat.page.mouse.down()
    place = chat.page.evaluate("scrollY")
    chat.waits_for(f"document.body.scrollHeight > {place} + innerHeight + 400")
    assert chat.page.evaluate("scrollY") == place
    chat.page.mouse.up()
    chat.waits_for(f"scrollY > {place} && {GAP} < {TARGET_PX}")


LATE = {
    "reasoning is unfolded": "document.querySelector('[data-reasoning]').open = true",
    "a font comes": "document.querySelector('[data-question]').style.fontSize = '90px'",
}
BOTTOM = "document.querySelector('[data-answer]').getBoundingClientRect().bottom"
GAP = "document.body.scrollHeight - scrollY - innerHeight"


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_what_grows_late_takes_neither_the_place_away_nor_the_end(open_chat: Open, rambler: Server, late: str) -> None:
    chat = open_chat(rambler, viewport={"width": 800, "height": 500})
    chat.ask(model="mock")
    chat.waits_for("document.body.scrollHeight > innerHeight * 3 && scrollY > 0")
    chat.button("Stop").click()
    expect(chat.state).to_have_text("Stopped")
    chat.waits_for("document.querySelector('[data-answer] .prose__plain').textContent === ''")
    chat.waits_for(f"{GAP} < 1")
    grown(chat, late)
    chat.waits_for(f"{GAP} < 1")
    chat.page.reload()
    chat.waits_for(f"document.querySelector('.prose .prose__plain')?.textContent === '' && {GAP} < 1")
    chat.page.mouse.wheel(0, -300)
    chat.waits_for(f"{GAP} > 250")
    place = chat.page.evaluate(BOTTOM)
    grown(chat, late)
    chat.waits_for(f"Math.abs({BOTTOM} - {place}) < 2")
    assert chat.gap() > 250


def grown(chat: Chat, late: str) -> None:
    height = chat.page.evaluate("document.body.scrollHeight")
    chat.page.evaluate(late)
    chat.waits_for(f"document.body.scrollHeight > {height}")


def test_shift_enter_begins_a_line_and_a_composition_never_sends(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.prompt.fill("一")
    chat.prompt.press("Shift+Enter")
    chat.press_enter(isComposing=True)
    chat.press_enter(keyCode=229)
    expect(chat.prompt).to_have_value("一\n")
    expect(chat.transcript.get_by_role("article")).to_have_count(0)
    chat.press_enter()
    chat.begins()


@pytest.mark.parametrize(("prompt", "words"), [(" \n", "Please write a question first."), ("🥇" * 101, "101 char")])
def test_what_cannot_be_sent_is_said_at_the_field(open_chat: Open, slow: Server, prompt: str, words: str) -> None:
    chat = open_chat(slow)
    chat.ask(prompt)
    expect(chat.field_error).to_contain_text(words)
    expect(chat.prompt).to_have_attribute("aria-invalid", "true")
    chat.prompt.press("a")
    expect(chat.field_error).to_be_empty()


def test_a_draft_outlives_a_reload_and_goes_when_it_is_sent(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.prompt.fill("half a qu")
    chat.page.reload()
    expect(chat.prompt).to_have_value("half a qu")
    chat.prompt.press("Enter")
    chat.is_done()
    chat.page.reload()
    expect(chat.prompt).to_have_value("")


def test_an_example_goes_into_the_composer(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.button("What does it mean to love and not to have?").click()
    expect(chat.prompt).to_have_value("What does it mean to love and not to have?")
    expect(chat.prompt).to_be_focused()


def test_the_language_switch_changes_every_word_and_stays(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.page.get_by_role("link", name="繁體中文").click()
    chat.page.goto(slow.url)
    expect(chat.page.locator("html")).to_have_attribute("lang", "zh-Hant")
    chat.ask("什麼是愛而不得?")
    chat.begins()
    expect(chat.state).to_have_text("正在書寫…")
    expect(chat.button("停止")).to_be_visible()


def test_without_javascript_the_answer_streams_into_the_page(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow, java_script_enabled=False)
    chat.prompt.fill("What is love?")
    chat.button("Send").click(no_wait_after=True)
    chat.begins()
    expect(chat.page.get_by_text("It goes on if you leave this page.")).to_be_visible()
    assert chat.prompt.count() == 0
    expect(chat.prompt).to_be_visible()
    assert chat.text() == POEM
    expect(chat.page.get_by_text("It goes on if you leave this page.")).to_be_hidden()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_no_fault(open_chat: Open, server: Server, color_scheme: str, locale: str) -> None:
    chat = open_chat(server, locale, color_scheme=color_scheme, reduced_motion="reduce")
    assert chat.faults() == []
    chat.ask()
    expect(chat.answer).to_have_text(re.compile("絕期"))
    chat.page.route(ASKED, refuse(403))
    chat.ask("again")
    expect(chat.error).to_be_visible()
    chat.prompt.press("Enter")
    assert chat.faults() == []


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_everything_fits_and_can_be_touched(open_chat: Open, server: Server, width: int) -> None:
    chat = open_chat(server, viewport={"width": width, "height": 740})
    assert chat.page.locator("a:not(.skip), button, select, textarea").evaluate_all(TOO_SMALL) == []
    chat.ask("a" * 300)
    chat.is_done()
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert chat.page.locator("a:not(.skip), button, select, textarea").evaluate_all(TOO_SMALL) == []
