"""Answers as rendered Markdown in a real browser: nothing flickers, and what streams ends as what comes at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.chat_page import Chat, Open, squeezed

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
ANSWERS = (DATA / "markdown_answers.md").read_text(encoding="utf-8").split("\n%%%\n")
RENDERING = (DATA / "rendering.js").read_text(encoding="utf-8").partition("\n")[2]


def rendered(chat: Chat, pieces: list[str], **more: bool) -> dict[str, Any]:
    """Render a text that comes in pieces, and give what was shown after each, the HTML in the end and the raw text."""
    result: dict[str, Any] = chat.page.evaluate(RENDERING, {"pieces": pieces, **more})
    return result


def stays(before: str, after: str) -> bool:
    """Tell if everything that was shown is still there, in its order; what is new may stand between."""
    later: Iterator[str] = iter(squeezed(after))
    return all(char in later for char in squeezed(before))


@pytest.fixture
def page(open_chat: Open, server: Any) -> Chat:
    return open_chat(server)


@pytest.mark.parametrize("answer", ANSWERS, ids=[each.strip().splitlines()[0][:30] for each in ANSWERS])
def test_what_was_shown_stays_while_an_answer_comes_letter_by_letter(page: Chat, answer: str) -> None:
    result = rendered(page, list(answer))
    assert result["raw"] == answer
    taken_back = [(before, after) for before, after in pairwise(result["shown"]) if not stays(before, after)]
    assert taken_back == []


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_that_streams_ends_as_one_that_comes_at_once(page: Chat, answer: str, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    assert rendered(page, pieces)["html"] == rendered(page, [answer])["html"]


def sections(count: int) -> str:
    return "".join(f"## Section {number}\n\nSome **words**.\n\n- one\n- two\n\n" for number in range(count))


def test_what_is_finished_is_never_touched_again(page: Chat) -> None:
    watch = """() => { window.touched = 0; new MutationObserver(all => all.forEach(({target, removedNodes}) => {
        if (target.matches?.('.prose, .prose__sheet')
            && [...removedNodes].some(node => !node.matches?.('.prose__plain'))) touched += 1;
        if (target.parentElement?.closest('h3, p')) touched += 1;
    })).observe(document.querySelector('[data-transcript]'), {childList: true, characterData: true, subtree: true}) }"""
    page.page.evaluate(watch)
    rendered(page, [f"{sections(1)}\n\n" for _ in range(50)], keep=True)
    assert page.page.evaluate("touched") == 0
    assert page.transcript.locator("h3").count() == 50


LINE = "Rain falls on **the sea**, `drop` by *drop*; 海上生明月. "
LONG = {
    "paragraph": (LINE * 300, "p", 4),
    "list": (f"- {LINE}\n" * 300, "ul", 3),
    "table": ("| a | b |\n|---|---|\n" + f"| {LINE} | 2 |\n" * 300, "table", 3),
    "quotation": (f"> {LINE}\n" * 300, "blockquote", 3),
}


@pytest.mark.parametrize(("text", "element", "parts"), LONG.values(), ids=LONG)
def test_a_long_block_is_cut_and_nothing_of_it_is_lost(page: Chat, text: str, element: str, parts: int) -> None:
    pieces = [text[at : at + 997] for at in range(0, len(text), 997)]
    result = rendered(page, pieces, keep=True)
    assert page.transcript.locator(f".prose {element}").count() >= parts - 1
    longest = page.page.evaluate(
        "element => Math.max(...[...document.querySelectorAll(element)].map(e => e.textContent.length))", element
    )
    assert longest <= 7000
    assert squeezed(result["shown"][-1]).count("Rainfallsonthesea,dropbydrop;海上生明月.") >= 297


def test_a_long_fence_grows_by_its_end_only(page: Chat) -> None:
    lines = "x = 1  # a line of code\n"
    result = rendered(page, ["```python\n", *[lines * 10] * 400, "```\n"], keep=True)
    code = page.transcript.locator("pre code")
    assert code.evaluate("code => code.textContent") == lines * 4000
    assert code.evaluate("code => Math.max(...[...code.children].map(each => each.textContent.length))") < 5000
    assert len(result["shown"]) == 403


def test_long_code_is_coloured_piece_by_piece(page: Chat) -> None:
    code = '"""\n' + "words in a string\n" * 1000 + '"""\nreturn 1\n'
    rendered(page, ["```python\n", code, "```\n"], keep=True)
    shown = page.transcript.locator("pre code")
    assert shown.evaluate("code => code.textContent") == code
    assert shown.locator(".code__part > .hljs-string").count() == shown.locator(".code__part").count() > 4
    expect(shown.locator(".hljs-keyword")).to_have_text("return")


def test_code_that_goes_on_after_its_end_is_one_text_in_one_colouring(page: Chat) -> None:
    begins = '"""\n' + "words in a string\n" * 300 + "and half a li"
    rendered(page, ["```python\n", begins], keep=True)
    code = page.transcript.locator("pre code")
    expect(code.locator(".hljs-string").first).to_contain_text("words in a string")
    page.page.evaluate(
        """async text => {
            const { rendering } = [...document.querySelectorAll('.prose')].at(-1);
            const step = () => new Promise(done => setTimeout(() => done(rendering.step(Infinity))));
            rendering.append(text);
            while (await step());
            rendering.end();
            window.stepping = setInterval(step);
        }""",
        'ne\n"""\nreturn 1\n',
    )
    expect(code.locator(".hljs-keyword")).to_have_text("return")
    assert code.evaluate("code => code.textContent") == begins + 'ne\n"""\nreturn 1\n'
    assert code.locator(".hljs-string .hljs-string").count() == 0


