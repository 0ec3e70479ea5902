"""Our files for browsers: compressed, and at addresses that change with their contents, so that each is fetched once.

Modules import one another by relative addresses, so the mark of the contents is a folder: `/static/v1a2b3c4d5e6f/js/`.
Without it they are served too, for those who name them in their own pages (docs/client.md), and asked after each time.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from gzip import compress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from flask import Flask, Response, request, send_from_directory

from web.current import this_request

_YEAR_S = 31_536_000
_TEXTS = {".css", ".js", ".json", ".svg", ".txt"}
_PAGE_LEVEL = 6
_MARK = re.compile(r"v[0-9a-f]{12}")
_IMPORT = re.compile(r"""^(?:import|export)\b\s*(?:[^'"=;()]*?\bfrom\s*)?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)


class Assets:
    """The files in a folder, as they are when the server starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def mark(self) -> str:
        """Make the mark of all their contents."""
        digest = sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(self._folder)}\0".encode() + sha256(path.read_bytes()).digest())
        return f"v{digest.hexdigest()[:12]}"

    @lru_cache(maxsize=16)  # noqa: B019 - there is one of us
    def modules(self, root: str) -> list[str]:
        """List what a module imports, and what that imports: a browser would find out one after the other."""
        found = [root]
        for name in found:
            text = (self._folder / name).read_text(encoding="utf-8")
            names = (normpath(PurePosixPath(name).parent / each) for each in _IMPORT.findall(text))
            found += [each for each in dict.fromkeys(names) if each not in found]
        return found[1:]


def init_app(app: Flask) -> None:
    """Mark the addresses in our pages, and compress what is worth it."""
    assets = Assets(Path(str(app.static_folder)))
    app.extensions["assets"] = assets
    app.jinja_env.globals["modules"] = assets.modules
    app.url_defaults(lambda endpoint, values: _mark(assets.mark, endpoint, values))
    app.after_request(_compress)


def serve(app: Flask, filename: str) -> Response:
    """Serve a file; under its mark it may be kept for a year, under another release's it is what it is here."""
    mark, _, rest = filename.partition("/")
    current = mark == app.extensions["assets"].mark
    name = rest if _MARK.fullmatch(mark) else filename
    response = send_from_directory(str(app.static_folder), name, max_age=_YEAR_S if current else None)
    response.cache_control.immutable = current
    return response


def _mark(mark: str, endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static":
        values["filename"] = f"{mark}/{values['filename']}"


def _compress(response: Response) -> Response:
    """Compress files, and those pages in which nothing stands that a request's address could put there (BREACH)."""
    here = this_request()
    file = here.endpoint == "static" and Path(here.path).suffix in _TEXTS
    page = response.is_sequence and here.blueprint == "pages"
    if not (file or page) or here.method != "GET" or response.status_code != 200:
        return response
    response.vary.add("Accept-Encoding")
    if here.accept_encodings.quality("gzip"):
        response.direct_passthrough = False
        body = response.get_data()
        response.close()  # the file
        response.set_data(_packed(body) if file else compress(body, _PAGE_LEVEL))
        response.headers["Content-Encoding"] = "gzip"
        _mark_as_packed(response)
    return response


def _mark_as_packed(response: Response) -> None:
    """Give the compressed form a validator of its own, and say so to who has it already."""
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(f"{etag}-gzip")
        response.make_conditional(request)


@lru_cache(maxsize=512)
def _packed(body: bytes) -> bytes:
    return compress(body, mtime=0)
