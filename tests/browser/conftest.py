"""A real Chromium; without one these tests fail, they are never skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, expect, sync_playwright

from tests.chat_page import WAIT_MS, Chat, Open
from tests.servers import Server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium, once for all tests."""
    chromium = shutil.which("chromium")
    assert chromium, "expected chromium on the PATH; `make setup` installs it"
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


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
