"""The house rules, as tests: the rings, the sizes, and documents that say what the code does."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay import settings

ROOT = Path(__file__).parent.parent
RINGS = ("relay", "answers", "web")
FOLDERS = (*RINGS, "bench")
OURS = [
    ROOT / "app.py",
    ROOT / "wsgi.py",
    ROOT / "gunicorn.conf.py",
    *(p for folder in FOLDERS for p in (ROOT / folder).glob("*.py")),
]
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in OURS}
FUNCTIONS = [
    (f"{name}:{node.lineno} {node.name}", node)
    for name, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef)
]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def importers_of(package: str) -> set[str]:
    return {name for name, tree in TREES.items() if package in {module.partition(".")[0] for module in imported(tree)}}


def files(pattern: str) -> list[Path]:
    return [path for path in sorted(ROOT.glob(pattern)) if "vendor" not in path.parts]


@pytest.mark.parametrize(
    ("ring", "may_not"), [("relay", {"answers", "web", "app", "flask"}), ("answers", {"web", "app", "flask"})]
)
def test_a_ring_knows_nothing_of_those_around_it(ring: str, may_not: set[str]) -> None:
    for name, tree in TREES.items():
        if name.startswith(f"{ring}/"):
            assert not may_not & {module.partition(".")[0] for module in imported(tree)}, name


def test_requests_stands_only_where_the_upstream_is() -> None:
    assert importers_of("requests") == {
        "relay/upstream.py",
        "relay/session.py",
        "relay/body.py",
        "relay/exchange.py",
        "relay/demo_model.py",
    }


def test_gevent_stands_only_in_the_door_and_in_the_hot_path_s_one_module() -> None:
    assert importers_of("gevent") == {"wsgi.py", "gunicorn.conf.py", "relay/loop.py"}


def test_opentelemetry_stands_only_where_traces_are_made() -> None:
    assert importers_of("opentelemetry") == {"web/otel.py"}


def test_nothing_is_imported_inside_a_function() -> None:
    inside = [
        where for where, node in FUNCTIONS for part in ast.walk(node) if isinstance(part, (ast.Import, ast.ImportFrom))
    ]
    assert inside == []


def lines_of(node: ast.FunctionDef) -> int:
    """Count a function's lines, its docstring aside."""
    first = node.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) and first.end_lineno else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def test_functions_are_short() -> None:
    sizes = {where: lines_of(node) for where, node in FUNCTIONS}
    assert {where: size for where, size in sizes.items() if size > 45} == {}
    assert statistics.median(sizes.values()) <= 8


def test_modules_are_short() -> None:
    sizes = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in OURS if path.name != "__init__.py"
    }
    assert {name: size for name, size in sizes.items() if size > 250} == {}
    assert statistics.median(sizes.values()) <= 110


def test_what_is_public_has_a_docstring() -> None:
    public = [(where, node) for where, node in FUNCTIONS if not node.name.startswith("_") and node in _reachable()]
    without = [where for where, node in public if not ast.get_docstring(node)]
    assert without == []


def _reachable() -> set[ast.FunctionDef]:
    """Collect functions of modules and of public classes; not those inside functions."""
    bodies = [node for tree in TREES.values() for node in tree.body]
    bodies += [part for node in bodies if isinstance(node, ast.ClassDef) and node.name[0] != "_" for part in node.body]
    return {node for node in bodies if isinstance(node, ast.FunctionDef)}


def test_every_setting_is_documented_as_the_code_has_it() -> None:
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == settings.as_markdown()


def test_scripts_never_write_html() -> None:
    writers = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [path.name for path in files("static/js/**/*.js") if writers.search(path.read_text(encoding="utf-8"))] == []


def test_templates_hold_no_script_and_no_style_of_their_own() -> None:
    inline = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
    assert [path.name for path in files("templates/*.html") if inline.search(path.read_text(encoding="utf-8"))] == []


def test_no_link_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not [line for line in listed.splitlines() if line.startswith("120000")]


def test_the_readme_has_its_first_command_by_line_20() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("make run" in line for line in lines[:20])


def test_links_between_documents_lead_somewhere() -> None:
    for path in [*files("*.md"), *files("docs/*.md")]:
        for target in re.findall(r"(?:\]\(|src=\")(?!https?:|#|mailto:)([^)#\"]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_changelog_begins_with_this_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version and f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
