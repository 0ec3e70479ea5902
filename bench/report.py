"""From rows to tables: medians, ratios to nginx and to the naive relay, and what was promised."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.compare import DISTURBED_CORES
from bench.loads import LOADS
from bench.measure import Row

TESTS = "AEBCD"
YARDSTICKS = ("nginx", "naive")
# By path and test: at most so many times what this relay takes.
TARGETS: dict[str, dict[str, list[tuple[float, str]]]] = {
    "raw": {
        "A": [(2.0, "nginx"), (1.0, "node")],
        "E": [(1.5, "nginx"), (1.0, "aiohttp"), (1.0, "node")],
        "B": [(1.3, "nginx")],
        "C": [(2.2, "nginx")],
        "D": [(0.6, "naive")],
    },
    "durable": {test: [(1.0, "naive")] for test in TESTS},
    "redis": {test: [(1.3, "naive")] for test in TESTS},
}
# In test A, milliseconds more than without any relay.
DELAY_TARGETS_MS = {"p50 a token": 0.3, "p99 a token": 10.0, "p50 to the first": 3.0}


def everything(rows: Iterable[Row]) -> list[str]:
    """Write all that the rows have to say, part by part; some parts may be empty."""
    rows = list(rows)
    results = Results(row for row in rows if "finding" not in row)
    findings = [row for row in rows if "finding" in row]
    parts = [comparison(results), delays(results)] if results.rows else []
    return [*parts, scenario_table(findings) if findings else "", "\n".join(faults(rows))]


class Results:
    """The rows of one comparison."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self.peers = list(dict.fromkeys(row["peer"] for row in sorted(self.rows, key=lambda row: row["repetition"])))

    def of(self, test: str, peer: str) -> list[Row]:
        """List what was measured of a peer in a test."""
        return [row for row in self.rows if (row["test"], row["peer"]) == (test, peer)]

    def costs(self, test: str, peer: str) -> list[float]:
        """List what it took: microseconds of CPU a token, in D milliseconds a request."""
        return [row["ms_per_request" if test == "D" else "us_per_token"] for row in self.of(test, peer)]

    def ratio(self, test: str, peer: str, other: str) -> float | None:
        """Divide the medians of two peers; None if one of them was not measured."""
        ours, theirs = self.costs(test, peer), self.costs(test, other)
        return statistics.median(ours) / statistics.median(theirs) if ours and theirs and min(theirs) > 0 else None

    def verdict(self, test: str, peer: str) -> str:
        """Hold a path against its targets; empty if it has none here, or none against anybody who was measured."""
        held = [(self.ratio(test, peer, other), most, other) for most, other in TARGETS.get(peer, {}).get(test, [])]
        said = [
            f"≤ {most:g} {other}: {'pass' if got <= most else 'MISS'}" for got, most, other in held if got is not None
        ]
        return ", ".join(said)


def comparison(results: Results) -> str:
    """Write the one table."""
    head = ["test", "relay", "CPU (min–max)", *(f"x {name}" for name in YARDSTICKS), "target", "whole", "tokens/s"]
    lines = [
        _comparison_line(results, test, peer) for test in TESTS for peer in results.peers if results.of(test, peer)
    ]
    legend = [f"{test}: {LOADS[test].title}" for test in TESTS if any(row["test"] == test for row in results.rows)]
    unit = "CPU in µs a token, in D in ms a request, of all the relay's processes; medians."
    return "\n".join([table([*head, "foreign cores"], lines), "", *legend, unit, *_redis_note(results)])


def _comparison_line(results: Results, test: str, peer: str) -> list[str]:
    rows, costs = results.of(test, peer), results.costs(test, peer)
    ratios = [results.ratio(test, peer, other) for other in YARDSTICKS]
    digits = 2 if test == "D" else 1
    speed = statistics.median(row["tokens"] / max(row["wall_s"], 1e-9) for row in rows)
    foreign = max(row["foreign_cores"] for row in rows)
    return [
        test,
        peer,
        f"{statistics.median(costs):.{digits}f} ({min(costs):.{digits}f}–{max(costs):.{digits}f})",
        *("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        results.verdict(test, peer),
        f"{sum(row['whole'] for row in rows)}/{sum(row['streams'] for row in rows)}",
        f"{speed:,.0f}",
        f"{foreign:.2f}{' !' if foreign > DISTURBED_CORES else ''}",
    ]


def _redis_note(results: Results) -> list[str]:
    costs = [row["redis_us_per_token"] for row in results.rows if row["peer"] == "redis" and row["test"] == "A"]
    return (
        [f"redis-server itself took {statistics.median(costs):.1f} µs a token in A, not counted above."]
        if costs
        else []
    )


def delays(results: Results) -> str:
    """Write what the relays add to the way of a token in test A; empty if the way without one was not measured."""
    bare = results.of("A", "direct")
    if not bare:
        return ""
    columns = {
        "p50 a token": ("delay_us", "p50"),
        "p99 a token": ("delay_us", "p99"),
        "p50 to the first": ("first_us", "p50"),
    }
    lines = []
    for peer in results.peers:
        rows = results.of("A", peer)
        if peer == "direct" or not rows:
            continue
        added = {name: (_median(rows, *path) - _median(bare, *path)) / 1000 for name, path in columns.items()}
        lines.append([peer, *(_against(ms, DELAY_TARGETS_MS[name], peer) for name, ms in added.items())])
    return table(["added in A, ms", *columns], lines)


def _against(ms: float, most: float, peer: str) -> str:
    return f"{ms:.2f}" + (f" (≤ {most:g}: {'pass' if ms <= most else 'MISS'})" if peer in TARGETS else "")


def _median(rows: Sequence[Row], name: str, share: str) -> float:
    return statistics.median(float(row[name][share]) for row in rows)


def scenario_table(rows: list[Row]) -> str:
    """Write what the scenarios have found."""
    lines = []
    for row in rows:
        finding = row["finding"]
        most, least, value = finding["at_most"], finding["at_least"], finding["value"]
        target = f"≤ {most:g}" if most is not None else f"≥ {least:g}" if least is not None else ""
        good = (most is None or value <= most) and (least is None or value >= least)
        verdict = f"{target}: {'pass' if good else 'MISS'}" if target else ""
        foreign = f"{row['foreign_cores']:.2f}"
        lines.append([row["test"], row["peer"], finding["what"], f"{value:,.6g}", verdict, foreign])
    return table(["scenario", "path", "what", "found", "target", "foreign cores"], lines)


def faults(rows: Iterable[Row]) -> list[str]:
    """Say what was wrong with streams that were not whole."""
    said = [
        f"{row['test']} {row['peer']}: {row['streams'] - row['whole']} of {row['streams']} streams not whole "
        f"{row['faults']}; the first: {row['fault']}"
        for row in rows
        if row["whole"] < row["streams"]
    ]
    return list(dict.fromkeys(said))


def progress(row: Row) -> str:
    """Write one row as it comes."""
    name = f"{row['test']:7} {row['peer']:14}"
    if "finding" in row:
        return f"{name} {row['finding']['what']}: {row['finding']['value']:,.6g}"
    cost = f"{row['us_per_token']:8.1f} µs a token {row['ms_per_request']:8.2f} ms a request"
    whole = f"whole {row['whole']}/{row['streams']}"
    return f"{row['repetition'] + 1} {name} {cost} {whole} foreign {row['foreign_cores']:.2f}"


def table(head: list[str], lines: list[list[str]]) -> str:
    """Write Markdown whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, lines)])
