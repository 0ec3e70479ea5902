"""The conversations of the current user: listed, searched, read, changed, deleted, exported (CONTRACT section 4).

Every change is also published on the user's channel, so that the other tabs and devices follow it. What belongs to
another user is a 404, as if it did not exist.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from flask import Blueprint, Response, jsonify, request, url_for

from answers.conversations import PAGE
from answers.export import as_markdown
from web.body import json_fields
from web.conversation_fields import conversation_fields
from web.document import read_document
from web.fields import FieldError
from web.file_documents import with_contents
from web.files import path_of
from web.news import as_json, tell, when
from web.services import services
from web.users import current_user

api_conversations = Blueprint("conversations", __name__, url_prefix="/api/conversations")

_MAX_QUERY_CHARS = 200
_MAX_LIMIT = 100
_ID_CHARS = 36
_NUMBER = re.compile(r"[0-9]{1,4}")


@api_conversations.get("")
def list_() -> Response:
    """List them, the last changed first; `before` of one page asks for the next, `q` searches titles and texts."""
    q, before = request.args.get("q", ""), request.args.get("before") or None
    if len(q) > _MAX_QUERY_CHARS:
        raise FieldError("q", f"The field q may have at most {_MAX_QUERY_CHARS} characters.")
    limit, pinned = _limit(request.args.get("limit")), _yes_or_no("pinned")
    try:
        page = services().store.conversations.list_(current_user(), q, before, limit, pinned)
    except ValueError as exc:
        raise FieldError("before", "The field before must be what another page of the list has given.") from exc
    return jsonify(conversations=[as_json(each) for each in page.conversations], before=page.before)


@api_conversations.post("")
def create() -> tuple[Response, int, dict[str, str]]:
    """Make an empty one; without a title it gets that of its first prompt."""
    given = conversation_fields(json_fields(), no_title="")
    made = services().store.conversations.create(current_user(), **given)
    tell(services().channels, made.user, "created", as_json(made))
    return jsonify(as_json(made)), 201, {"Location": url_for(".get", conversation=made.id)}


@api_conversations.post("/import")
def take_in() -> tuple[Response, int, dict[str, str]]:
    """Make one of a document that an export in JSON has given, here or elsewhere, under new ids."""
    here = services()
    # In base64 a file takes a third more.
    with here.intake.room():
        document = read_document(json_fields(here.settings.max_unsent_bytes * 3 // 2), here.settings.max_tokens)
    made = here.imports.take(current_user(), document)
    tell(here.channels, made.user, "created", as_json(made))
    return jsonify(as_json(made)), 201, {"Location": url_for(".get", conversation=made.id)}


@api_conversations.get("/<conversation>")
def get(conversation: str) -> Response:
    """Return one with all its messages, which `parent` makes a tree."""
    return jsonify(_whole(conversation))


@api_conversations.patch("/<conversation>")
def change(conversation: str) -> Response:
    """Give it another title, pin it or not, or say how its model is asked: any of these, and no more."""
    changes = conversation_fields(json_fields())
    if not changes:
        raise FieldError("title", "One of title, pinned, system, temperature and max_tokens is required.")
    changed = services().store.conversations.change(current_user(), conversation, **changes)
    tell(services().channels, changed.user, "changed", as_json(changed))
    return jsonify(as_json(changed))


@api_conversations.delete("/<conversation>")
def delete(conversation: str) -> tuple[str, int]:
    """Delete it with all its messages, for a while so that it can be restored; answers that still run are stopped."""
    here, user = services(), current_user()
    here.hidden.hide(user, conversation)  # first: no answer can begin any more, and nobody is told of one that ends
    tell(here.channels, user, "deleted", {"id": conversation})
    for answer in here.store.running_answers(conversation):
        if row := here.store.answer(answer):
            here.producers.stop(row)
    return "", 204


@api_conversations.post("/<conversation>/restore")
def restore(conversation: str) -> Response:
    """Bring back what was deleted a short while ago; to the other tabs it is a new one."""
    restored = services().hidden.restore(current_user(), conversation)
    tell(services().channels, restored.user, "created", as_json(restored))
    return jsonify(as_json(restored))


@api_conversations.post("/<conversation>/share")
def share(conversation: str) -> tuple[Response, int]:
    """Give it a link by which anyone may read it up to the answer `leaf`, or to the newest; each time the same."""
    fields = json_fields()
    leaf = fields.text("leaf", _ID_CHARS) if fields.values.get("leaf") is not None else None
    shared = services().shares.share(current_user(), conversation, leaf)
    tell(services().channels, shared.user, "changed", as_json(shared))
    return jsonify(path=as_json(shared)["shared"]), 201


@api_conversations.delete("/<conversation>/share")
def revoke(conversation: str) -> tuple[str, int]:
    """Let its link lead nowhere."""
    revoked = services().shares.revoke(current_user(), conversation)
    tell(services().channels, revoked.user, "changed", as_json(revoked))
    return "", 204


@api_conversations.get("/<conversation>/export")
def export(conversation: str) -> Response:
    """Return it as a document to keep: Markdown of its current branch, or everything as JSON."""
    form = request.args.get("format", "markdown")
    if form not in ("markdown", "json"):
        raise FieldError("format", "The field format must be markdown or json.")
    whole = _whole(conversation)
    if form == "json":
        whole = with_contents(current_user(), whole)
        body, kind, ending = orjson.dumps(whole, option=orjson.OPT_INDENT_2), "application/json", "json"
    else:
        text = as_markdown(whole["title"], whole["messages"])
        body, kind, ending = text.encode(), "text/markdown; charset=utf-8", "md"
    headers = {"Content-Disposition": f'attachment; filename="conversation-{conversation}.{ending}"'}
    return Response(body, content_type=kind, headers=headers)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise FieldError("limit", f"The field limit must be a whole number from 1 to {_MAX_LIMIT}.")
    return int(text)


def _yes_or_no(name: str) -> bool | None:
    given = request.args.get(name)
    if given not in (None, "true", "false"):
        raise FieldError(name, f"The field {name} must be true or false.")
    return None if given is None else given == "true"


def _whole(conversation: str) -> dict[str, Any]:
    found, messages = services().store.conversations.get(current_user(), conversation)
    return {**as_json(found), "messages": [_message_as_json(message) for message in messages]}


def _message_as_json(message: dict[str, Any]) -> dict[str, Any]:
    """Show a message; one that is still being written with its text so far."""
    shown = {name: value for name, value in message.items() if name != "created_us"}
    if "files" in shown:
        shown["files"] = [{**file, "path": path_of(file["id"])} for file in shown["files"]]
    row = services().store.answer(message["id"]) if message.get("state") == "running" else None
    if row is not None:
        now = vars(services().readers.as_it_is(row))
        shown = {name: now.get(name, value) for name, value in shown.items()}
    return {**shown, "created": when(message["created_us"])}
