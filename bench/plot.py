"""The comparison as a picture: a panel for each test, a bar for each relay, a mark where a path's target is."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from xml.sax.saxutils import escape

from bench.loads import LOADS
from bench.peers import USUAL
from bench.report import TARGETS, TESTS, Results

WIDTH, LEFT, RIGHT, TOP, BAR, PITCH, TITLE, GAP = 760, 96, 90, 64, 13, 19, 24, 16
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .paper { fill: #ffffff } .title { font-weight: 600 } .head { font-size: 15px; font-weight: 600 }
  .name { text-anchor: end }
  .others { fill: #b6bec8 } .ours { fill: #2f6fdb } .spread { stroke: #57606a; stroke-width: 1.5 }
  .target { stroke: #c4321f; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .paper { fill: #0d1117 } .others { fill: #4d5661 } .ours { fill: #5c95f5 }
    .spread { stroke: #b1bac4 } .target { stroke: #ff7b6b }
  }
"""


def as_svg(results: Results) -> str:
    """Draw it; light or dark as the reader's system is."""
    parts: list[str] = []
    y = TOP
    for test in TESTS:
        peers = [peer for peer in results.peers if peer != "direct" and results.of(test, peer)]
        if peers:
            parts += _panel(results, test, sorted(peers, key=lambda peer: (peer in TARGETS, peer not in USUAL)), y)
            y += TITLE + PITCH * len(peers) + GAP
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="what">',
            '<title id="what">CPU time that relays take for a token, in five tests</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{y}"/>',
            _text(16, 26, "CPU that a token costs; less is better", "head"),
            _text(
                16,
                46,
                "One worker each. Thin line: lowest to highest repetition. Red mark: the most that was promised.",
            ),
            *parts,
            "</svg>\n",
        ]
    )


def _panel(results: Results, test: str, peers: list[str], y: int) -> Iterator[str]:
    """Draw one test; the scale is that of the usual peers, and what is longer is cut off."""
    unit = "ms a request" if test == "D" else "µs a token"
    yield _text(16, y + 12, f"{test} {LOADS[test].title} ({unit})", "title")
    usual = [peer for peer in peers if peer in USUAL] or peers
    longest = max([max(results.costs(test, peer)) for peer in usual] + [_target(results, test, peer) for peer in peers])
    scale = (WIDTH - LEFT - RIGHT) / (longest or 1)
    for i, peer in enumerate(peers):
        yield from _bar(results, test, peer, scale, y + TITLE + PITCH * i)


def _bar(results: Results, test: str, peer: str, scale: float, y: int) -> Iterator[str]:
    costs = results.costs(test, peer)
    cost, target = statistics.median(costs), _target(results, test, peer)
    end, middle, right = LEFT + cost * scale, y + BAR / 2, WIDTH - RIGHT
    yield _text(LEFT - 8, y + BAR - 2, peer, "name")
    kind = "ours" if peer in TARGETS else "others"
    yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{min(end, right) - LEFT:.1f}" height="{BAR}"/>'
    if end <= right:
        yield _line("spread", LEFT + min(costs) * scale, middle, LEFT + max(costs) * scale, middle)
    if target:
        yield _line("target", LEFT + target * scale, y - 2, LEFT + target * scale, y + BAR + 2)
    value = f"{cost:.2f}" if cost < 10 else f"{cost:,.0f}"
    beside = max(LEFT + max(costs) * scale, LEFT + target * scale)
    yield _text(min(beside, right) + 6, y + BAR - 2, f"{value} →" if end > right else value)


def _target(results: Results, test: str, peer: str) -> float:
    """Tell the most that a path may take here; 0 if nothing was promised, or not against anybody who is here."""
    held = [(most, results.costs(test, other)) for most, other in TARGETS.get(peer, {}).get(test, [])]
    return min((most * statistics.median(costs) for most, costs in held if costs), default=0.0)


def _text(x: float, y: float, text: str, kind: str = "plain") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
