"""The conversations beside the transcript in a real browser: in this tab, and live in the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from relay.poem import POEM
from tests.chat_page import WAIT_MS, Chat, Open, squeezed
from tests.servers import Server

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}
CONVERSATION = re.compile(r"/c/[0-9a-f-]{36}$")
HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => hidden ? 'hidden' : 'visible'});
    document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
}"""
ABOVE_FOCUS = """() => document.querySelector('.masthead').getBoundingClientRect().bottom
    <= document.activeElement.getBoundingClientRect().top"""
TOO_SMALL = """elements => elements.filter(e => e.checkVisibility()).map(e => [e.outerHTML, e.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 43.5).map(([html]) => html)"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run two workers that take their time, so that an answer can be seen in its middle, and from either."""
    with Server(tmp_path_factory.mktemp("slow"), workers=2, TALKABOUT_POEM_DELAY_MS="25") as running:
        yield running


class Listed:
    """The list of one tab."""

    def __init__(self, chat: Chat) -> None:
        self.chat, self.page = chat, chat.page
        self.root = chat.page.locator("[data-sidebar]")
        self.titles = self.root.locator("[data-item] a.conversation__link:visible")
        self.search = self.root.get_by_role("searchbox")
        self.said = self.root.locator(".sidebar__foot").get_by_role("status")
        self.problem = self.root.get_by_role("alert")
        self.undo = self.root.get_by_role("button", name="Undo")

    def group(self, name: str) -> Locator:
        return self.root.get_by_role("region", name=name).locator(".conversation__link")

    def menu_button(self, title: str) -> Locator:
        return self.root.get_by_role("button", name=f"What to do with “{title}”")

    def wait_for_its_script(self) -> None:
        self.root.locator("[data-import]:not([hidden])").wait_for(state="attached")

    def bring(self, file: bytes) -> None:
        """Import a file."""
        self.wait_for_its_script()
        self.root.locator("input[type=file]").set_input_files(upload(file))

    def choose(self, title: str, action: str) -> None:
        """Choose from a conversation's menu, by the keyboard alone, once there is a script that opens it."""
        self.wait_for_its_script()
        self.menu_button(title).focus()
        self.page.keyboard.press("Enter")
        item = self.page.get_by_role("menuitem", name=action, exact=True)
        expect(self.page.get_by_role("menuitem").first).to_be_focused()
        while not item.evaluate("item => item === document.activeElement"):
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")


def post(page: Page, path: str, **values: Any) -> Any:
    """Ask the API as this browser's user."""
    answer = page.request.post(f"{origin(page)}{path}", data=values)
    assert answer.ok, answer.text()
    return answer.json()


def origin(page: Page) -> str:
    found: str = page.evaluate("location.origin")
    return found


def titled(open_chat: Open, server: Server, *titles: str, **options: Any) -> Listed:
    """Open a new conversation beside those with some titles, the last one on top."""
    chat = open_chat(server, **options)
    for title in titles:
        post(chat.page, "/api/conversations", title=title)
    chat.page.reload()
    return Listed(chat)


def second_tab(chat: Chat, address: str = "") -> Chat:
    page = chat.page.context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address or chat.page.url)
    return Chat(page)


def asked(open_chat: Open, server: Server, prompt: str = "first") -> Chat:
    chat = open_chat(server)
    chat.ask(prompt)
    chat.is_done()
    return chat


def test_a_first_question_puts_its_conversation_on_top_and_marks_it(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "older")
    listed.chat.ask("What is love?")
    listed.chat.is_done()
    expect(listed.group("Today")).to_have_text(["What is love?", "older"])
    expect(listed.titles.first).to_have_attribute("aria-current", "page")
    expect(listed.page).to_have_title("What is love? · talkabout")
    assert listed.page.url.endswith(listed.titles.first.get_attribute("href") or "?")


def test_conversations_are_links_and_back_leads_back(open_chat: Open, server: Server) -> None:
    chat = asked(open_chat, server, "first")
    address = chat.page.url
    chat.page.get_by_role("link", name="New conversation").click()
    expect(chat.page).to_have_url(f"{server.url}/")
    Listed(chat).titles.first.click()
    expect(chat.page).to_have_url(address)
    assert chat.text() == POEM
    chat.page.go_back()
    expect(chat.page).to_have_url(f"{server.url}/")


