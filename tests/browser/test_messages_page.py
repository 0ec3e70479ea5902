"""What can be done with messages in the chat page: edit, ask again, step through versions, copy, let questions wait."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Locator, Page, Route, expect

from relay.poem import POEM
from tests.chat_page import Chat, Open
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT
from tests.servers import Server
from tests.waiting import until

pytestmark = pytest.mark.browser

CONVERSATION = re.compile(r"/c/[0-9a-f-]{36}$")
REST_MS = 3900  # between two sentences: speech.js has 4,000, and timers may be a little early


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that takes its time, so that an answer can be seen in its middle."""
    settings = {"TALKABOUT_POEM_DELAY_MS": "15", "TALKABOUT_MAX_PROMPT_CHARS": "100"}
    with Server(tmp_path_factory.mktemp("slow"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with MisbehavingServer() as model_server:
        upstream = f"{model_server.url}/normal"
        with Server(tmp_path_factory.mktemp("two"), TALKABOUT_UPSTREAM_URL=upstream) as running:
            yield running


def questions(chat: Chat) -> Locator:
    return chat.transcript.locator("[data-question]")


def waiting(chat: Chat) -> Locator:
    return chat.page.locator("[data-queued]")


def steps(chat: Chat, kind: str) -> Locator:
    return chat.transcript.locator(f"[data-steps={kind}]").last


def edit(chat: Chat, text: str, last: bool = True) -> Locator:
    """Open the field in the place of a question, and write into it."""
    buttons = chat.transcript.get_by_role("button", name="Edit")
    (buttons.last if last else buttons.first).click()
    field = chat.page.get_by_role("textbox", name="The question, changed")
    field.fill(text)
    return field


def step_back(chat: Chat) -> None:
    with chat.page.expect_navigation(wait_until="load"):
        chat.page.get_by_role("link", name="Previous version").click()


def asked(chat: Chat, *prompts: str) -> None:
    for prompt in prompts:
        chat.ask(prompt)
        chat.is_done()


def test_an_edited_question_is_asked_again_in_its_place(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first", "second")
    edit(chat, "another first", last=False).press("Enter")
    chat.is_done()
    expect(questions(chat)).to_have_text(["another first"])
    expect(chat.page).to_have_url(CONVERSATION)


def test_versions_of_a_question_are_links_that_back_undoes(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first", "second")
    edit(chat, "another second").press("Enter")
    expect(steps(chat, "prompts")).to_contain_text("2/2")
    step_back(chat)
    expect(questions(chat)).to_have_text(["first", "second"])
    expect(steps(chat, "prompts")).to_contain_text("1/2")
    chat.page.go_back()
    expect(questions(chat)).to_have_text(["first", "another second"])


def test_a_question_in_an_older_branch_goes_on_there(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    edit(chat, "another first").press("Enter")
    step_back(chat)
    expect(questions(chat)).to_have_text(["first"])
    asked(chat, "second")
    expect(chat.page).to_have_url(CONVERSATION)
    chat.page.reload()
    expect(questions(chat)).to_have_text(["first", "second"])


def test_regenerate_makes_another_version_and_leaves_the_first(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first", "second")
    chat.transcript.get_by_role("button", name="Regenerate").first.click()
    expect(steps(chat, "answers")).to_contain_text("2/2")
    chat.is_done()
    expect(questions(chat)).to_have_text(["first"])
    step_back(chat)
    expect(questions(chat)).to_have_text(["first", "second"])


@pytest.mark.parametrize("how", ["regenerate", "edit"])
def test_a_version_that_is_refused_leaves_the_conversation_as_it_was(open_chat: Open, server: Server, how: str) -> None:
    chat = open_chat(server)
    asked(chat, "first", "second")
    answers = "document.querySelectorAll('[data-transcript] [data-exchange][data-state=complete]').length"
    ids = "sections => sections.map(section => section.dataset.answerId)"
    before = chat.transcript.locator("[data-exchange]").evaluate_all(ids)
    problem = json.dumps({"title": "No", "status": 422, "detail": "There is no such model."})
    more = {"Content-Type": "application/problem+json"}
    chat.page.route("**/api/answers", lambda route: route.fulfill(status=422, body=problem, headers=more), times=1)
    if how == "edit":
        edit(chat, "first, changed", last=False).press("Enter")
    else:
        chat.button("Regenerate").first.click()
    expect(chat.field_error).to_have_text("There is no such model.")
    chat.waits_for(f"{answers} === 2")
    assert chat.transcript.locator("[data-exchange]").evaluate_all(ids) == before
    expect(questions(chat)).to_have_text(["first", "second"])
    expect(chat.prompt).to_have_value("first, changed" if how == "edit" else "")
    asked(chat, "third")
    expect(questions(chat)).to_have_text(["first", "second", "third"])


def test_each_answer_names_its_model_and_another_can_be_chosen(open_chat: Open, two_models: Server) -> None:
    chat = open_chat(two_models)
    chat.ask(model="poem")
    chat.is_done()
    model = chat.transcript.locator("[data-model]")
    expect(model).to_have_text("poem")
    chat.transcript.get_by_text("With …").click()
    chat.button("mock").click()
    chat.is_done(TEXT)
    expect(model).to_have_text("mock")
    chat.page.reload()
    expect(model).to_have_text("mock")


def test_regenerate_asks_the_model_that_has_answered(open_chat: Open, two_models: Server) -> None:
    chat = open_chat(two_models)
    chat.ask(model="poem")
    chat.is_done()
    chat.page.locator("#model").select_option("mock")
    chat.button("Regenerate").click()
    expect(steps(chat, "answers")).to_contain_text("2/2")
    chat.is_done(POEM)


def test_escape_leaves_a_question_as_it_was_and_stops_nothing(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.begins()
    edit(chat, "changed").press("Escape")
    expect(questions(chat)).to_have_text(["first"])
    expect(chat.transcript.get_by_role("button", name="Edit")).to_be_focused()
    expect(chat.button("Stop")).to_be_visible()
    chat.is_done()


def test_enter_that_ends_a_composition_does_not_save_an_edit(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    asked(chat, "first")
    field = edit(chat, "變")
    for composing in ({"isComposing": True}, {"keyCode": 229}):
        init = {"key": "Enter", "bubbles": True, "cancelable": True, **composing}
        field.evaluate("(field, init) => field.dispatchEvent(new KeyboardEvent('keydown', init))", init)
    expect(field).to_have_value("變")
    field.fill("x" * 101)
    field.press("Enter")
    expect(chat.transcript.get_by_role("alert")).to_contain_text("too long")


def test_copy_takes_the_text_as_it_was_written(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, permissions=["clipboard-read", "clipboard-write"])
    asked(chat, "**first**")
    chat.transcript.get_by_role("button", name="Copy").last.click()
    expect(chat.page.locator("[data-status]")).to_have_text("Copied")
    assert chat.page.evaluate("navigator.clipboard.readText()") == POEM
    chat.transcript.get_by_role("button", name="Copy").first.click()
    expect(chat.button("Copied").first).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "**first**"


def test_questions_wait_while_an_answer_runs_and_are_sent_in_order(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.ask("second")
    chat.ask("third")
    expect(waiting(chat)).to_have_text(["second", "third"])
    expect(questions(chat)).to_have_text(["first", "second"])
    expect(waiting(chat)).to_have_text(["third"])
    expect(questions(chat)).to_have_text(["first", "second", "third"])
    chat.is_done()


def test_a_waiting_question_can_be_changed_and_removed(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    for prompt in ("first", "second", "third"):
        chat.ask(prompt)
    queue = chat.page.locator("[data-queue]")
    queue.get_by_role("button", name="Edit").first.click()
    queue.get_by_role("textbox").fill("changed")
    queue.get_by_role("button", name="Save and ask").click()
    queue.get_by_role("button", name="Remove").last.click()
    expect(waiting(chat)).to_have_text(["changed"])
    expect(questions(chat)).to_have_text(["first", "changed"])


def test_waiting_questions_are_held_back_when_the_answer_is_stopped(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.begins()
    chat.ask("second")
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_text("Held back, since the answer was stopped.")).to_be_visible()
    expect(questions(chat)).to_have_text(["first"])
    chat.button("Send now").click()
    expect(questions(chat)).to_have_text(["first", "second"])
    chat.is_done()


def test_waiting_questions_outlive_a_reload_and_are_asked_once(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask("first")
    chat.begins()
    chat.ask("second")
    chat.page.reload()
    expect(waiting(chat)).to_have_text(["second"])
    expect(questions(chat)).to_have_text(["first", "second"])
    chat.is_done()
    chat.page.reload()
    expect(questions(chat)).to_have_text(["first", "second"])


def test_waiting_questions_are_not_asked_in_another_branch(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    asked(chat, "first")
    edit(chat, "another first").press("Enter")
    expect(steps(chat, "prompts")).to_contain_text("2/2")
    chat.ask("second")
    step_back(chat)
    expect(chat.page.get_by_text("they were written for another branch")).to_be_visible()
    expect(questions(chat)).to_have_text(["first"])
    chat.page.go_back()
    expect(questions(chat)).to_have_text(["another first", "second"])


def test_a_step_leads_to_the_same_place_of_the_page(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, viewport={"width": 800, "height": 500})
    asked(chat, "first", "second", "third")
    edit(chat, "another first", last=False).press("Enter")
    expect(steps(chat, "prompts")).to_contain_text("2/2")
    step_back(chat)
    expect(questions(chat).first).to_be_in_viewport()
    expect(questions(chat).last).not_to_be_in_viewport()


def test_a_queued_question_does_not_take_the_readers_place_away(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow, viewport={"width": 800, "height": 500})
    chat.ask("first")
    chat.ask("second")
    chat.waits_for("scrollY > 100")
    chat.page.mouse.move(400, 100)
    chat.page.mouse.wheel(0, -5000)
    chat.waits_for("scrollY === 0")
    expect(questions(chat)).to_have_count(2)
    chat.is_done()
    assert chat.page.evaluate("scrollY") == 0


def test_a_phase_is_timed_and_the_end_has_its_figures(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask()
    expect(chat.transcript.locator("[data-elapsed]")).to_have_text("1s")
    chat.is_done()
    expect(chat.state).to_have_text(re.compile(r"tokens/s · [\d,]+ tokens read, [\d,]+ written$"))
    chat.page.reload()
    expect(chat.state).to_have_text(re.compile(r"^Done · first word after"))


def test_a_draft_belongs_to_its_conversation(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    address = chat.page.url
    chat.prompt.fill("half a qu")
    chat.page.goto(server.url)
    expect(chat.prompt).to_have_value("")
    chat.page.goto(address)
    expect(chat.prompt).to_have_value("half a qu")


def settings_of(page: Page, server: Server) -> dict[str, object]:
    """Ask the server what the conversation of a page is set to."""
    conversation = page.url.rpartition("/")[2]
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    found = requests.get(f"{server.url}/api/conversations/{conversation}", cookies=cookies, timeout=10).json()
    return {name: found[name] for name in ("system", "temperature", "max_tokens")}


def set_up(chat: Chat, system: str, temperature: str = "", max_tokens: str = "") -> None:
    chat.page.get_by_role("button", name="Settings of this conversation").click()
    chat.page.get_by_role("textbox", name="System prompt").fill(system)
    chat.page.get_by_label("Temperature").fill(temperature)
    chat.page.get_by_label("Greatest length").fill(max_tokens)
    chat.button("Save").click()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)


def test_settings_of_a_new_conversation_are_there_before_its_first_question(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    set_up(chat, "You are terse.", "0.3", "500")
    expect(chat.button("Settings of this conversation: it has a system prompt")).to_be_visible()
    chat.page.reload()
    expect(chat.button("Settings of this conversation: it has a system prompt")).to_be_visible()
    asked(chat, "first")
    assert settings_of(chat.page, server) == {"system": "You are terse.", "temperature": 0.3, "max_tokens": 500}
    chat.page.goto(server.url)
    expect(chat.button("Settings of this conversation")).to_be_visible()


def test_settings_of_a_conversation_are_changed_and_taken_back(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    set_up(chat, "You are terse.", "1")
    chat.page.reload()
    expect(chat.button("Settings of this conversation: it has a system prompt")).to_be_visible()
    set_up(chat, "")
    assert settings_of(chat.page, server) == {"system": "", "temperature": None, "max_tokens": None}
    asked(chat, "second")


def change_elsewhere(chat: Chat, server: Server, **values: object) -> None:
    conversation = chat.page.url.rpartition("/")[2]
    assert chat.page.request.patch(f"{server.url}/api/conversations/{conversation}", data=values).ok


def test_settings_that_are_changed_elsewhere_are_followed_and_never_overwritten_unsaid(
    open_chat: Open, server: Server
) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    change_elsewhere(chat, server, system="theirs")
    chat.button("Settings of this conversation: it has a system prompt").click()
    system, temperature = chat.page.get_by_role("textbox", name="System prompt"), chat.page.get_by_label("Temperature")
    expect(system).to_have_value("theirs")
    temperature.fill("0.5")
    change_elsewhere(chat, server, system="theirs again")
    expect(system).to_have_value("theirs again")
    expect(temperature).to_have_value("0.5")
    change_elsewhere(chat, server, temperature=1.5, max_tokens=200)
    expect(chat.page.get_by_role("dialog").get_by_role("status")).to_contain_text("Save keeps yours")
    chat.button("Save").click()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    assert settings_of(chat.page, server) == {"system": "theirs again", "temperature": 0.5, "max_tokens": 200}


def test_settings_that_were_changed_unheard_are_not_overwritten(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    chat.page.route("**/sse/connect/*", lambda route: route.abort())
    chat.page.reload()
    chat.page.get_by_role("button", name="Settings of this conversation").click()
    change_elsewhere(chat, server, system="theirs", max_tokens=200)
    chat.page.get_by_label("Temperature").fill("0.5")
    chat.button("Save").click()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    assert settings_of(chat.page, server) == {"system": "theirs", "temperature": 0.5, "max_tokens": 200}
    chat.button("Settings of this conversation: it has a system prompt").click()
    expect(chat.page.get_by_role("textbox", name="System prompt")).to_have_value("theirs")
    chat.page.get_by_label("Greatest length").fill("300")
    chat.button("Save").click()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    assert settings_of(chat.page, server) == {"system": "theirs", "temperature": 0.5, "max_tokens": 300}


def test_settings_that_cannot_be_saved_are_said_and_kept(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    asked(chat, "first")
    problem = json.dumps({"title": "No", "status": 422, "detail": "The field system is wrong."})
    chat.page.route("**/api/conversations/*", lambda route: route.fulfill(status=422, body=problem))
    chat.page.get_by_role("button", name="Settings of this conversation").click()
    chat.page.get_by_role("textbox", name="System prompt").fill("x")
    chat.button("Save").click()
    expect(chat.page.get_by_role("alert").filter(has_text="The field system is wrong.")).to_be_visible()
    expect(chat.page.get_by_role("textbox", name="System prompt")).to_have_value("x")


def test_single_keys_do_what_their_list_says(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, permissions=["clipboard-read", "clipboard-write"])
    asked(chat, "first")
    chat.prompt.press("?")
    expect(chat.prompt).to_have_value("?")
    chat.prompt.evaluate("field => field.blur()")
    chat.page.keyboard.press("?")
    expect(chat.page.get_by_role("dialog", name="Keys")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    chat.page.keyboard.press("c")
    expect(chat.page.locator("[data-status]")).to_have_text("Copied")
    chat.page.keyboard.press("e")
    chat.page.keyboard.press("Escape")
    chat.transcript.get_by_role("button", name="Edit").evaluate("button => button.blur()")
    chat.page.keyboard.press("i")
    expect(chat.prompt).to_be_focused()


def test_single_keys_can_be_switched_off(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    chat.button("All keys").click()
    chat.page.get_by_label("Single keys work").uncheck()
    chat.button("Close").click()
    chat.page.reload()
    chat.prompt.evaluate("field => field.blur()")
    chat.page.keyboard.press("?")
    chat.page.keyboard.press("i")
    expect(chat.prompt).not_to_be_focused()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)


def test_the_list_of_keys_cannot_be_opened_before_it_is_there(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    held: list[Route] = []
    chat.page.route("**/*shortcuts*", lambda route: held.append(route))  # noqa: PLW0108  playwright takes no builtin
    chat.page.reload(wait_until="commit")
    expect(chat.button("All keys")).to_be_disabled()
    until(lambda: chat.page.wait_for_timeout(20) or held, "the module to be asked for")
    held[0].continue_()
    chat.button("All keys").click()
    expect(chat.page.get_by_role("dialog")).to_be_visible()


def test_escape_closes_a_dialog_before_it_stops_an_answer(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.ask()
    chat.begins()
    chat.button("All keys").click()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    expect(chat.button("Stop")).to_be_visible()
    chat.is_done()


def test_sentences_are_said_whole_and_in_no_hurry(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow)
    chat.page.evaluate(
        """() => {
            const region = document.querySelector('[data-speech]');
            window.said = [];
            new MutationObserver(() => region.textContent && said.push([performance.now(), region.textContent]))
                .observe(region, {childList: true});
        }"""
    )
    chat.ask()
    chat.is_done()
    times, said = zip(*chat.page.evaluate("said"), strict=True)
    in_turn = times[:-1]  # what still waits is said at the end
    assert all(later - before > REST_MS for before, later in pairwise(in_turn))
    assert all(sentence[-1] in "。?" for sentence in said)
    assert said[-1].endswith("絕期。")


def test_without_javascript_an_answer_that_streams_can_be_stopped(open_chat: Open, slow: Server) -> None:
    chat = open_chat(slow, java_script_enabled=False)
    chat.prompt.fill("What is love?")
    chat.button("Send").click(no_wait_after=True)
    chat.begins()
    chat.button("Stop").click()
    expect(chat.page).to_have_url(re.compile("/c/"))
    expect(chat.page.get_by_text("Stopped")).to_be_visible()
    assert POEM.startswith(chat.answer.text_content() or "?") and chat.answer.text_content() != POEM


def test_without_javascript_an_answer_that_runs_elsewhere_can_be_stopped(open_chat: Open, tmp_path: Path) -> None:
    with Server(tmp_path, TALKABOUT_POEM_DELAY_MS="100") as patient:
        chat = open_chat(patient)
        chat.ask()
        chat.begins()
        expect(chat.page).to_have_url(CONVERSATION)
        plain = open_chat(patient, java_script_enabled=False, storage_state=chat.page.context.storage_state())
        plain.page.goto(chat.page.url)
        plain.button("Stop").click()
        expect(plain.page.get_by_text("Stopped")).to_be_visible()
        expect(chat.state).to_have_text("Stopped")


def test_without_javascript_a_conversation_goes_on(open_chat: Open, server: Server) -> None:
    chat = open_chat(server, java_script_enabled=False)
    for prompt in ("first", "second", "third"):
        chat.prompt.fill(prompt)
        chat.button("Send").click()
        expect(questions(chat).last).to_have_text(prompt)
        expect(chat.prompt).to_be_visible()
    expect(questions(chat)).to_have_text(["first", "second", "third"])


def test_without_javascript_an_answer_is_continued_asked_for_again_and_its_question_edited(
    open_chat: Open, slow: Server
) -> None:
    chat = open_chat(slow, java_script_enabled=False)
    chat.prompt.fill("first")
    chat.button("Send").click(no_wait_after=True)
    chat.begins()
    chat.button("Stop").click()
    chat.button("Continue").click()
    expect(chat.prompt).to_be_visible()
    assert chat.text() == POEM
    chat.button("Regenerate").click()
    expect(chat.prompt).to_be_visible()
    assert chat.text() == POEM
    chat.transcript.get_by_role("button", name="Edit").click()
    expect(chat.prompt).to_have_value("first")
    expect(questions(chat)).to_have_count(0)
    chat.prompt.fill("changed")
    chat.button("Send").click()
    expect(chat.prompt).to_be_visible()
    chat.page.locator(".conversation__link").click()
    expect(questions(chat)).to_have_text(["changed"])
    expect(steps(chat, "prompts")).to_contain_text("2/2")
    step_back(chat)
    expect(steps(chat, "answers")).to_contain_text("2/2")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_any_state(open_chat: Open, slow: Server, color_scheme: str) -> None:
    chat = open_chat(slow, color_scheme=color_scheme, reduced_motion="reduce")
    chat.ask("first")
    chat.begins()
    chat.ask("second")
    assert chat.faults() == []
    chat.page.keyboard.press("Escape")
    expect(chat.button("Send now")).to_be_visible()
    edit(chat, "")
    chat.page.keyboard.press("Enter")
    assert chat.faults() == []
    chat.page.keyboard.press("Escape")
    chat.page.get_by_role("button", name="Settings of this conversation").click()
    assert chat.faults() == []
    chat.page.keyboard.press("Escape")
    chat.button("All keys").click()
    assert chat.faults() == []
