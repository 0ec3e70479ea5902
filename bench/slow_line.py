"""Open the chat page over a slow line, as Chromium emulates one: `python -m bench.slow_line`. docs/performance.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

from bench.programs import find
from tests.servers import Server

RTT_MS = 400
BITS_PER_S = 400_000
LINE = {"offline": False, "latency": RTT_MS, "downloadThroughput": BITS_PER_S / 8, "uploadThroughput": BITS_PER_S / 8}
# Usable: the page's own script has taken over the composer.
WATCH = """new MutationObserver((all, observer) => {
  if (document.querySelector('[data-hint]')?.hidden !== false) return;
  globalThis.usableMs = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true, attributeFilter: ['hidden'] })"""
USABLE = """() => new Promise((resolve) => {
  const look = () => (globalThis.usableMs ? resolve(usableMs) : setTimeout(look, 50));
  look();
})"""
FOUND = """(usableMs) => {
  const ours = ({ name, startTime }) => /static/.test(name) && startTime < usableMs;
  const all = performance.getEntriesByType('resource').filter(ours);
  const [page] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  const bytes = [page, ...all].reduce((sum, { transferSize }) => sum + transferSize, 0);
  return [paint.startTime, all.length + 1, bytes];
}"""


def visit(context: BrowserContext, url: str) -> str:
    """Open the page; say when words stood there, when it could be used, and what it took."""
    page = context.new_page()
    page.add_init_script(WATCH)
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", LINE)
    page.goto(url, wait_until="commit", timeout=120_000)
    usable = page.evaluate(USABLE)
    paint, requests, size = page.evaluate(FOUND, usable)
    page.close()
    return f"{paint / 1000:>10.1f} s{usable / 1000:>10.1f} s{requests:>10}{size / 1000:>10.1f} kB"


def main() -> int:
    """Measure a first visit and a second one, and print."""
    print(
        f"{RTT_MS} ms, {BITS_PER_S // 1000} kbit/s\n\n{'':<10}{'words':>12}{'usable':>12}{'requests':>10}{'bytes':>13}"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"]) as browser,
        browser.new_context() as context,
    ):
        for name in ("first", "second"):
            print(f"{name:<10}{visit(context, server.url)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
