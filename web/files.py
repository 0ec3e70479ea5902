"""Files that come with prompts: attached one by one, named when the prompt is sent, given back to their owner alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, jsonify

from answers.file_kinds import IMAGES, PDF
from answers.files import File
from web.body import form_and_files
from web.fields import FieldError
from web.i18n import t
from web.services import services
from web.users import current_user

files = Blueprint("files", __name__)

PATH = "/api/files"

_KEEP_S = 3600
_K = 1000
# Whatever stands in a file: where a browser shows it, it is nobody's page, and nothing in it runs or is fetched.
_ALONE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": f"private, max-age={_KEEP_S}",
}


@files.post(PATH)
def attach() -> tuple[Response, int, dict[str, str]]:
    """Keep the one file of a form until it is sent with a prompt."""
    here = services()
    with here.intake.room():
        _, uploads = form_and_files(here.settings.max_file_bytes)
        if len(uploads) != 1:
            raise FieldError("file", "The field file must be one file, with its name.")
        file = here.intake.take(current_user(), *uploads[0])
    path = path_of(file.id)
    return jsonify(file.shown() | {"path": path}), 201, {"Location": path}


@files.get(f"{PATH}/<file>")
def show(file: str) -> Response:
    """Give a file back: an image as it came, of anything else its text."""
    found, text, data = services().files.read(current_user(), file)
    is_image = found.type in IMAGES and data is not None
    how = "inline" if is_image else "attachment"
    headers = {**_ALONE, "Content-Disposition": f"{how}; filename*=UTF-8''{quote(_name(found), safe='')}"}
    body, kind = (data, found.type) if is_image else ((text or "").encode(), "text/plain; charset=utf-8")
    return Response(body, content_type=kind, headers=headers)


@files.delete(f"{PATH}/<file>")
def remove(file: str) -> tuple[str, int]:
    """Delete a file that is not sent."""
    services().files.remove(current_user(), file)
    return "", 204


def path_of(file: str) -> str:
    """Name the address of a file."""
    return f"{PATH}/{file}"


def linked(file: dict[str, Any]) -> dict[str, Any]:
    """Show a file of a message with its address, as a page shows it."""
    return {**file, "path": path_of(file["id"]), "cost": cost(file), "is_image": file["type"] in IMAGES}


def cost(file: dict[str, Any]) -> str:
    """Say how large a file is, and how many tokens it takes, about."""
    return t("file.cost", size=_size(file["bytes"]), tokens=f"{file['tokens']:,}")


def _size(count: int) -> str:
    """Write a number of bytes as the page's scripts do (files/words.js)."""
    for unit in ("B", "kB"):
        if count < _K:
            return f"{count:.0f} {unit}"
        count = round(count / _K)
    return f"{count:.0f} MB"


def _name(file: File) -> str:
    return f"{file.name}.txt" if file.type == PDF else file.name
