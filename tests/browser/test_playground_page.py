"""The playground in a real browser: what each client reads, who reconnects, and that curl repeats it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from relay.poem import POEM
from tests.chat_page import WAIT_MS
from tests.servers import ROOT, Server

pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules/axe-core/axe.min.js"
RETRY_MS = 2000  # what the server's streams tell EventSource


class Client:
    """One client's panel, as a person uses it."""

    def __init__(self, page: Page, name: str) -> None:
        self.root = page.get_by_role("region", name=name, exact=True)
        self.status = self.root.get_by_role("status").filter(has=page.locator("strong"))
        self.text = self.root.get_by_role("region", name=f"{name} Text")
        self.rows = self.root.locator("tbody tr")
        self.curl = self.root.locator("pre")

    def choose(self, endpoint: str, **fields: str) -> None:
        option = self.root.locator("option", has_text=endpoint).first.text_content()
        self.root.get_by_label("Endpoint").select_option(label=option)
        for name, value in fields.items():
            self.root.locator(f"[name={name}]").fill(value)

    def press(self, button: str) -> None:
        self.root.get_by_role("button", name=button, exact=True).click()

    def row(self, text: str) -> Locator:
        return self.rows.filter(has_text=text)

    def is_now(self, state: str, sentence: str = "") -> None:
        expect(self.status).to_have_text(re.compile(rf"^\s*{state}\b.*{sentence}", re.DOTALL))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that takes its time, so that an answer can be stopped and cut in its middle."""
    settings = {"TALKABOUT_POEM_DELAY_MS": "60", "TALKABOUT_HEARTBEAT_S": "0.2", "TALKABOUT_MAX_PROMPT_CHARS": "50"}
    with Server(tmp_path_factory.mktemp("slow"), workers=2, **settings) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    context.close()


def opened(page: Page, server: Server) -> tuple[Client, Client]:
    page.goto(f"{server.url}/playground")
    return Client(page, "EventSource"), Client(page, "fetch + AbortController")


def test_event_source_reads_the_poem_and_does_not_come_back_after_done(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/talkeAbouttestEvent" in request.url else None)
    source, _ = opened(page, server)
    source.choose("GET /talkeAbouttestEvent")
    source.press("Connect")
    source.is_now("Closed", "come to its end")
    expect(source.text).to_have_text(POEM)  # with the next frame
    assert source.text.text_content() == POEM
    page.wait_for_timeout(RETRY_MS + 500)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "POST /stream · the model's answer as events",
        "POST /stream · the model's answer as raw text",
        "POST /talkeAbout ·",
        "POST /talkeAbouttestSseEmitter",
        "POST /talkeAbouttestEvent",
        "GET /talkeAbouttestEvent",
        "POST /api/answers",
    ],
)
def test_fetch_reads_each_endpoint_to_its_end(page: Page, server: Server, endpoint: str) -> None:
    _, fetch = opened(page, server)
    fetch.choose(endpoint)
    fetch.press("Send")
    fetch.is_now("Closed", "come to its end")
    expect(fetch.text).to_have_js_property("textContent", POEM)
    expect(fetch.row("200 OK")).to_contain_text("cache-control: no-cache, no-transform")


def test_what_fetch_publishes_event_source_hears(page: Page, server: Server) -> None:
    source, fetch = opened(page, server)
    source.choose("GET /sse/connect")
    source.press("Connect")
    expect(source.row("open")).not_to_have_count(0)
    fetch.choose("POST /sse/send", data='{"content": "<img src=x>"}', event="note")
    fetch.press("Send")
    fetch.is_now("Closed", "status 202")
    expect(source.row("note")).to_have_count(1)
    assert source.text.text_content() == "<img src=x>"


def test_event_source_hears_only_the_names_that_it_was_told_of(page: Page, server: Server) -> None:
    source, _ = opened(page, server)
    source.choose("GET /sse/connect", listen="mine")
    source.press("Connect")
    expect(source.row("open")).to_have_count(2)
    for event in ("other", "mine"):
        publish(page, server, event, event)
    expect(source.row("mine")).to_have_count(1)
    expect(source.row("other")).to_have_count(0)


def publish(page: Page, server: Server, content: str, event: str | None = None) -> None:
    """Publish from outside of the browser into the channel that stands in the page."""
    user = page.locator("[name=user_id]").first.input_value()
    body = {"data": {"content": content}} | ({"event": event} if event else {})
    requests.post(f"{server.url}/sse/send/{user}", json=body, timeout=10).raise_for_status()


def test_stop_aborts_and_is_no_error(page: Page, slow: Server) -> None:
    for client, button in zip(opened(page, slow), ("Connect", "Send"), strict=True):
        client.press(button)
        expect(client.row("content")).not_to_have_count(0)
        client.press("Stop")
        client.is_now("Closed", "Stopped from this side")
        expect(client.row("error")).to_have_count(0)


def test_restart_asks_anew_and_begins_the_list_again(page: Page, slow: Server) -> None:
    _, fetch = opened(page, slow)
    fetch.press("Send")
    expect(fetch.row("writing")).to_have_count(1)
    with page.expect_request("**/stream?cut=*") as again:
        fetch.press("Restart")
    expect(fetch.row("200 OK")).to_have_count(1)
    fetch.is_now("Open")
    assert again.value.post_data_json == {"name": "Say hello."}


def test_cut_on_a_channel_event_source_comes_back_and_gets_what_it_missed_once(page: Page, slow: Server) -> None:
    source, _ = opened(page, slow)
    source.choose("GET /sse/connect")
    source.press("Connect")
    expect(source.row("(OPEN)")).to_have_count(1)
    publish(page, slow, "before ")
    expect(source.text).to_have_text("before ")
    source.press("Cut the connection")
    source.is_now("Reconnecting")
    publish(page, slow, "meanwhile")
    source.is_now("Open", r"by itself after \d+ ms, with Last-Event-ID: \S+")
    expect(source.text).to_have_text("before meanwhile")


def test_cut_in_a_stream_without_ids_event_source_begins_again(page: Page, slow: Server) -> None:
    source, _ = opened(page, slow)
    source.press("Connect")
    expect(source.text).to_contain_text("什")
    source.press("Cut the connection")
    source.is_now("Open", "it begins again")
    source.press("Stop")
    assert POEM.startswith(source.text.text_content() or "")


def test_cut_fetch_sees_a_network_error_and_does_not_come_back(page: Page, slow: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/stream" in request.url else None)
    _, fetch = opened(page, slow)
    fetch.press("Send")
    expect(fetch.row("writing")).to_have_count(1)
    fetch.press("Cut the connection")
    fetch.is_now("Error", "network error.*does not reconnect by itself")
    page.wait_for_timeout(RETRY_MS + 500)
    assert len(asked) == 1


def test_fetch_shows_heartbeats_and_what_was_refused(page: Page, slow: Server) -> None:
    _, fetch = opened(page, slow)
    fetch.choose("GET /sse/connect")
    fetch.press("Send")
    expect(fetch.row(": ping")).not_to_have_count(0)
    fetch.choose("POST /talkeAbouttestEvent", prompt="x" * 51)
    fetch.press("Restart")
    fetch.is_now("Error", "refused with status 422")
    expect(fetch.text).to_contain_text("at most 50 characters")


def test_event_source_that_is_refused_gives_up_and_does_not_know_why(page: Page, slow: Server) -> None:
    source, _ = opened(page, slow)
    source.choose("GET /talkeAbouttestEvent", prompt="x" * 51)
    source.press("Connect")
    source.is_now("Error", "neither the status nor the reason")
    expect(source.row("readyState 2 (CLOSED)")).to_have_count(1)


def test_the_token_goes_into_the_header_and_nowhere_else(page: Page, server: Server) -> None:
    _, fetch = opened(page, server)
    fetch.root.get_by_label("Bearer token").fill("s3cret")
    with page.expect_request("**/stream?cut=*") as sent:
        fetch.press("Send")
    assert sent.value.header_value("authorization") == "Bearer s3cret"
    assert "s3cret" not in sent.value.url + str(fetch.curl.text_content()) + page.content()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_what_was_copied_runs_in_a_shell(page: Page, server: Server) -> None:
    _, fetch = opened(page, server)
    fetch.choose("POST /stream · the model's answer as raw text", name='it\'s $HOME and "`id`"')
    fetch.root.get_by_label("Bearer token").fill("s3cret")
    fetch.press("Copy as curl")
    expect(fetch.root.get_by_text("Copied.")).to_be_visible()
    line = page.evaluate("navigator.clipboard.readText()")
    environ = {**os.environ, "TOKEN": "s3cret"}
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, timeout=30, check=True)
    assert done.stdout.decode() == POEM


def test_scripts_and_server_write_the_same_curl_lines(page: Page, server: Server) -> None:
    _, fetch = opened(page, server)
    written = []
    for index in range(fetch.root.locator("option").count()):
        fetch.root.locator("select").select_option(index=index)
        written.append(shlex.split(str(fetch.curl.text_content())))
    assert sorted(written) == sorted(map(shlex.split, page.locator(".endpoints pre").all_text_contents()))


def test_without_a_clipboard_the_line_is_selected(page: Page, server: Server) -> None:
    _, fetch = opened(page, server)
    page.context.clear_permissions()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    fetch.press("Copy as curl")
    expect(fetch.root.get_by_text("Selected")).to_be_visible()
    assert page.evaluate("getSelection().toString()").strip() == str(fetch.curl.text_content())


def test_enter_in_a_field_sends_and_a_button_keeps_the_focus(page: Page, slow: Server) -> None:
    source, _ = opened(page, slow)
    source.root.get_by_label("prompt").press("Enter")
    source.is_now("Open")
    source.root.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    source.is_now("Closed")
    expect(source.root.get_by_role("button", name="Stop")).to_be_focused()


def readers(page: Page, server: Server) -> tuple[Client, Client]:
    """Begin an answer, and have both clients read its journal."""
    page.goto(f"{server.url}/playground")
    page.get_by_role("button", name="Begin an answer").click()
    return Client(page, "Read by EventSource"), Client(page, "Read by fetch + AbortController")


def seqs(reader: Client) -> list[int]:
    """List the numbers of the events that a reader has heard, in their order."""
    ids = reader.root.locator("[data-kind=event] [data-cell=id]").all_text_contents()
    return [int(each.rpartition(":")[2]) for each in ids]


def test_two_readers_of_one_journal_are_cut_and_still_read_the_same(page: Page, slow: Server) -> None:
    source, fetch = readers(page, slow)
    for reader in (source, fetch):
        expect(reader.row("content")).not_to_have_count(0)
        reader.press("Cut the connection")
    fetch.is_now("Error", "does not reconnect by itself")
    source.is_now("Open", r"by itself after \d+ ms, with Last-Event-ID: \S+")
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.locator("[data-receipt]")).to_contain_text('"upstream_closed":true')
    source.is_now("Closed", "come to its end")
    fetch.press("Resume")
    expect(page.locator("[data-journal]")).to_have_attribute("data-same", "true")
    page.get_by_role("button", name="Continue it").click()
    verdict = page.locator("[data-verdict]")
    expect(verdict).to_contain_text(f"{len(POEM)} characters", timeout=3 * WAIT_MS)
    for reader in (source, fetch):
        expect(reader.text).to_have_text(POEM)
        assert seqs(reader) == list(range(1, len(seqs(reader)) + 1)) and len(seqs(reader)) > len(POEM)
    expect(verdict).to_contain_text("all of it")


def test_a_reader_goes_on_behind_its_last_id_and_an_answer_can_be_named(page: Page, slow: Server) -> None:
    source, fetch = readers(page, slow)
    for reader in (source, fetch):
        expect(reader.row("content")).not_to_have_count(0)
        reader.press("Close")
        reader.is_now("Closed", "Stopped from this side")
        page.evaluate("new Promise(requestAnimationFrame)")  # with it the last row is written
        last = seqs(reader)[-1]
        with page.expect_request("**/api/answers/*/events?*") as asked:
            reader.press("Resume")
        request = asked.value
        assert f":{last}" in (request.header_value("last-event-id") or request.url.replace("%3A", ":"))
    field = page.get_by_label("Id of an answer")
    field.fill("nobody-s")
    field.press("Enter")
    fetch.is_now("Error", "refused with status 404")
    source.is_now("Error", "neither the status nor the reason")


def test_the_list_keeps_the_last_500_and_the_readers_place(page: Page, server: Server) -> None:
    opened(page, server)
    kept = page.evaluate(
        """async () => {
          const { EventList } = await import('/static/js/playground/event_list.js');
          const box = document.querySelector('[data-events]');
          const list = new EventList(box, document.querySelector('[data-row]'));
          list.begin();
          const frame = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
          for (let i = 0; i < 300; i++) list.add('event', 'message', 'x');
          await frame();
          box.scrollTop = 10;
          for (let i = 0; i < 1000; i++) list.add('event', 'message', 'x');
          await frame();
          const rows = box.querySelectorAll('tbody tr');
          return [rows.length, rows[0].cells[0].textContent, box.scrollTop < 100];
        }"""
    )
    assert kept == [500, "801", True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_wrong_and_nothing_is_wider_than_the_screen(
    browser: Browser, slow: Server, scheme: Literal["light", "dark"], width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, locale="zh-TW") as context:
        page = context.new_page()
        page.goto(f"{slow.url}/playground")
        page.locator("[data-client=fetch] [data-action=send]").click()
        page.locator("[data-begin] button").click()
        for panel in ("[data-client=fetch]", "[data-reader=fetch]"):
            expect(page.locator(f"{panel} tbody tr")).not_to_have_count(0)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run().then((all) => all.violations.map((one) => [one.id, one.nodes[0].html]))")
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