@pytest.mark.parametrize("thread", ["no script", "onmessage = () => { for (;;); };"], ids=["breaks", "comes to no end"])
def test_code_whose_thread_fails_stays_in_ink_and_what_comes_next_is_coloured(page: Chat, thread: str) -> None:
    script = "**/highlight_worker.js"
    page.page.route(script, lambda route: route.fulfill(body=thread, content_type="text/javascript"), times=1)
    page.page.clock.install()
    page.page.evaluate(COLOUR)
    page.page.clock.fast_forward(31_000)
    page.waits_for("window.coloured === false")
    page.page.evaluate(COLOUR)
    page.waits_for("window.coloured === true")


COLOUR = """async () => {
    const { highlight } = await import('/static/js/markdown/highlighter.js');
    highlight(['return'], 'python').then(() => (window.coloured = true), () => (window.coloured = false));
}"""


@pytest.mark.parametrize("language", ["python", "text"])
@pytest.mark.parametrize("size", [20, 997, 60_000])
def test_a_very_long_line_of_code_is_one_line_in_short_pieces(page: Chat, size: int, language: str) -> None:
    lines = ["short = 1\n", "long = [" + "'🙂', " * 6000 + "]\n", "last = 2\n"]
    text = f"```{language}\n{''.join(lines)}```\n"
    rendered(page, [text[at : at + size] for at in range(0, len(text), size)], keep=True)
    code = page.transcript.locator("pre code")
    assert code.evaluate("code => code.textContent") == "".join(lines)
    measured = "code => code.getBoundingClientRect().height / parseFloat(getComputedStyle(code).lineHeight)"
    assert round(code.evaluate(measured)) == len(lines)
    assert code.locator(".code__rest").count() > 5
    texts = "[...code.querySelectorAll('*')].flatMap(({childNodes}) => [...childNodes].map(({data}) => data ?? ''))"
    assert code.evaluate(f"code => Math.max(...{texts}.map(text => text.length))") < 9000
    assert code.evaluate(f"code => {texts}.every(text => text.isWellFormed())")


@pytest.mark.parametrize(
    "text", ["> " * 3000, "- " * 3000, "[" * 6000, "*a " * 2000, "$$" * 3000, "`a" * 3000, "| " * 3000]
)
def test_nonsense_is_shown_and_holds_nothing_up(page: Chat, text: str) -> None:
    assert rendered(page, [text, "\n\nand **on**"])["shown"][-1].endswith("and on")


def test_an_address_that_comes_last_makes_links_of_what_named_it(page: Chat) -> None:
    rendered(
        page,
        list("See [the text][1] and [2].\n\nMore.\n\n[1]: https://one.example\n[2]: https://two.example\n"),
        keep=True,
    )
    hrefs = page.transcript.get_by_role("link").evaluate_all("links => links.map(link => link.href)")
    assert hrefs == ["https://one.example/", "https://two.example/"]


SELECT = """words => {
    const walker = document.createTreeWalker(document.querySelector('[data-transcript] .prose'), NodeFilter.SHOW_TEXT);
    while (!walker.nextNode().data.includes(words));
    const at = walker.currentNode.data.indexOf(words);
    getSelection().setBaseAndExtent(walker.currentNode, at, walker.currentNode, at + words.length);
}"""
MORE = """pieces => {
    const { rendering } = document.querySelector('[data-transcript] .prose');
    for (const piece of pieces) { rendering.append(piece); while (rendering.step(Infinity)); }
}"""
OPEN = {
    "paragraph": ("The last, **open** paragraph", LINE * 120),
    "list": ("- one item\n- the **open** item", f" that goes on\n- {LINE}" * 120),
    "code": ("```text\nan open fence\n", "a line more\n" * 1000),
    "table": ("| a | b |\n|---|---|\n| an open cell | 2 |\n", f"| {LINE} | 2 |\n" * 120),
}