def test_an_empty_list_says_what_will_be_in_it(open_chat: Open, server: Server) -> None:
    listed = Listed(open_chat(server))
    expect(listed.root.get_by_text("What you ask is kept here")).to_be_visible()
    post(listed.page, "/api/conversations", title="one")
    expect(listed.titles).to_have_text(["one"])
    expect(listed.root.get_by_text("What you ask is kept here")).to_be_hidden()


def test_a_conversation_is_renamed_in_its_place_and_every_tab_follows(open_chat: Open, server: Server) -> None:
    listed = Listed(asked(open_chat, server, "first"))
    other = Listed(second_tab(listed.chat))
    listed.choose("first", "Rename")
    field = listed.root.get_by_role("textbox", name="New title")
    expect(field).to_be_focused()
    expect(field).to_have_value("first")
    field.fill("What love is")
    field.press("Enter")
    expect(listed.said).to_have_text("Renamed to “What love is”.")
    for tab in (listed, other):
        expect(tab.titles).to_have_text(["What love is"])
        expect(tab.page).to_have_title("What love is · talkabout")
    expect(listed.titles.first).to_be_focused()


def test_escape_keeps_the_old_title_and_stops_no_answer(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.begins()
    listed = Listed(chat)
    listed.choose("first", "Rename")
    field = listed.root.get_by_role("textbox", name="New title")
    field.fill("second")
    field.press("Escape")
    expect(listed.titles).to_have_text(["first"])
    listed.menu_button("first").press("Enter")
    listed.page.keyboard.press("Escape")
    expect(listed.page.get_by_role("menu")).to_be_hidden()
    expect(listed.menu_button("first")).to_be_focused()
    chat.is_done()


def test_what_is_pinned_stands_first_in_every_tab_and_after_a_reload(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one", "two", "three")
    other = Listed(second_tab(listed.chat))
    listed.choose("two", "Pin")
    expect(listed.said).to_have_text("“two” is pinned.")
    for tab in (listed, other):
        expect(tab.group("Pinned")).to_have_text(["two"])
        expect(tab.titles).to_have_text(["two", "three", "one"])
    listed.page.reload()
    expect(listed.titles).to_have_text(["two", "three", "one"])
    listed.choose("two", "Unpin")
    for tab in (listed, other):
        expect(tab.titles).to_have_text(["three", "two", "one"])


def test_the_menu_is_walked_through_with_the_keyboard(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one")
    button = listed.menu_button("one")
    button.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    for key, name in (("End", "Delete"), ("ArrowDown", "Rename"), ("ArrowUp", "Delete"), ("Home", "Rename")):
        listed.page.keyboard.press(key)
        expect(listed.page.get_by_role("menuitem", name=name)).to_be_focused()
    button.click()
    expect(listed.page.get_by_role("menu")).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")


def test_a_delete_is_undone_by_the_key_at_hand(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one", "two")
    other = Listed(second_tab(listed.chat))
    listed.choose("two", "Delete")
    for tab in (listed, other):
        expect(tab.titles).to_have_text(["one"])
    expect(listed.root.get_by_text("“two” is deleted.")).to_be_visible()
    expect(listed.undo).to_be_focused()
    listed.page.keyboard.press("Enter")
    for tab in (listed, other):
        expect(tab.titles).to_have_text(["two", "one"])
    expect(listed.titles.first).to_be_focused()
    expect(listed.undo).to_have_count(0)


def test_the_way_back_from_a_delete_stays_for_a_while_and_longer_for_who_is_at_it(
    open_chat: Open, server: Server
) -> None:
    listed = titled(open_chat, server, "one", "two")
    listed.page.clock.install()
    listed.choose("two", "Delete")
    expect(listed.undo).to_be_focused()
    listed.page.clock.run_for(60_000)
    expect(listed.undo).to_be_focused()
    listed.chat.prompt.focus()
    listed.page.clock.run_for(15_000)
    expect(listed.undo).to_be_visible()
    listed.page.clock.run_for(10_000)
    expect(listed.undo).to_have_count(0)


def test_a_page_whose_conversation_is_deleted_elsewhere_says_so_and_can_bring_it_back(
    open_chat: Open, server: Server
) -> None:
    chat = asked(open_chat, server, "first")
    elsewhere = Listed(second_tab(chat, server.url))
    elsewhere.choose("first", "Delete")
    expect(chat.page.get_by_text("This conversation has been deleted.")).to_be_visible()
    expect(chat.prompt).to_be_hidden()
    assert chat.text() == POEM
    chat.button("Bring it back").click()
    expect(chat.prompt).to_be_focused()
    expect(elsewhere.titles).to_have_text(["first"])
    chat.ask("second")
    chat.is_done()


def test_search_finds_titles_and_texts_while_one_types(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "about rain", "about snow")
    listed.chat.ask("What falls?")
    listed.chat.is_done()
    listed.search.type("about")
    expect(listed.group("Found")).to_have_text(["about snow", "about rain"])
    expect(listed.said).to_have_text("2 found")
    listed.search.fill("絕期")
    expect(listed.group("Found")).to_have_text(["What falls?"])
    listed.search.fill("no such thing")
    expect(listed.titles).to_have_count(0)
    expect(listed.root.get_by_text("Nothing has “no such thing” in it.").first).to_be_visible()
    listed.search.press("Escape")
    expect(listed.titles).to_have_text(["What falls?", "about snow", "about rain"])
    expect(listed.search).to_have_value("")


def test_the_newest_words_win_whatever_the_network_does(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "about rain", "about snow")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    listed.page.route("**/api/conversations?q=about", hold, times=1)
    listed.search.fill("about")
    while not held:
        listed.page.wait_for_timeout(20)
    listed.search.fill("snow")
    expect(listed.group("Found")).to_have_text(["about snow"])
    held[0].continue_()
    listed.page.request.get(f"{server.url}/api/conversations?q=about")  # as long as the held one takes
    expect(listed.group("Found")).to_have_text(["about snow"])


def test_what_is_found_follows_its_changes(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "rain", "snow")
    listed.search.fill("rain")
    expect(listed.group("Found")).to_have_text(["rain"])
    listed.choose("rain", "Delete")
    expect(listed.titles).to_have_count(0)
    listed.page.keyboard.press("Enter")
    listed.search.fill("")
    expect(listed.titles).to_have_text(["snow", "rain"])


def test_more_of_a_long_list_is_loaded_on_demand(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, *(f"number {n}" for n in range(55)))
    expect(listed.titles).to_have_count(50)
    listed.root.get_by_role("link", name="Show more").click()
    expect(listed.titles).to_have_count(55)
    expect(listed.titles.last).to_have_text("number 0")
    expect(listed.root.get_by_role("link", name="Show more")).to_be_hidden()


def test_an_export_comes_in_again_as_a_new_conversation(open_chat: Open, server: Server) -> None:
    chat = asked(open_chat, server, "first")
    listed, address = Listed(chat), chat.page.url
    with chat.page.expect_download() as download:
        listed.choose("first", "Export as JSON")
    file = chat.page.request.get(download.value.url).body()
    assert json.loads(file)["title"] == "first"
    listed.bring(file)
    expect(listed.titles).to_have_text(["first", "first"])
    expect(chat.page).not_to_have_url(address)
    assert chat.text() == POEM


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"no JSON", "This file is not JSON."),
        (b'{"title": "x"}', "not a conversation that was exported here: The field messages"),
    ],
)
def test_a_file_that_is_no_export_is_refused_in_words(open_chat: Open, server: Server, file: bytes, words: str) -> None:
    listed = Listed(open_chat(server))
    listed.bring(file)
    expect(listed.problem).to_contain_text(words)


def upload(file: bytes) -> FilePayload:
    return {"name": "conversation.json", "mimeType": "application/json", "buffer": file}


def test_a_shared_link_shows_it_to_a_stranger_until_it_is_revoked(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, permissions=["clipboard-read", "clipboard-write"])
    chat.ask("first")
    chat.is_done()
    listed, stranger = Listed(chat), open_chat(server)
    listed.choose("first", "Share")
    dialog = chat.page.get_by_role("dialog", name="Share this conversation")
    expect(dialog.get_by_role("status")).to_have_text("The link is copied.")
    link = dialog.get_by_label("Link").input_value()
    assert chat.page.evaluate("navigator.clipboard.readText()") == link
    assert chat.faults() == []
    chat.page.keyboard.press("Escape")
    stranger.page.goto(link)
    expect(stranger.page.locator("[data-answer] p").first).to_be_visible()  # as Markdown
    assert squeezed(stranger.page.locator("[data-answer]").inner_text()) == squeezed(POEM)
    listed.choose("first", "Share")
    expect(dialog.get_by_label("Link")).to_have_value(link)
    dialog.get_by_role("button", name="Revoke the link").click()
    expect(dialog).to_be_hidden()
    expect(listed.said).to_have_text("The link leads nowhere any more.")
    assert (gone := stranger.page.goto(link)) and gone.status == 404


def test_what_has_no_answer_yet_cannot_be_shared(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "empty")
    listed.choose("empty", "Share")
    expect(listed.problem).to_have_text("There is no answer to share yet.")


def test_markdown_is_exported_by_a_link(open_chat: Open, server: Server) -> None:
    listed = Listed(asked(open_chat, server, "first"))
    with listed.page.expect_download() as download:
        listed.choose("first", "Export as Markdown")
    assert "# first" in Path(download.value.path()).read_text(encoding="utf-8")


def test_a_question_asked_in_another_tab_streams_into_this_one(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.is_done()
    other = second_tab(chat)
    other.ask("second")
    chat.begins()
    expect(chat.transcript.locator("[data-question]")).to_have_text(["first", "second"])
    expect(chat.button("Stop")).to_be_visible()
    for tab in (chat, other):
        tab.is_done()
        expect(tab.transcript.get_by_role("article")).to_have_count(4)


def test_a_question_typed_while_another_tab_s_answer_runs_is_asked_after_it(open_chat: Open, slow: Server) -> None:
    chat = asked(open_chat, slow)
    second = second_tab(chat)
    second.ask("second")
    chat.begins()
    expect(chat.transcript.locator("[data-question]")).to_have_count(2)
    chat.ask("third")
    expect(chat.page.locator("[data-queued]")).to_have_text("third")
    for tab in (chat, second):
        expect(tab.transcript.locator("[data-question]")).to_have_text(["first", "second", "third"])


def test_an_answer_continued_in_another_tab_goes_on_here_too(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.begins()
    chat.page.keyboard.press("Escape")
    expect(chat.state).to_have_text("Stopped")
    other = second_tab(chat)
    other.button("Continue").click()
    for tab in (chat, other):
        tab.is_done()
        expect(tab.transcript.get_by_role("article")).to_have_count(2)


def test_an_answer_regenerated_in_another_tab_is_shown_here_with_the_way_to_the_old_one(
    open_chat: Open, server: Server
) -> None:
    chat = asked(open_chat, server, "first")
    other = second_tab(chat)
    other.button("Restart").click()
    expect(chat.transcript.get_by_text("2/2")).to_be_visible()
    chat.is_done()
    expect(chat.transcript.get_by_role("article")).to_have_count(2)


def test_what_is_asked_or_opened_here_is_not_fetched_again(open_chat: Open, server: Server) -> None:
    chat = asked(open_chat, server, "first")
    listed, pages = Listed(chat), []
    chat.page.reload()
    chat.page.on("request", lambda request: pages.append(request.url) if CONVERSATION.search(request.url) else None)
    chat.ask("second")
    chat.is_done()
    post(chat.page, "/api/conversations", title="comes behind it on the channel")
    expect(listed.titles).to_have_count(2)
    assert pages == []


def test_what_is_asked_elsewhere_while_the_page_opens_is_not_missed(open_chat: Open, server: Server) -> None:
    chat = asked(open_chat, server, "first")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    chat.page.route("**/sse/connect/**", hold, times=1)
    chat.page.reload()
    while not held:
        chat.page.wait_for_timeout(20)
    post(chat.page, "/api/answers", prompt="second", model="poem", conversation=chat.page.url[-36:])
    held[0].continue_()
    expect(chat.transcript.locator("[data-question]")).to_have_text(["first", "second"])
    chat.is_done()


def test_the_readers_place_is_kept_when_another_tab_asks(open_chat: Open, server: Server) -> None:
    chat = asked(open_chat, server, "first")
    chat.page.set_viewport_size({"width": 1100, "height": 420})
    chat.page.mouse.move(700, 200)
    chat.page.mouse.wheel(0, -2000)
    chat.waits_for("scrollY === 0")
    second_tab(chat).ask("second")
    expect(chat.transcript.get_by_role("article")).to_have_count(4)
    chat.is_done()
    assert chat.page.evaluate("scrollY") == 0
    expect(chat.button("To the end")).to_be_visible()


def test_a_hidden_tab_hangs_up_and_catches_up_when_it_is_seen(open_chat: Open, server: Server) -> None:
    listed = Listed(asked(open_chat, server, "first"))
    expect(listed.titles).to_have_text(["first"])
    with listed.page.expect_event("requestfailed", lambda request: "/sse/connect/" in request.url):
        listed.page.evaluate(HIDE, True)
    other = second_tab(listed.chat)
    other.ask("second")
    other.is_done()
    post(other.page, "/api/conversations", title="new")
    expect(listed.titles).to_have_text(["first"])
    with listed.page.expect_request(lambda request: "/sse/connect/" in request.url) as resumed:
        listed.page.evaluate(HIDE, False)
    assert resumed.value.headers["last-event-id"]
    expect(listed.titles).to_have_text(["new", "first"])
    expect(listed.chat.transcript.locator("[data-question]")).to_have_text(["first", "second"])


def test_a_restarted_server_brings_what_was_missed(open_chat: Open, tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        listed = titled(open_chat, server, "one")
        server.stop()
        server.start()
        post(listed.page, "/api/conversations", title="two")
        listed.page.evaluate("dispatchEvent(new Event('online'))")  # the next try need not be waited for
        expect(listed.titles).to_have_text(["two", "one"])


def test_what_failed_is_said_and_changes_nothing(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one")
    listed.wait_for_its_script()
    listed.page.context.set_offline(True)
    listed.choose("one", "Delete")
    expect(listed.problem).to_have_text("The server cannot be reached, so nothing has changed.")
    expect(listed.titles).to_have_text(["one"])
    listed.search.fill("nothing")
    expect(listed.problem).to_have_text("The server cannot be reached, so nothing has changed.")
    listed.page.context.set_offline(False)
    listed.search.press("Enter")
    expect(listed.titles).to_have_count(0)


def test_what_was_deleted_while_its_menu_was_open_cannot_be_renamed(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one")
    made = post(listed.page, "/api/conversations")["id"]
    listed.menu_button("Untitled").focus()
    listed.page.keyboard.press("Enter")
    rename = listed.page.get_by_role("menuitem", name="Rename")
    expect(rename).to_be_focused()
    listed.page.evaluate("id => window.deleted = document.querySelector(`[data-item='${id}']`)", made)
    listed.page.request.delete(f"{server.url}/api/conversations/{made}")
    expect(listed.titles).to_have_text(["one"])
    listed.page.evaluate("deleted.querySelector('[data-action=rename]').click()")
    post(listed.page, "/api/conversations", title="after it")
    expect(listed.titles).to_have_text(["after it", "one"])


def test_who_comes_too_late_to_undo_is_told_so(open_chat: Open, tmp_path: Path) -> None:
    with Server(tmp_path, TALKABOUT_UNDO_S="0") as server:
        listed = titled(open_chat, server)
        post(listed.page, "/api/conversations")
        listed.choose("Untitled", "Delete")
        expect(listed.root.get_by_text("“Untitled” is deleted.")).to_be_visible()
        listed.undo.click()
        expect(listed.problem).to_have_text("This conversation is not there any more.")


def test_a_title_with_markup_stays_text_and_a_forged_event_does_nothing(open_chat: Open, server: Server) -> None:
    markup = "<img src=x onerror=alert(1)>"
    listed = titled(open_chat, server, markup)
    expect(listed.titles).to_have_text([markup])
    user = listed.root.get_attribute("data-user")
    for data in (None, "x", {"id": "javascript:alert(1)", "title": "forged"}, {"id": 1}):
        post(listed.page, f"/sse/send/{user}", event="conversation.changed", data=data)
    post(listed.page, "/api/conversations", title="after it")
    expect(listed.titles).to_have_text(["after it", markup])


def test_on_a_narrow_screen_the_list_is_a_drawer(open_chat: Open, server: Server) -> None:
    listed = titled(open_chat, server, "one", viewport=NARROW)
    expect(listed.root).to_be_hidden()
    listed.chat.button("Show the conversations").click()
    expect(listed.titles).to_have_text(["one"])
    listed.choose("one", "Pin")
    expect(listed.group("Pinned")).to_have_text(["one"])
    assert listed.root.locator("a, button, input:not([type=file]), label.button").evaluate_all(TOO_SMALL) == []
    listed.page.keyboard.press("Escape")
    expect(listed.root).to_be_hidden()
    listed.page.locator("body").press("/")
    expect(listed.search).to_be_focused()
    listed.page.set_viewport_size({"width": 1440, "height": 740})
    expect(listed.root).to_be_visible()
    assert listed.root.evaluate("root => root.matches(':popover-open')") is False


@pytest.mark.parametrize("width", [320, 360, 768, 1023, 1024, 1440])
def test_the_page_fits_beside_it(open_chat: Open, server: Server, width: int) -> None:
    listed = titled(open_chat, server, "a" * 200, viewport={"width": width, "height": 740})
    assert listed.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(listed.root).to_be_visible(visible=width >= 1024)


def test_the_way_to_the_list_stays_at_hand_on_a_narrow_screen(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport=NARROW)
    for prompt in ("first", "second"):
        chat.ask(prompt)
        chat.is_done()
    assert chat.page.evaluate("scrollY") > NARROW["height"] / 2
    expect(chat.button("Show the conversations")).to_be_in_viewport(ratio=1)
    chat.transcript.get_by_role("button", name="Copy").first.focus()
    assert chat.page.evaluate(ABOVE_FOCUS)


def test_without_javascript_the_list_is_links_and_the_search_a_page(open_chat: Open, server: Server) -> None:
    made = asked(open_chat, server, "first")
    post(made.page, "/api/conversations", title="unlike it")
    state = made.page.context.storage_state()
    plain = open_chat(server, java_script_enabled=False, storage_state=state, viewport=NARROW)
    plain.button("Show the conversations").click()
    listed = Listed(plain)
    expect(listed.titles).to_have_text(["unlike it", "first"])
    assert listed.root.locator("button:visible").count() == 1  # the one that closes it
    listed.search.fill("絕期")
    listed.search.press("Enter")
    expect(plain.page.get_by_role("heading", name="Conversations")).to_be_visible()
    expect(plain.page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    with plain.page.expect_download():
        plain.page.get_by_role("link", name="Export “first” as Markdown").click()
    plain.page.get_by_role("link", name="first", exact=True).click()
    assert plain.answer.text_content() == POEM


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [NARROW, {"width": 1440, "height": 740}])
def test_axe_finds_no_fault_in_any_state_of_it(
    open_chat: Open, server: Server, color_scheme: str, viewport: dict[str, int]
) -> None:
    listed = titled(
        open_chat, server, "one", "two", color_scheme=color_scheme, viewport=viewport, reduced_motion="reduce"
    )
    if viewport == NARROW:
        listed.chat.button("Show the conversations").click()
    listed.menu_button("two").press("Enter")
    assert listed.chat.faults() == []
    listed.page.keyboard.press("Escape")
    listed.choose("two", "Delete")
    expect(listed.undo).to_be_focused()
    assert listed.chat.faults() == []
    listed.search.fill("one")
    expect(listed.group("Found")).to_have_text(["one"])
    assert listed.chat.faults() == []
    listed.choose("one", "Rename")
    assert listed.chat.faults() == []
    listed.page.goto(f"{server.url}/conversations?q=one")
    assert listed.chat.faults() == []
