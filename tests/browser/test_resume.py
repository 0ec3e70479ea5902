"""Answers that outlive what happens to the page: reloads, second tabs, cuts, a network that goes and comes."""

from __future__ import annotations

import re
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from relay.poem import POEM
from tests.chat_page import WAIT_MS, Chat, Open, squeezed
from tests.servers import Server
from tests.stalling_proxy import StallingProxy
from tests.waiting import until

pytestmark = pytest.mark.browser

CONVERSATION = re.compile(r"/c/[0-9a-f-]{36}$")
SLEPT_MS = 12_000  # less than the silence after which a connection is given up
MIDDLE = "奈何明月"  # stands in the poem's fourth line of eleven
ASKED = "**/api/answers"
BESIDE = """async prompt => {
    const asked = await fetch('/api/answers', {
        method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({prompt}),
    });
    const {events} = await asked.json();
    const source = new EventSource(events);
    const ids = [];
    const keep = event => event.data && ids.push(event.lastEventId); // EventSource has an `open` of its own
    await new Promise(done => {
        for (const name of ['open', 'phase', 'message', 'done']) source.addEventListener(name, keep);
        source.addEventListener('done', done);
    });
    source.close();
    return ids;
}"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run two workers that take their time, so that an answer can be seen in its middle, and from either."""
    with Server(tmp_path_factory.mktemp("slow"), workers=2, TALKABOUT_POEM_DELAY_MS="25") as running:
        yield running


def second_tab(chat: Chat) -> Chat:
    page = chat.page.context.new_page()
    page.goto(chat.page.url)
    return Chat(page)


def watch(page: Page) -> None:
    """Keep every text that the page shows of its answer, in the page itself."""
    page.evaluate(
        """() => {
            const answer = [...document.querySelectorAll('[data-transcript] [data-answer]')].at(-1);
            const seen = window.seen = [answer.textContent];
            new MutationObserver(() => seen.push(answer.textContent)).observe(answer, {
                childList: true, characterData: true, subtree: true,
            });
        }"""
    )


def never_went_back(page: Page) -> bool:
    """Tell if every text that was shown was a beginning of the poem, and none shorter than the one before."""
    seen = [squeezed(text) for text in page.evaluate("window.seen")]
    poem = squeezed(POEM)
    return all(poem.startswith(text) for text in seen) and [len(text) for text in seen] == sorted(map(len, seen))


def begin(open_chat: Open, server: Server) -> Chat:
    """Ask, and wait until the answer is in its middle and the address that of its conversation."""
    chat = open_chat(server)
    chat.ask()
    chat.begins()
    expect(chat.page).to_have_url(CONVERSATION)
    return chat


