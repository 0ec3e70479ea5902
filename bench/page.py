"""Trace Chromium while the chat page shows an answer of 200,000 characters: `python -m bench.page [answer|list|…]`.

Beside it the naive way: the whole text through a Markdown parser into innerHTML at each token. docs/performance.md.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from bench.programs import find
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, LIST, LISTS, Exchange, done, event, model_list
from tests.servers import Server

CHARS = 200_000
TOKEN_CHARS = 20
PAUSE_S = 0.001
LONG_MS = 50.0
BEHIND = 10  # in niceness: the server and the model, which elsewhere run on other machines, wait for the browser
NAIVE_S = 60  # the naive way is given no more than that
CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
LOREM = "Rain falls on **the sea**, `drop` by *drop*, and [nobody](https://example.com/) counts it; 海上生明月. "
CODE = "def rain(drops: int) -> str:\n    return f'{drops} drops'  # and more\n\n\n"
SECTION = f"""## A section

{LOREM * 3}

1. {LOREM}
2. {LOREM}
   - {LOREM}

| drop | size |
|:-----|-----:|
| one | **1** |
| two | 2 |

```python
{CODE * 4}```

> {LOREM}

Energy is $E = mc^2$, and

$$\\int_0^\\infty e^{{-x^2}}\\,dx = \\frac{{\\sqrt{{\\pi}}}}{{2}}$$

- [x] {LOREM}
- [ ] {LOREM}

"""
TEXTS = {
    "answer": SECTION,
    "paragraph": LOREM,
    "lines": f"{LOREM}\n",
    "list": f"- {LOREM}\n",
    "table": f"| {LOREM} | 2 |\n",
    "fence": CODE,  # one that has no end
    "code": f"```python\n{CODE * 250}```\n\n",
    "line": "x = [" + "1234, " * 1000,
}
HEADS = {"table": "| a | b |\n|---|---|\n", "fence": "```python\n", "line": "```python\n"}
NAIVE = """<!doctype html><meta charset="utf-8"><div data-answer></div><script type="module">
import { Answer } from '/static/js/answers/answer.js';
import { marked } from '/static/vendor/marked/marked.js';
const element = document.querySelector('[data-answer]');
let text = '';
for await (const event of new Answer({ prompt: 'x', model: 'mock' })) {
  if (event.type === 'text') element.innerHTML = marked.parse((text += event.content));
  element.dataset.chars = text.length;
  if (event.type === 'done') element.dataset.done = 'yes';
}
</script>"""
# The page itself tells when all is shown: whoever looks again and again from outside is seen in the trace.
WHOLE = """() => new Promise((resolve) => {
  const transcript = document.querySelector('[data-transcript]');
  const shown = () => transcript.querySelector('[data-answer].prose .prose__plain')?.textContent === '';
  const look = () => (shown() ? resolve() : setTimeout(look, 200));
  const ended = () => transcript.lastElementChild?.dataset.state === 'complete';
  if (ended()) return look();
  new MutationObserver((all, observer) => {
    if (!ended()) return;
    observer.disconnect();
    look();
  }).observe(transcript, { subtree: true, attributeFilter: ['data-state'] });
})"""
SHOWN = "() => document.querySelector('[data-answer]')?.dataset.done === 'yes'"


class Trace(NamedTuple):
    """What the page's main thread did."""

    longest_ms: float
    longest_cpu_ms: float  # without what it waited for a CPU
    long: int
    busy_s: float


