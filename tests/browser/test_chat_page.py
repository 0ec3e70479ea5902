"""The chat page in a real browser: the answer types itself, and whatever happens to it is said."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from relay.poem import POEM
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, LIST, LISTS, TEXT, Exchange, event, model_list, once, opening, stream
from tests.servers import Server

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
WAIT_MS = 20_000
TARGET_PX = 44
MARKUP = "<b>bold</b> <script>alert(1)</script> <img src=x onerror=alert(1)> & more"
TOO_SMALL = f"""elements => elements.filter(e => e.checkVisibility()).map(e => [e.outerHTML, e.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < {TARGET_PX} - 0.5).map(([html]) => html)"""

Open = Callable[..., "Chat"]


def rambling(x: Exchange) -> None:
    """Think, write markup, then lines until the client goes."""
    x.head(Transfer_Encoding="chunked")
    x.chunked(event({"reasoning_content": "Hm, <i>markup</i>."}), event({"content": MARKUP}))
    while True:
        x.chunked(event({"content": "\nand a line more"}))
        x.rest(0.02)


BEHAVIOURS |= {"rambling": rambling, "flaky": once(stream(*opening()))}
LISTS |= {"rambling": model_list(LIST), "flaky": model_list(LIST)}


class Chat:
    """The page as a person uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.prompt = page.locator("#prompt")
        self.transcript = page.get_by_role("log")
        self.answer = self.transcript.locator("[data-answer]").last
        self.state = self.transcript.locator("[data-state]:not(section)").last
        self.error = self.transcript.locator("[data-error]").last
        self.field_error = page.locator("[data-field-error]")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def ask(self, prompt: str = "What is love?", model: str = "poem") -> None:
        self.page.locator("#model").select_option(model)
        self.prompt.fill(prompt)
        self.prompt.press("Enter")

    def begins(self, words: str = "東邊") -> None:
        expect(self.answer).to_contain_text(words, timeout=WAIT_MS)

    def is_done(self, text: str = POEM) -> None:
        expect(self.state).to_contain_text("Done", timeout=WAIT_MS)
        assert self.answer.text_content() == text

    def press_enter(self, **more: object) -> None:
        """Press Enter as an input method does, which no driver can."""
        init = {"key": "Enter", "bubbles": True, "cancelable": True, **more}
        self.prompt.evaluate("(field, init) => field.dispatchEvent(new KeyboardEvent('keydown', init))", init)

    def waits_for(self, fact: str) -> None:
        """Wait until an expression is true; Playwright's own waiting would need eval, which the CSP forbids."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(fact):
            assert time.monotonic() < deadline, fact
            self.page.wait_for_timeout(20)

    def gap(self) -> float:
        """Measure how far the end of the page lies below the window."""
        gap: float = self.page.evaluate("document.body.scrollHeight - scrollY - innerHeight")
        return gap

    def faults(self) -> list[str]:
        """Ask axe-core; the script goes in through the debugger, since the page lets none in."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{fault['id']}: {node['html']}" for fault in found["violations"] for node in fault["nodes"]]


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


@pytest.fixture
def open_chat(browser: Browser) -> Iterator[Open]:
    """Open the chat page in a context of its own; in the end no console may hold a complaint, the CSP's neither."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            said.append(message.text)

    def open_page(server: Server, locale: str = "en-US", **options: object) -> Chat:
        context = browser.new_context(locale=locale, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.url)
        return Chat(page)

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def test_the_answer_types_itself_and_tells_how_fast(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("What is love?")
    chat.begins()
    assert POEM.startswith(chat.answer.text_content() or "?")
    expect(chat.state).to_have_text("Writing…")
    chat.is_done()
    expect(chat.state).to_have_text(re.compile(r"Done · first word after [\d.]+ s · [\d.]+ tokens/s"))
    expect(chat.page.get_by_role("status")).to_contain_text("Done")


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


def test_a_refusal_says_when_to_come_again(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    problem = json.dumps({"title": "Too Many Requests", "status": 429, "detail": "x"})
    headers = {"Retry-After": "7", "Content-Type": "application/problem+json"}
    chat.page.route("**/stream", lambda route: route.fulfill(status=429, headers=headers, body=problem))
    chat.ask()
    expect(chat.error).to_contain_text("Too many questions at once. Please try again in 7 s.")
    chat.page.unroute("**/stream")
    chat.button("Retry").click()
    chat.is_done()


def test_a_question_that_the_server_finds_wrong_comes_back_to_its_field(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.page.locator("[data-composer]").evaluate("form => { form.elements.model.options[0].value = 'gone' }")
    chat.ask("What is love?", model="gone")
    expect(chat.field_error).to_contain_text("no such model")
    expect(chat.prompt).to_have_value("What is love?")
    expect(chat.transcript.get_by_role("article")).to_have_count(0)


def test_without_a_network_the_page_says_that(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.context.set_offline(True)
    chat.ask()
    expect(chat.error).to_contain_text("You are offline.")
    chat.page.context.set_offline(False)
    chat.button("Retry").click()
    chat.is_done()


@pytest.mark.parametrize("end", [{"chars": 3}, {"chars": 2, "sha256": "00"}])
def test_a_text_with_a_gap_is_not_called_whole(open_chat: Open, server: Server, end: dict[str, object]) -> None:
    chat = open_chat(server)
    done = json.dumps({"state": "complete", "finish_reason": "stop", **end})
    body = f'data: {{"content": "ab"}}\n\nevent: done\ndata: {done}\n\n'
    chat.page.route("**/stream", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    chat.ask()
    expect(chat.error).to_contain_text("this is not the whole answer")


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
    expect(chat.page.get_by_text("Your browser's own Stop button ends it.")).to_be_visible()
    assert chat.prompt.count() == 0
    expect(chat.prompt).to_be_visible(timeout=WAIT_MS)
    assert chat.answer.text_content() == POEM
    expect(chat.page.get_by_text("Your browser's own Stop button ends it.")).to_be_hidden()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_no_fault(open_chat: Open, server: Server, color_scheme: str, locale: str) -> None:
    chat = open_chat(server, locale, color_scheme=color_scheme, reduced_motion="reduce")
    assert chat.faults() == []
    chat.ask()
    expect(chat.answer).to_have_text(re.compile("絕期"))
    chat.page.route("**/stream", lambda route: route.abort())
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