@pytest.mark.parametrize(("last", "more"), OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("words", ["words", "open"], ids=["finished", "last"])
def test_a_selection_stays_while_the_last_block_streams(page: Chat, words: str, last: str, more: str) -> None:
    rendered(page, [sections(2), last], end=False, keep=True)
    page.page.evaluate(SELECT, words)
    page.page.evaluate(MORE, [more[at : at + 97] for at in range(0, len(more), 97)])
    assert page.page.evaluate("getSelection().toString()") == words


def test_an_answer_that_goes_on_after_its_end_is_one_text(page: Chat) -> None:
    assert rendered(page, ["a **b"], end=False)["shown"][-1] == "a b"
    assert rendered(page, ["a **b"])["shown"][-1] == "a **b"


def test_code_can_be_copied_and_says_so(open_chat: Open, server: Any) -> None:
    chat = open_chat(server, permissions=["clipboard-read", "clipboard-write"])
    rendered(chat, ["```js\nconst a = '<b>';\n\nlet c;\n```\n"], keep=True)
    chat.button("Copy").click()
    expect(chat.button("Copied")).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "const a = '<b>';\n\nlet c;\n"
    expect(chat.transcript.locator(".hljs-keyword").first).to_have_text("const")
    expect(chat.button("Copy")).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_rendered_text(open_chat: Open, server: Any, color_scheme: str) -> None:
    chat = open_chat(server, color_scheme=color_scheme, reduced_motion="reduce")
    for answer in ANSWERS:
        rendered(chat, [answer], keep=True)
    expect(chat.transcript.locator(".hljs-keyword").first).to_be_visible()
    assert chat.faults() == []


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_widens_the_page(open_chat: Open, server: Any, width: int) -> None:
    chat = open_chat(server, viewport={"width": width, "height": 740})
    wide = [
        "w" * 400,
        "`" + "c" * 400 + "`",
        "```\n" + "f" * 400 + "\n```",
        "| " + "t" * 99 + " |" * 30 + "\n|" + "---|" * 30,
    ]
    wide.append("$$" + "x+" * 100 + "y$$")
    wide.append("| " + " | ".join(["cell"] * 30) + " |\n|" + "---|" * 30)
    for text in [*ANSWERS, *wide]:
        rendered(chat, [text], keep=True)
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_first_page_is_small_and_third_parties_come_after_it(open_chat: Open, server: Any) -> None:
    chat = open_chat(server)
    before = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    chat.waits_for(
        "performance.getEntriesByType('resource').filter(each => /purify|marked.js/.test(each.name)).length === 2"
    )
    found = f"performance.getEntriesByType('resource').map(each => [each.name, each.startTime < {before}])"
    entries: list[tuple[str, bool]] = chat.page.evaluate(found)
    parties = {Path(url).name: early for url, early in entries if "/vendor/" in url and "eventsource" not in url}
    assert parties == {"marked.js": False, "purify.js": False}
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', requests.get(server.url, timeout=10).text))
    assert {server.url + each for each in named} <= {url for url, early in entries if early}
    assert sum(on_the_line(server.url + each) for each in ["/", *named]) < 60_000


WATCH = """window.samples = window.seen = 0;
new MutationObserver((all) => all.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
    samples += Number(Boolean(node.matches?.('[data-exchange]') && node.textContent.includes('Last words')));
}))).observe(document, { childList: true, subtree: true });
requestAnimationFrame(function look() {
    seen += Number(document.body.innerText.includes('Last words'));
    requestAnimationFrame(look);
});"""


def test_the_sample_that_warms_the_page_up_is_never_seen(open_chat: Open, server: Any) -> None:
    chat = open_chat(server)
    chat.page.add_init_script(WATCH)
    chat.page.reload()
    chat.waits_for("samples === 1")
    chat.waits_for("document.querySelectorAll('[data-exchange]').length === 0")
    assert chat.page.evaluate("seen") == 0


def on_the_line(url: str) -> int:
    """Count the bytes of a response's body as a browser gets it."""
    response = requests.get(url, timeout=10, stream=True, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    return len(response.raw.read(decode_content=False))
