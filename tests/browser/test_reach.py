"""Every page by keyboard, on any screen: nothing is cut or covered, and Tab goes the way one reads."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.chat_page import Chat, Open
from tests.servers import Server

pytestmark = pytest.mark.browser

REACHED = "a[href], button, input, select, textarea, summary"
COVERED = """reached => [...document.querySelectorAll(reached)].filter(element => {
    if (!element.checkVisibility({visibilityProperty: true}) || element.matches('.visually-hidden')) return false;
    element.focus();
    const {left, top, width, height} = element.getClientRects()[0];
    const [x, y] = [left + width / 2, top + height / 2];
    const there = document.elementFromPoint(x, y);
    return !there || !(element.contains(there) || there.contains(element) || there.closest('label')?.contains(element));
}).map((element) => element.outerHTML)"""
HELD = "document.activeElement.id || Object.keys(document.activeElement.dataset)[0]"


def exported() -> dict[str, Any]:
    """Make a conversation that fills more than any window, as an export has it."""
    messages = [
        {"id": str(at), "parent": str(at - 1) if at else None, "content": f"{at}: {'word ' * 60}"} for at in range(8)
    ]
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        question |= {"role": "user"}
        answer |= {"role": "assistant", "model": "poem", "state": "stopped"}
    return {"title": "Words", "messages": messages}


def addresses(chat: Chat, server: Server) -> list[str]:
    """List every kind of page."""
    api = f"{server.url}/api/conversations"
    conversation = chat.page.request.post(f"{api}/import", data=exported()).json()["id"]
    link = chat.page.request.post(f"{api}/{conversation}/share", data={}).json()["path"]
    prompt = chat.page.request.get(f"{api}/{conversation}").json()["messages"][2]["id"]
    edit = f"/c/{conversation}?edit={prompt}"
    return ["/", f"/c/{conversation}", edit, link, "/conversations", "/playground", "/login", "/no/such/page"]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (320, 256)])  # 200 % of 1280, a phone, 400 %
def test_no_page_is_cut_and_nothing_with_the_focus_is_covered(
    open_chat: Open, server: Server, width: int, height: int
) -> None:
    chat = open_chat(server, viewport={"width": width, "height": height}, reduced_motion="reduce")
    for address in addresses(chat, server):
        chat.page.goto(server.url + address)
        assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert chat.page.evaluate(COVERED, REACHED) == [], address


def test_tab_goes_the_way_one_reads(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.ask("first")
    chat.is_done()
    expect(chat.prompt).to_be_focused()
    way = []
    for _ in range(6):
        chat.page.keyboard.press("Tab")
        way.append(chat.page.evaluate(HELD))
    assert way == ["attach", "model", "settingsOpen", "restart", "send", "keysOpen"]
    chat.prompt.focus()
    for held in ("again", "copyAnswer", "copyQuestion", "edit"):
        chat.page.keyboard.press("Shift+Tab")
        assert chat.page.evaluate(HELD) == held
    chat.page.get_by_role("link", name="Skip to the content").press("Enter")
    chat.page.keyboard.press("Tab")
    assert chat.page.evaluate(HELD) == "edit"
