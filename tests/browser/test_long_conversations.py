"""Conversations and answers that are long, in a real browser: the end comes first, and the reader's place is kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.chat_page import Chat, Open
from tests.servers import Server
from tests.waiting import until
from web.exchanges import MOST

pytestmark = pytest.mark.browser

COUNT = MOST + 10
WINDOW = {"width": 1000, "height": 700}
IMPORT = """async messages => {
    const headers = { 'Content-Type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify({ messages }) };
    return (await (await fetch('/api/conversations/import', init)).json()).id;
}"""
SET = "[...document.querySelectorAll('[data-answer]')].every(e => e.querySelector('.prose__plain')?.textContent === '')"
NOTE = """() => {
    const places = [0.5, 0.55, 0.6, 0.65].map(part => document.caretPositionFromPoint(innerWidth * part, 80));
    const { offsetNode, offset } = places.find(({ offsetNode }) => !offsetNode.parentElement.matches('[data-math]'));
    window.line = document.createRange();
    line.setStart(offsetNode, offset);
    line.setEnd(offsetNode, offset + 1);
    return line.getBoundingClientRect().top;
}"""
STILL = """() => new Promise(resolve => {
    const before = scrollY;
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(scrollY === before)));
})"""
# Its lines break elsewhere once these are set: the browser alone would have moved it by a line.
PARAGRAPH = (
    " ".join(
        "words and more " * (number + 5) + f"$\\frac{{\\mathrm{{first}} + \\mathrm{{second}}}}{{x_{{{number}}}}}$"
        for number in range(1, 10)
    )
    + " and so on" * 60
)
LEAST = """() => {
    window.least = Infinity;
    const look = () => {
        least = Math.min(least, document.body.scrollHeight);
        requestAnimationFrame(look);
    };
    look();
}"""


def brought(chat: Chat, *answers: str) -> str:
    """Bring a conversation with these answers in, and give its address."""
    messages: list[dict[str, str | None]] = []
    for number, answer in enumerate(answers):
        before = f"a{number - 1}" if number else None
        messages.append({"id": f"q{number}", "parent": before, "role": "user", "content": f"Question {number}"})
        more = {"model": "poem", "state": "complete"}
        messages.append({"id": f"a{number}", "parent": f"q{number}", "role": "assistant", "content": answer, **more})
    return f"/c/{chat.page.evaluate(IMPORT, messages)}"


def open_long(chat: Chat, server: Server) -> str:
    address = server.url + brought(chat, *(f"Answer {number}\n\n- one\n- two" for number in range(COUNT)))
    chat.page.goto(address)
    expect(questions(chat)).to_have_count(MOST)
    return address


def questions(chat: Chat) -> Locator:
    return chat.transcript.locator("[data-question]")


def to_the_top(chat: Chat) -> None:
    """Turn the wheel until there is no more above; what is laid out on the way may make it longer."""
    chat.page.mouse.move(500, 300)

    def is_there() -> bool:
        chat.page.mouse.wheel(0, -100_000)
        return bool(chat.page.evaluate("scrollY === 0"))

    until(is_there, "the top of the page")


def held_back(chat: Chat, address: str) -> list[Route]:
    """Have what the page asks for at an address wait; whoever goes on with a route lets it come."""
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    chat.page.route(address, hold)
    return waiting


def test_a_long_conversation_opens_at_its_end_and_earlier_messages_come_when_asked_for(
    open_chat: Open, server: Server
) -> None:
    chat = open_chat(server, viewport=WINDOW)
    open_long(chat, server)
    expect(questions(chat).first).to_have_text(f"Question {COUNT - MOST}")
    first = chat.transcript.locator("[data-exchange]").first.element_handle()
    chat.waits_for(f"{SET} && scrollY > 0")
    to_the_top(chat)
    place = first.evaluate("element => element.getBoundingClientRect().top")
    chat.page.get_by_role("link", name="Earlier messages").click()
    expect(questions(chat)).to_have_count(COUNT)
    expect(questions(chat).first).to_have_text("Question 0")
    expect(chat.page.get_by_role("link", name="Earlier messages")).to_be_hidden()
    expect(chat.page.get_by_role("log")).to_be_focused()
    chat.waits_for(SET)
    assert abs(first.evaluate("element => element.getBoundingClientRect().top") - place) < 8


def test_the_first_question_that_is_shown_is_asked_again_in_its_place(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport=WINDOW)
    open_long(chat, server)
    chat.transcript.get_by_role("button", name="Edit").first.click()
    chat.page.get_by_role("textbox", name="The question, changed").fill("another")
    chat.page.get_by_role("textbox", name="The question, changed").press("Enter")
    chat.is_done()
    chat.page.reload()
    expect(questions(chat)).to_have_text([*(f"Question {number}" for number in range(COUNT - MOST)), "another"])


def test_what_another_tab_asks_comes_behind_what_is_shown(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport=WINDOW)
    address = open_long(chat, server)
    other = Chat(chat.page.context.new_page())
    other.page.goto(address)
    other.ask("one more")
    other.is_done()
    expect(questions(chat)).to_have_count(MOST + 1)
    expect(questions(chat).first).to_have_text(f"Question {COUNT - MOST}")
    expect(questions(chat).last).to_have_text("one more")


def test_without_javascript_earlier_messages_are_a_link(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    address = open_long(chat, server)
    state = chat.page.context.storage_state()
    plain = open_chat(server, java_script_enabled=False, storage_state=state)
    plain.page.goto(address)
    expect(questions(plain)).to_have_count(MOST)
    plain.page.get_by_role("link", name="Earlier messages").click()
    expect(questions(plain)).to_have_count(COUNT)
    expect(plain.page.locator(":target [data-question]")).to_have_text(f"Question {COUNT - MOST}")


def test_formulas_that_are_set_late_move_no_line_of_their_paragraph(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport=WINDOW)
    waiting = held_back(chat, "**/katex.js*")
    chat.page.goto(server.url + brought(chat, PARAGRAPH))
    chat.waits_for("document.querySelectorAll('.prose code[data-math]').length === 9 && scrollY > 300")
    chat.page.mouse.move(500, 300)
    chat.page.mouse.wheel(0, -300)
    expect(chat.button("To the end")).to_be_visible()
    chat.waits_for(STILL)
    place = chat.page.evaluate(NOTE)
    waiting[0].continue_()
    expect(chat.answer.locator(".formula")).to_have_count(9)
    chat.waits_for(STILL)
    assert abs(chat.page.evaluate("line.getBoundingClientRect().top") - place) < 2


def test_a_long_answer_is_as_high_as_before_while_it_is_set(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport=WINDOW)
    address = server.url + brought(chat, "A line of **words** that is not very long.\n\n" * 1500)
    waiting = held_back(chat, "**/marked.js*")
    chat.page.goto(address)
    chat.waits_for("scrollY > 0")
    height = chat.page.evaluate("document.body.scrollHeight")
    chat.page.evaluate(LEAST)
    waiting[0].continue_()
    chat.waits_for(SET)
    assert chat.text().count("**words**") == 1500
    assert chat.transcript.locator("strong").count() == 1500
    assert chat.page.evaluate("least") > height / 2