def text_of(kind: str) -> str:
    """Write an answer of one kind."""
    text = TEXTS[kind]
    return (HEADS.get(kind, "") + text * (CHARS // len(text) + 1))[:CHARS]


def saying(text: str) -> Callable[[Exchange], bool]:
    """Make a model that says a text, token by token."""
    tokens = [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]

    def say(x: Exchange) -> bool:
        x.head(Transfer_Encoding="chunked")
        for token in tokens:
            x.chunked(event({"content": token}))
            x.rest(PAUSE_S)
        x.chunked(event({}, "stop"), done(), end=True)
        return True

    return say


@contextmanager
def running(text: str) -> Iterator[str]:
    """Run a server whose model says a text; give its address."""
    BEHAVIOURS["page"], LISTS["page"] = saying(text), model_list(LIST)
    with (
        tempfile.TemporaryDirectory() as folder,
        MisbehavingServer() as model,
        Server(Path(folder), TALKABOUT_UPSTREAM_URL=f"{model.url}/page") as server,
    ):
        yield server.url


def ready(page: Page, url: str) -> None:
    """Open the chat page and write a question."""
    page.goto(url)
    page.locator("#model").select_option("mock")
    page.fill("#prompt", "x")
    page.wait_for_timeout(1000)  # what comes when the page has nothing else to do


def ours(page: Page, _: str) -> None:
    """Ask in the chat page, and wait until the whole answer stands there."""
    page.press("#prompt", "Enter")
    page.evaluate(WHOLE)


def opened(page: Page, url: str) -> None:
    """Open the page of a conversation, and wait until its answer is set."""
    page.goto(url)
    page.evaluate(WHOLE)


def naive(page: Page, url: str) -> None:
    """Show the answer the naive way, as far as it comes."""
    page.route("**/naive", lambda route: route.fulfill(content_type="text/html", body=NAIVE))
    page.goto(f"{url}/naive")
    for _ in range(NAIVE_S):
        if page.evaluate(SHOWN):
            return
        page.wait_for_timeout(1000)
    print(f"  (after {NAIVE_S} s it had shown {page.locator('[data-answer]').get_attribute('data-chars')} characters)")


def traced(browser: Browser, page: Page, way: Callable[[Page, str], None], url: str) -> Trace:
    """Trace a page while it shows the answer."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    way(page, url)
    page.wait_for_timeout(500)  # formulas and colours
    return summary(json.loads(browser.stop_tracing())["traceEvents"])


def summary(events: list[dict[str, object]]) -> Trace:
    """Take the tasks of the busiest renderer's main thread."""
    threads: dict[tuple[object, object], list[tuple[float, float]]] = {
        (each["pid"], each["tid"]): [] for each in events if each.get("args") == {"name": "CrRendererMain"}
    }
    for each in events:
        if each["name"] == "RunTask" and (each["pid"], each["tid"]) in threads:
            took, cpu = (float(str(each.get(name, 0))) / 1000 for name in ("dur", "tdur"))
            threads[each["pid"], each["tid"]].append((took, cpu))
    tasks = max(threads.values(), key=lambda each: sum(took for took, _ in each))
    times = [each for each, _ in tasks]
    return Trace(max(times), max(cpu for _, cpu in tasks), sum(each > LONG_MS for each in times), sum(times) / 1000)


def measured(browser: Browser, kind: str) -> Iterator[tuple[str, Trace]]:
    """Measure one kind of answer: as it streams, as it is opened again, and once the naive way."""
    with running(text_of(kind)) as url:
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        page = context.new_page()
        ready(page, url)
        yield "ours", traced(browser, page, ours, url)
        there = page.url
        page.close()
        yield "opened", traced(browser, context.new_page(), opened, there)
        context.close()
        if kind == "answer":
            yield "naive", traced(browser, browser.new_page(viewport={"width": 1200, "height": 800}), naive, url)


def main(kinds: list[str]) -> int:
    """Measure and print; fail if ours worked for longer than 50 ms in one task while it streamed."""
    print(f"{CHARS:,} characters, {TOKEN_CHARS} a token\n")
    print(" " * 20 + f"{'longest task':>14}{'longest, CPU':>14}{'over 50 ms':>12}{'busy':>10}")
    failed = False
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"])
        os.nice(BEHIND)
        for kind in kinds or TEXTS:
            for way, trace in measured(browser, kind):
                failed |= way == "ours" and trace.longest_cpu_ms > LONG_MS
                took = f"{trace.longest_ms:>11.1f} ms{trace.longest_cpu_ms:>11.1f} ms"
                figures = f"{took}{trace.long:>12}{trace.busy_s:>8.1f} s"
                print(f"{kind}, {way}".ljust(20) + figures, flush=True)
        browser.close()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
