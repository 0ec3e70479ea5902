"""What a model may be made to write by whoever gets words into its context: none of it runs, none of it calls home.

`tests/data/markdown_attacks.md` has one attempt a line (or a block), after OWASP's cheat sheets, DOMPurify's and the
Markdown parsers' own tests, and what chats have been told of: images and links that carry secrets away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.test_markdown import rendered
from tests.chat_page import Chat, Open
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, LIST, LISTS, Exchange, done, event, model_list
from tests.servers import Server

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
ATTACKS = (DATA / "markdown_attacks.md").read_text(encoding="utf-8")
TOKEN_CHARS = 4
FAULTS = (DATA / "faults.js").read_text(encoding="utf-8").partition("\n")[2]


def attacking(x: Exchange) -> bool:
    """Think the attacks, then write them, token by token."""
    x.head(Transfer_Encoding="chunked")
    for kind in ("reasoning_content", "content"):
        for at in range(0, len(ATTACKS), TOKEN_CHARS):
            x.chunked(event({kind: ATTACKS[at : at + TOKEN_CHARS]}))
            x.rest(0.0005)
    x.chunked(event({}, "stop"), done(), end=True)
    return True


BEHAVIOURS["attacking"] = attacking
LISTS["attacking"] = model_list(LIST)


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with MisbehavingServer() as model:
        settings = {"TALKABOUT_UPSTREAM_URL": f"{model.url}/attacking"}
        with Server(tmp_path_factory.mktemp("attacker"), **settings) as server:
            yield server


# All that the page itself asks for; whatever an attack makes of such an address is seen.
OWN = re.compile(
    r"POST /api/answers|GET (/static/[\w./-]+|/api/answers/[0-9a-f-]{36}(/events)?|/c/[0-9a-f-]{36}|/sse/connect/[\w-]+"
    r"|/api/conversations\?(pinned=true&limit=100)?)"
)


class Witness:
    """What a page did that it should not have: dialogs, other pages, requests for anything but what is its own."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        home = urlsplit(page.url).netloc
        page.on("dialog", lambda dialog: (self.seen.append(dialog.message), dialog.dismiss()))
        page.context.on("page", lambda other: self.seen.append(other.url))
        page.on("request", lambda request: self._ask(home, request))
        page.on("framenavigated", lambda frame: frame.parent_frame and self.seen.append(frame.url))
        page.add_init_script("addEventListener('securitypolicyviolation', e => console.error(e.blockedURI))")

    def _ask(self, home: str, request: Request) -> None:
        path = request.url.removeprefix(f"http://{home}")
        if not OWN.fullmatch(f"{request.method} {path}"):
            self.seen.append(f"{request.method} {request.url}")


def test_attacks_that_stream_through_the_server_run_nothing_and_request_nothing(
    open_chat: Open, attacker: Server
) -> None:
    chat = open_chat(attacker)
    witness = Witness(chat.page)
    chat.ask(model="mock")
    chat.transcript.get_by_text("Reasoning").click()
    expect(chat.state).to_contain_text("Done", timeout=60_000)
    assert chat.text() == ATTACKS
    chat.waits_for("document.querySelectorAll('[data-answer] .katex').length > 3")
    assert chat.page.evaluate(FAULTS) == []
    hover_over_everything(chat)
    chat.page.reload()
    chat.waits_for("document.querySelectorAll('[data-answer] .katex').length > 3")
    assert chat.text() == ATTACKS
    assert chat.page.evaluate(FAULTS) == []
    assert witness.seen == []


def hover_over_everything(chat: Chat) -> None:
    """Move, focus and click as a reader might, on everything that leads nowhere."""
    chat.page.evaluate(
        """() => { for (const each of document.querySelectorAll('.prose *:not(a, a *, button)'))
            for (const type of ['mouseover', 'focus', 'click', 'toggle', 'pointerenter', 'animationstart'])
                each.dispatchEvent(new Event(type, {bubbles: true})); }"""
    )


@pytest.mark.parametrize("size", [1, 1000])
def test_each_attack_alone_leaves_nothing_behind(open_chat: Open, server: Server, size: int) -> None:
    chat = open_chat(server)
    witness = Witness(chat.page)
    for attack in ATTACKS.split("\n"):
        pieces = [attack[at : at + size] for at in range(0, len(attack), size)]
        result = rendered(chat, pieces, keep=True)
        assert result["raw"] == attack
        assert chat.page.evaluate(FAULTS) == [], attack
        chat.page.evaluate("document.querySelector('[data-transcript]').replaceChildren()")
    assert witness.seen == []


def test_a_link_says_where_it_leads(open_chat: Open, server: Server) -> None:
    chat = open_chat(server)
    rendered(chat, ["[paypal.example](https://evil.example/login) ![cat](https://cats.example/a.png)"], keep=True)
    link, image = chat.transcript.get_by_role("link").all()
    expect(link).to_have_attribute("title", "https://evil.example/login")
    assert "evil.example" in link.evaluate("link => getComputedStyle(link, '::after').content + link.dataset.host")
    expect(image).to_have_text("cat")
    assert "Image" in image.evaluate("link => getComputedStyle(link, '::before').content + link.dataset.image")
    assert chat.transcript.locator("img").count() == 0
