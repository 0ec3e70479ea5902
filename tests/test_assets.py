"""The files for browsers: small on the line, fetched once, and all that a page needs named in it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.apps import browser
from web.assets import Assets

PACKED = {"Accept-Encoding": "gzip, br"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with browser(tmp_path) as made:
        yield made


def fetch(client: FlaskClient, address: str, **headers: str) -> TestResponse:
    """Fetch a file, and close it."""
    with client.get(address, headers=headers, buffered=True) as response:
        return response


def marked(client: FlaskClient, name: str) -> str:
    """Give the address of a file as the chat page has it."""
    found = re.search(rf'"(/static/v\w{{12}}/{name})"', client.get("/").text)
    assert found
    return found[1]


def test_a_file_is_kept_for_ever_under_the_address_that_goes_with_its_contents(client: FlaskClient) -> None:
    file = fetch(client, marked(client, "css/base.css"))
    assert set(file.headers["Cache-Control"].split(", ")) == {"public", "max-age=31536000", "immutable"}
    assert file.data == Path("static/css/base.css").read_bytes()
    assert "Set-Cookie" not in file.headers and "Cookie" not in file.headers["Vary"]  # it may be kept for others


def test_a_file_without_a_mark_or_with_an_old_one_is_asked_after_each_time(client: FlaskClient) -> None:
    for address in ("/static/css/base.css", "/static/v0123456789ab/css/base.css"):
        file = fetch(client, address)
        assert (file.status_code, file.headers["Cache-Control"]) == (200, "no-cache")
        again = fetch(client, address, **{"If-None-Match": file.headers["ETag"]})
        assert again.status_code == 304


def test_files_are_compressed_for_who_takes_it_and_can_be_asked_after_so(client: FlaskClient) -> None:
    file = fetch(client, "/static/css/base.css", **PACKED)
    assert gzip.decompress(file.data) == Path("static/css/base.css").read_bytes()
    assert (file.headers["Content-Encoding"], file.headers["Vary"]) == ("gzip", "Accept-Encoding")
    again = fetch(client, "/static/css/base.css", **PACKED, **{"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_fonts_and_what_a_request_could_write_into_are_not_compressed(client: FlaskClient) -> None:
    font = next(Path("static/vendor/katex").rglob("*.woff2"))
    for address in (f"/{font}", "/conversations?q=x", "/login"):
        assert "Content-Encoding" not in fetch(client, address, **PACKED, Accept="text/html").headers


def test_the_page_names_every_module_that_its_own_imports(client: FlaskClient) -> None:
    page = gzip.decompress(client.get("/", headers=PACKED).data).decode()
    preloaded = set(re.findall(r'modulepreload" href="/static/v\w{12}/(js/[^"]*)"', page))
    assert {"js/chat/chat.js", "js/sse.js", "js/markdown/rendering.js"} <= preloaded
    assert not any("playground" in each or "sidebar" in each for each in preloaded)


def test_the_mark_follows_the_contents(tmp_path: Path) -> None:
    file = tmp_path / "a.js"
    file.write_text("import './b.js';")
    before = Assets(tmp_path).mark
    assert Assets(tmp_path).mark == before
    file.write_text("import './c.js';")
    assert Assets(tmp_path).mark != before


def test_each_module_is_listed_once_whatever_imports_it(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("import { b,\n  c } from './b.js';\nimport './sub/c.js';\nimport('./late.js');\n")
    (tmp_path / "b.js").write_text("export { c } from './sub/c.js';\nexport const from = './no.js';\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.js").write_text("import x from '../a.js';\n")
    assert Assets(tmp_path).modules("a.js") == ["b.js", "sub/c.js"]
