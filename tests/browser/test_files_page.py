"""Files in the chat page: chosen, dropped, pasted, seen, removed, sent, and still there after a reload."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Locator, expect

from tests.chat_page import Chat, Open
from tests.documents import pdf, png
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT
from tests.servers import Server

pytestmark = pytest.mark.browser

NOTES = {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# Notes\n" * 100}
PICTURE = {"name": "mountain.png", "mimeType": "image/png", "buffer": png()}
REPORT = {"name": "report.pdf", "mimeType": "application/pdf", "buffer": pdf("Hello World")}
ARCHIVE = {"name": "archive.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04\0\0"}
COST = "800 B · ≈ 200 tokens"
IDS = "files => files.map((file) => JSON.parse(file.dataset.file).id)"
COMES = """([type, name, kind, data, text]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  files.items.add(new File([bytes], name, { type: kind }));
  if (text) files.setData('text/plain', text);
  const key = type === 'paste' ? 'clipboardData' : 'dataTransfer';
  const event = type === 'paste'
    ? new ClipboardEvent(type, { [key]: files, bubbles: true, cancelable: true })
    : new DragEvent(type, { [key]: files, bubbles: true, cancelable: true });
  document.querySelector('#prompt').dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory, upstream: MisbehavingServer) -> Iterator[Server]:
    """Run a server before a model that takes images, beside the poem, which takes none and its time."""
    settings = {"TALKABOUT_IMAGE_MODELS": "mock", "TALKABOUT_POEM_DELAY_MS": "15", "TALKABOUT_MAX_FILES": "3"}
    with Server(
        tmp_path_factory.mktemp("files"), TALKABOUT_UPSTREAM_URL=f"{upstream.url}/normal", **settings
    ) as running:
        yield running


def attach(chat: Chat, *given: Any) -> None:
    chat.page.locator("[data-attach]").set_input_files(list(given))


def drafts(chat: Chat) -> Locator:
    return chat.page.locator("[data-draft-files] .file")


def sums(chat: Chat) -> Locator:
    return chat.page.locator("[data-files-sum]")


def sent(chat: Chat) -> Locator:
    return chat.transcript.locator("[data-question] ~ .files .file")


def comes(chat: Chat, how: str, file: dict[str, Any], text: str = "") -> None:
    data = base64.b64encode(file["buffer"]).decode()
    chat.page.evaluate(COMES, [how, file["name"], file["mimeType"], data, text])


def asked(upstream: MisbehavingServer) -> Any:
    completions = [each for each in upstream.requests if each.method == "POST"]
    return orjson.loads(completions[-1].body)["messages"]


def test_files_are_attached_with_their_cost_and_sent(
    open_chat: Open, seeing: Server, upstream: MisbehavingServer
) -> None:
    chat = open_chat(seeing)
    attach(chat, NOTES, PICTURE)
    expect(drafts(chat)).to_have_count(2)
    expect(drafts(chat).first).to_contain_text(COST)
    expect(sums(chat)).to_have_text(
        re.compile(r"^Together [\d,]+ B · ≈ 1,\d+ tokens · Each image is counted as about 1,000")
    )
    expect(chat.page.locator("[data-status]")).to_contain_text(" is attached: ")
    chat.ask("What are these?", model="mock")
    chat.is_done(TEXT)
    expect(drafts(chat)).to_have_count(0)
    expect(sums(chat)).to_be_hidden()
    expect(sent(chat)).to_have_count(2)
    chat.waits_for("document.querySelector('[data-transcript] img:not([hidden])').naturalWidth === 8")
    content = asked(upstream)[0]["content"]
    assert content[0]["type"] == "image_url" and content[1]["text"].startswith("File: notes.md\n```\n# Notes")
    before = sent(chat).evaluate_all(IDS)
    chat.page.reload()
    assert before == sent(chat).evaluate_all(IDS)
    assert chat.faults() == []
    chat.ask("And then?", model="mock")
    chat.is_done(TEXT)
    assert asked(upstream)[0]["content"] == content


