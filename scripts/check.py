"""Run every check, whatever fails, and close with one summary: `check.py [part ...]`.

The Python tests, in two processes, and those in a browser run beside each other, since they wait much of the time; what
a part says is shown when it has ended.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "test-results"
BIN = Path(sys.executable).parent
OUR_JAVASCRIPT = ("static/js/**/*.js", "tests/js/**/*.js", "tests/clients/*.mjs", "scripts/*.mjs")
AT_ONCE = 2
HANG_S = 300  # a test that takes longer than this hangs; its stacks are shown, and the part ends


output: ContextVar[IO[str]] = ContextVar("output", default=sys.stdout)


class Count(NamedTuple):
    """How many checks of a part passed and failed, and the names of those that failed, where they have any."""

    passed: int
    failed: int
    names: tuple[str, ...] = ()


def lint() -> Count:
    """Check style, types, lock files and the syntax of our JavaScript."""
    checks = [
        run(BIN / "ruff", "check"),
        run(BIN / "ruff", "format", "--check"),
        run(BIN / "mypy"),
        run(sys.executable, ROOT / "scripts/check_locks.py"),
        *map(node_check, sorted(script for glob in OUR_JAVASCRIPT for script in ROOT.glob(glob))),
    ]
    return Count(checks.count(0), len(checks) - checks.count(0))


def node_check(script: Path) -> int:
    """Check the syntax of one JavaScript file; return node's exit status."""
    checked = subprocess.run(
        ["node", "--check", script],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output.get(),
        stderr=subprocess.STDOUT,
        check=False,
    )
    return checked.returncode


def python() -> Count:
    """Run the Python tests that need no browser."""
    # File by file, for what the tests of one share, and as they stand: the many-tested are not the long ones. They let
    # the browser go first, beside which they run: where that gets no CPU, its frames come to a stand.
    return pytest("python", "not browser", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", behind=5)


def javascript() -> Count:
    """Run the JavaScript tests under node."""
    tap = RESULTS / "javascript.tap"
    reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    reporters += ["--test-reporter=tap", f"--test-reporter-destination={tap}"]
    # By name: what a folder means to `node --test` differs between its versions.
    files = sorted(ROOT.glob("tests/js/**/*.test.js"))
    status = run("node", "--test", f"--test-timeout={HANG_S * 1000}", *reporters, *files)
    said = tap.read_text() if tap.exists() else ""
    found = dict(re.findall(r"^# (pass|fail|cancelled) (\d+)$", said, re.MULTILINE))
    names = re.findall(r"^ *not ok \d+ - (.*)$", said, re.MULTILINE)
    failed = int(found.get("fail", 0)) + int(found.get("cancelled", 0))
    return at_least_one(status, int(found.get("pass", 0)), failed, names)


def browser() -> Count:
    """Run the tests in a real Chromium."""
    return pytest("browser", "browser")


def pytest(name: str, marked: str, *more: str, behind: int = 0) -> Count:
    """Run the Python tests with or without a mark, so much `behind` in niceness, and count them in their report."""
    report = RESULTS / f"{name}.xml"
    hang = ["-o", f"faulthandler_timeout={HANG_S}", "-o", "faulthandler_exit_on_timeout=true"]
    status = run("nice", "-n", str(behind), BIN / "pytest", "-m", marked, f"--junitxml={report}", *hang, *more)
    suite = ET.parse(report).find("testsuite") if report.exists() else None
    suite = ET.Element("testsuite") if suite is None else suite
    tests, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    names = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return at_least_one(status, max(0, tests - failures - errors - skipped), failures + errors, names)


def at_least_one(status: int, passed: int, failed: int, names: list[str]) -> Count:
    """Count a part that broke off, or that found no tests at all, as one failure."""
    return Count(passed, failed or int(status != 0 or not passed), tuple(names))


def run(*command: str | Path) -> int:
    """Run a command in the project's folder; return its exit status."""
    out = output.get()
    print("\n$", *(str(word).replace(f"{ROOT}/", "") for word in command), file=out, flush=True)
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode


def check(name: str) -> tuple[Count, str]:
    """Run one part; show what it said; return what it found, and its line of the summary."""
    began = time.monotonic()
    log = RESULTS / f"{name}.log"
    with log.open("w") as out:
        output.set(out)
        count = PARTS[name]()
    print(log.read_text(errors="replace"), flush=True)
    result = "FAILED" if count.failed else "ok"
    return count, f"{name:<12}{result:<8}{count.passed + count.failed:>6}{time.monotonic() - began:>9.1f}"


def main(names: list[str]) -> int:
    """Run the named parts, or all; print the summary; return the exit status."""
    RESULTS.mkdir(exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        counts, lines = zip(*pool.map(check, names or PARTS), strict=True)
    passed, failed = sum(each.passed for each in counts), sum(each.failed for each in counts)
    print(f"\n{'part':<12}{'result':<8}{'tests':>6}{'seconds':>9}", *lines, sep="\n")
    print(*(f"failed: {name}" for each in counts for name in each.names), sep="\n", end="\n" * (failed > 0))
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


# The shortest first, and the longest two beside each other.
PARTS: dict[str, Callable[[], Count]] = {each.__name__: each for each in (lint, javascript, python, browser)}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
