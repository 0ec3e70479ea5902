"""The page with the embedded model, as a person meets it after `make run`; the README's picture comes from here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import ROOT, Server

pytestmark = pytest.mark.browser

WAIT_MS = 60_000


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server with the embedded model."""
    with Server(tmp_path_factory.mktemp("chatting"), workers=2, TALKABOUT_EMBEDDED_MODEL="on") as server:
        yield server


@pytest.fixture
def page(browser: Browser, chatting: Server) -> Iterator[Page]:
    """Open the chat page, with the model that is chosen there by itself."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, device_scale_factor=1.5, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(chatting.url)
    yield page
    context.close()


def test_the_models_answer_types_itself_to_its_end(page: Page) -> None:
    page.get_by_role("textbox").fill("Explain in three short paragraphs how rain is made.")
    page.keyboard.press("Enter")
    state = page.get_by_role("log").locator("[data-state]:not(section)").last
    expect(state).to_contain_text(re.compile("Writing|Done"), timeout=WAIT_MS)
    words = page.get_by_role("log").locator("[data-answer]").last
    while len(words.text_content() or "") < 400 and "Done" not in (state.text_content() or ""):
        page.wait_for_timeout(50)  # a model may say less than that
    page.screenshot(path=ROOT / "test-results" / "chat.png")
    expect(state).to_contain_text("Done", timeout=WAIT_MS)


def test_stop_makes_the_model_stop_writing(page: Page, chatting: Server) -> None:
    page.get_by_role("textbox").fill("Write a long story about the sea, with many chapters.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log").locator("[data-answer]").last).to_contain_text(" ", timeout=WAIT_MS)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("log").locator("[data-state]:not(section)").last).to_contain_text("Stopped")
    chatting.wait_until_the_model_rests()