def test_a_reload_in_the_middle_shows_the_text_so_far_and_goes_on(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    chat.begins(MIDDLE)
    chat.page.reload()
    assert MIDDLE in (chat.answer.text_content() or "")
    watch(chat.page)
    expect(chat.state).to_have_text("Writing…")
    chat.is_done()
    assert never_went_back(chat.page)
    expect(chat.transcript.get_by_role("article")).to_have_count(2)


def test_a_second_tab_shows_the_same_answer_live(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    second = second_tab(chat)
    watch(second.page)
    expect(second.state).to_have_text("Writing…")
    second.is_done()
    chat.is_done()
    assert never_went_back(second.page)


def test_leaving_the_page_stops_nothing(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    address = chat.page.url
    chat.page.goto(f"{slow.url}/playground")
    chat.page.goto(address)
    until(lambda: chat.text() == POEM, "the whole poem", WAIT_MS / 1000)


def cut_later(page: Page) -> Callable[[], None]:
    """Have the question asked under a key, and give what tears that connection."""
    key = uuid.uuid4().hex
    page.route(ASKED, lambda route: route.continue_(url=f"{route.request.url}?cut={key}"))
    address = page.url
    return lambda: requests.post(f"{address}playground/cut", json={"cut": key}, timeout=10).raise_for_status()


def test_a_cut_in_the_middle_heals(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    cut = cut_later(chat.page)
    chat.ask()
    chat.begins()
    watch(chat.page)
    cut()
    expect(chat.state).to_have_text("Recovered, nothing is lost")
    chat.is_done()
    assert never_went_back(chat.page)


def test_a_network_that_goes_and_comes_loses_nothing(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    cut = cut_later(chat.page)
    chat.ask()
    chat.begins()
    watch(chat.page)
    chat.page.context.set_offline(True)
    cut()  # Chromium leaves a stream alone that runs already
    expect(chat.state).to_contain_text("You are offline. Reconnecting in")
    chat.page.context.set_offline(False)
    chat.is_done()
    assert never_went_back(chat.page)


def test_a_laptop_that_slept_catches_up_though_its_connections_died_unsaid(open_chat: Open, slow: Server) -> None:
    with StallingProxy(slow.port) as proxy:
        chat = open_chat(proxy)
        chat.page.clock.install()
        chat.page.reload()
        chat.ask()
        chat.begins()
        watch(chat.page)
        assert proxy.stall() > 0
        with chat.page.expect_request("**/events", timeout=SLEPT_MS / 2):  # long before the silence alone would tell
            chat.page.clock.fast_forward(SLEPT_MS)
        chat.is_done()
        assert never_went_back(chat.page)


def test_without_a_network_an_idle_page_says_so_and_keeps_what_is_written(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.context.set_offline(True)
    said = chat.page.get_by_text("You are offline. What you write is kept")
    expect(said).to_be_visible()
    chat.prompt.fill("half a question")
    chat.page.context.set_offline(False)
    expect(said).to_have_count(0)
    chat.page.reload()
    expect(chat.prompt).to_have_value("half a question")


def test_a_server_that_is_stopped_and_started_loses_nothing(open_chat: Open, tmp_path: Path) -> None:
    with Server(tmp_path, workers=2, TALKABOUT_POEM_DELAY_MS="25") as server:
        chat = begin(open_chat, server)
        watch(chat.page)
        server.stop()
        expect(chat.state).to_contain_text("Reconnecting in")
        server.start()
        chat.page.evaluate("dispatchEvent(new Event('online'))")  # the next try need not be waited for
        chat.is_done()
        assert never_went_back(chat.page)


def test_workers_that_are_replaced_lose_nothing(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    watch(chat.page)
    slow.process.send_signal(signal.SIGHUP)
    chat.is_done()
    assert never_went_back(chat.page)


def test_stop_in_one_tab_ends_the_others_view(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    second = second_tab(chat)
    second.button("Stop").click()
    for tab in (chat, second):
        expect(tab.state).to_have_text("Stopped")
        expect(tab.button("Send")).to_be_visible()
    assert chat.text() == second.text() != POEM


@pytest.mark.parametrize("reload", [False, True])
def test_continue_after_stop_completes_the_poem_exactly(open_chat: Open, slow: Server, reload: bool) -> None:
    chat = begin(open_chat, slow)
    chat.page.keyboard.press("Escape")
    expect(chat.state).to_have_text("Stopped")
    if reload:
        chat.page.reload()
    watch(chat.page)
    chat.button("Continue").click()
    expect(chat.button("Continue")).to_be_hidden()
    chat.is_done()
    assert never_went_back(chat.page)


def test_a_reload_while_an_answer_is_continued_goes_on_too(open_chat: Open, slow: Server) -> None:
    chat = begin(open_chat, slow)
    chat.page.keyboard.press("Escape")
    chat.button("Continue").click()
    chat.begins(MIDDLE)
    chat.page.reload()
    chat.is_done()


def test_the_next_question_goes_on_in_the_conversation(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    for prompt in ("first", "second"):
        chat.ask(prompt)
        chat.is_done()
    chat.button("Restart").click()
    chat.is_done()
    chat.page.reload()
    expect(chat.transcript.locator("[data-question]")).to_have_text(["first", "second"])
    assert chat.text() == POEM
    expect(chat.page).to_have_title("first · talkabout")


def test_back_leads_to_where_it_led_before(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.page.goto(f"{server.url}/playground")
    chat.page.goto(server.url)
    chat.ask()
    chat.is_done()
    chat.page.go_back()
    expect(chat.page).to_have_url(f"{server.url}/playground")
    chat.page.go_forward()
    expect(chat.page).to_have_url(CONVERSATION)
    assert chat.text() == POEM


def test_back_shows_a_conversation_as_it_is_by_then(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    for prompt in ("first", "second"):
        chat.ask(prompt)
        chat.is_done()
        if prompt == "first":
            chat.page.reload()
    chat.page.goto(f"{server.url}/playground")
    chat.page.go_back()
    expect(chat.transcript.locator("[data-question]")).to_have_text(["first", "second"])


def test_without_javascript_a_conversation_is_shown(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.ask()
    chat.is_done()
    plain = open_chat(server, java_script_enabled=False, storage_state=chat.page.context.storage_state())
    plain.page.goto(chat.page.url)
    assert plain.text() == POEM
    expect(plain.button("Send")).to_be_visible()


def test_nobody_else_sees_a_conversation(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.ask()
    chat.is_done()
    stranger = open_chat(server)
    response = stranger.page.goto(chat.page.url)
    assert response and response.status == 404


def test_event_source_reads_the_same_ids(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    ids: list[str] = chat.page.evaluate(BESIDE, "What is love?")
    answer = ids[0].partition(":")[0]
    assert ids == [f"{answer}:{seq}" for seq in range(1, len(ids) + 1)]
    assert len(ids) > len(POEM)
