"""A conversation on paper: what was said, and nothing that can only be pressed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.chat_page import Open
from tests.servers import Server

pytestmark = pytest.mark.browser

TEXT = (
    "A [link](https://example.com/far?a=b).\n\n```\n"
    + "long " * 200
    + "\n```\n\n| a | b |\n|---|---|\n| "
    + "x" * 300
    + " | y |"
)
BACKGROUND = "getComputedStyle(document.documentElement).getPropertyValue('--ground').trim()"
PRESSED = "button, textarea, select, nav a, .sidebar, .toast"


def said(role: str, parent: str | None, **more: str) -> dict[str, Any]:
    return {"id": role, "role": role, "parent": parent, "model": "poem", "state": "complete", **more}


def test_a_conversation_prints_as_a_calm_document(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, color_scheme="dark", viewport={"width": 700, "height": 900})
    messages = [said("user", None, content="Why?"), said("assistant", "user", content=TEXT, reasoning="Hm.")]
    document = {"title": "A title", "messages": messages}
    made = chat.page.request.post(f"{server.url}/api/conversations/import", data=document).json()
    chat.page.goto(f"{server.url}/c/{made['id']}")
    expect(chat.transcript.locator("pre")).to_be_visible()
    chat.page.emulate_media(media="print", color_scheme="dark")
    assert [each for each in chat.page.locator(PRESSED).all() if each.is_visible()] == []
    expect(chat.page.get_by_role("heading", name="A title")).to_be_in_viewport()
    expect(chat.transcript.get_by_text("Hm.")).to_be_hidden()
    assert chat.page.evaluate(BACKGROUND) == "white"
    link = chat.page.get_by_role("link", name="link")
    assert "https://example.com/far?a=b" in link.evaluate("link => getComputedStyle(link, '::after').content")
    for wide in ("pre", "pre code", ".table", "table"):
        box = chat.transcript.locator(wide).first
        assert box.evaluate("box => box.scrollWidth <= document.documentElement.clientWidth"), wide
    chat.transcript.get_by_text("Reasoning").evaluate("summary => summary.parentElement.open = true")
    expect(chat.transcript.get_by_text("Hm.")).to_be_visible()