def test_files_come_by_drop_and_paste_and_outlive_a_reload(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    comes(chat, "drop", NOTES)
    comes(chat, "paste", PICTURE)
    comes(chat, "paste", PICTURE, text="cells of a spreadsheet")
    costs = drafts(chat).locator("[data-cost]")
    expect(costs).to_have_text([COST, "98 B · ≈ 1,000 tokens"])
    chat.page.reload()
    expect(costs).to_have_text([COST, "98 B · ≈ 1,000 tokens"])


def test_what_is_wrong_with_a_file_is_said_at_it_and_holds_the_question(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    attach(chat, ARCHIVE, REPORT)
    expect(drafts(chat).first).to_contain_text("This kind of file is not taken.")
    expect(drafts(chat).last).to_contain_text("≈ 3 tokens")
    chat.ask("What is it?", model="poem")
    expect(chat.field_error).to_have_text("A file could not be attached. Try again, or remove it.")
    assert chat.faults() == []
    chat.button("Remove archive.zip").click()
    expect(chat.button("Remove report.pdf")).to_be_focused()
    attach(chat, NOTES, NOTES, NOTES)
    expect(chat.field_error).to_have_text("A message takes 3 files at most.")
    expect(drafts(chat)).to_have_count(3)


def test_an_upload_that_breaks_off_can_be_tried_again(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    chat.page.route("**/api/files", lambda route: route.abort(), times=1)
    attach(chat, NOTES)
    expect(drafts(chat)).to_contain_text("The connection broke off.")
    chat.button("Try again").click()
    expect(drafts(chat)).to_contain_text(COST)


def test_a_question_waits_for_its_upload(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    chat.page.route("**/api/files", lambda route: None, times=1)
    attach(chat, NOTES)
    chat.ask(model="poem")
    expect(chat.field_error).to_have_text("A file is still being uploaded. Wait for it, or remove it.")
    chat.button("Remove notes.md").click()
    expect(drafts(chat)).to_have_count(0)
    chat.prompt.press("Enter")
    chat.begins()


def test_an_image_is_not_sent_to_a_model_that_takes_none(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    attach(chat, PICTURE)
    expect(drafts(chat)).to_contain_text("≈ 1,000")
    chat.ask("What is it?", model="poem")
    expect(drafts(chat)).to_contain_text("This model takes no images.")
    expect(chat.field_error).to_contain_text("This model takes no images.")
    chat.page.locator("#model").select_option("mock")
    expect(drafts(chat)).not_to_contain_text("This model takes no images.")
    chat.prompt.press("Enter")
    chat.is_done(TEXT)


def test_files_wait_with_their_question_and_stay_with_it_when_it_is_edited(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    chat.ask("first", model="poem")
    chat.begins()
    attach(chat, NOTES)
    expect(drafts(chat)).to_contain_text(COST)
    chat.ask("second", model="poem")
    expect(chat.page.locator("[data-waiting] .file")).to_contain_text("notes.md")
    expect(sent(chat)).to_contain_text("notes.md")
    chat.begins()
    chat.button("Stop").click()
    chat.transcript.get_by_role("button", name="Edit").last.click()
    field = chat.page.get_by_role("textbox", name="The question, changed")
    field.fill("another second")
    field.press("Enter")
    chat.begins()
    chat.page.reload()
    expect(chat.transcript.locator("[data-question]")).to_have_text(["first", "another second"])
    expect(sent(chat)).to_contain_text("notes.md")


def test_a_file_that_has_gone_meanwhile_is_named(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing)
    attach(chat, NOTES)
    expect(drafts(chat)).to_contain_text(COST)
    path = drafts(chat).locator("a").get_attribute("href")
    chat.page.evaluate("path => fetch(path, { method: 'DELETE' })", path)
    chat.ask("What is it?", model="poem")
    expect(chat.field_error).to_have_text("An attached file is not there any more. Attach it again.")
    expect(drafts(chat)).to_contain_text("notes.md")
    chat.page.reload()
    expect(drafts(chat)).to_contain_text("An attached file is not there any more.")


def test_without_javascript_files_go_with_the_form(open_chat: Open, seeing: Server) -> None:
    chat = open_chat(seeing, java_script_enabled=False)
    attach(chat, NOTES, REPORT)
    chat.page.locator("#model").select_option("mock")
    chat.prompt.fill("What are these?")
    chat.button("Send").click()
    expect(sent(chat)).to_have_count(2)
    expect(chat.answer).to_have_text(TEXT)
    with chat.page.expect_download() as given:
        sent(chat).last.locator("a").click()
    assert Path(given.value.path()).read_text() == "Hello World"
