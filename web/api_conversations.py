"""The conversations of the current user: listed, searched, read, renamed, deleted, exported (CONTRACT section 4).

Every change is also published on the user's channel, so that the other tabs and devices follow it. What belongs to
another user is a 404, as if it did not exist.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Blueprint, Response, jsonify, request, url_for

from answers.conversations import MAX_TITLE_CHARS, PAGE, Conversation
from answers.export import as_markdown
from relay.errors import JournalError
from web.access import current_user
from web.body import FieldError, json_fields
from web.services import services

log = logging.getLogger(__name__)

api_conversations = Blueprint("conversations", __name__, url_prefix="/api/conversations")

_MAX_QUERY_CHARS = 200
_MAX_LIMIT = 100
_NUMBER = re.compile(r"[0-9]{1,4}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@api_conversations.get("")
def list_() -> Response:
    """List them, the last changed first; `before` of one page asks for the next, `q` searches titles and texts."""
    q = request.args.get("q", "")
    if len(q) > _MAX_QUERY_CHARS:
        raise FieldError("q", f"The field q may have at most {_MAX_QUERY_CHARS} characters.")
    try:
        page = services().store.conversations.list_(
            current_user(), q, request.args.get("before") or None, _limit(request.args.get("limit"))
        )
    except ValueError as exc:
        raise FieldError("before", "The field before must be what another page of the list has given.") from exc
    return jsonify(conversations=[as_json(each) for each in page.conversations], before=page.before)


@api_conversations.post("")
def create() -> tuple[Response, int, dict[str, str]]:
    """Make an empty one; without a title it gets that of its first prompt."""
    title = json_fields().text("title", MAX_TITLE_CHARS, default="")
    made = services().store.conversations.create(current_user(), title)
    publish(made.user, "created", as_json(made))
    return jsonify(as_json(made)), 201, {"Location": url_for(".get", conversation=made.id)}


@api_conversations.get("/<conversation>")
def get(conversation: str) -> Response:
    """Return one with all its messages, which `parent` makes a tree."""
    return jsonify(_whole(conversation))


@api_conversations.patch("/<conversation>")
def rename(conversation: str) -> Response:
    """Give it another title."""
    title = json_fields().text("title", MAX_TITLE_CHARS)
    renamed = services().store.conversations.rename(current_user(), conversation, title)
    publish(renamed.user, "changed", as_json(renamed))
    return jsonify(as_json(renamed))


@api_conversations.delete("/<conversation>")
def delete(conversation: str) -> tuple[str, int]:
    """Delete it with all its messages."""
    user = current_user()
    services().store.conversations.delete(user, conversation)
    publish(user, "deleted", {"id": conversation})
    return "", 204


@api_conversations.get("/<conversation>/export")
def export(conversation: str) -> Response:
    """Return it as a document to keep: Markdown of its current branch, or everything as JSON."""
    form = request.args.get("format", "markdown")
    if form not in ("markdown", "json"):
        raise FieldError("format", "The field format must be markdown or json.")
    if form == "json":
        response = Response(orjson.dumps(_whole(conversation), option=orjson.OPT_INDENT_2), mimetype="application/json")
    else:
        text = as_markdown(*services().store.conversations.get(current_user(), conversation))
        response = Response(text, content_type="text/markdown; charset=utf-8")
    ending = "json" if form == "json" else "md"
    response.headers["Content-Disposition"] = f'attachment; filename="conversation-{conversation}.{ending}"'
    return response


def as_json(conversation: Conversation) -> dict[str, Any]:
    """Show a conversation as its owner sees it in the list."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": _when(conversation.created_us),
        "changed": _when(conversation.changed_us),
    }


def publish(user: str, change: str, data: dict[str, Any]) -> None:
    """Tell the user's other tabs and devices that a conversation was `created`, `changed` or `deleted`."""
    try:
        services().channels.publish(user, orjson.dumps(data).decode(), f"conversation.{change}")
    except JournalError as error:  # the change itself is done, and they see it when they ask
        log.warning("nobody was told of a conversation that was %s: %s", change, error)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise FieldError("limit", f"The field limit must be a whole number from 1 to {_MAX_LIMIT}.")
    return int(text)


def _whole(conversation: str) -> dict[str, Any]:
    found, messages = services().store.conversations.get(current_user(), conversation)
    return {**as_json(found), "messages": [_message_as_json(message) for message in messages]}


def _message_as_json(message: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in message.items() if name != "created_us"}
    return {**rest, "created": _when(message["created_us"])}


def _when(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")
