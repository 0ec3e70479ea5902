"""The chat page as a person uses it, for tests in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from relay.poem import POEM

RAW = "element => element.rendering ? element.rendering.text : element.textContent"
AXE = (Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
WAIT_MS = 40_000
SHOWN = "[...document.querySelectorAll('[data-transcript] [data-answer]')].at(-1).textContent.replace(/\\s/g, '')"

Open = Callable[..., "Chat"]


def squeezed(text: str) -> str:
    """Leave the blanks out: where lines end in the page is the page's affair."""
    return "".join(text.split())


class Chat:
    """One tab with the page, whose parts stand in it when they are asked for."""

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
        expect(self.answer).to_contain_text(words)

    def is_done(self, text: str = POEM) -> None:
        expect(self.state).to_contain_text("Done")
        assert self.text() == text
        self.waits_for(f"squeezed => {SHOWN} === squeezed", squeezed(text))

    def text(self) -> str:
        """Give the answer as the page has it, character by character: what it copies, and what it goes on from."""
        text: str = self.answer.evaluate(RAW)
        return text

    def press_enter(self, **more: object) -> None:
        """Press Enter as an input method does, which no driver can."""
        init = {"key": "Enter", "bubbles": True, "cancelable": True, **more}
        self.prompt.evaluate("(field, init) => field.dispatchEvent(new KeyboardEvent('keydown', init))", init)

    def waits_for(self, fact: str, value: object = None) -> None:
        """Wait until an expression is true; Playwright's own waiting would need eval, which the CSP forbids."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(fact, value):
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
