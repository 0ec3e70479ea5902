"""The chat page. Without JavaScript its form posts here, and the answer streams into the page as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from markupsafe import escape

from answers.readers import TextOf
from answers.tree import branch
from relay.catalog import UnknownModel
from relay.errors import TalkaboutError
from web.body import form_fields
from web.i18n import catalogue, language, t
from web.services import services
from web.statuses import retry_after, status_of
from web.users import current_user, remember_browser

pages = Blueprint("pages", __name__)

_STATES = {
    "running": "live.writing",
    "stopped": "live.stopped",
    "interrupted": "live.interrupted",
    "failed": "live.failed",
}


@pages.get("/")
def chat() -> str:
    """Show the chat page."""
    remember_browser()
    return _page()


@pages.get("/c/<conversation>")
def conversation(conversation: str) -> Response:
    """Show a conversation: the branch that leads to its newest message. Back shows it as it is by then."""
    found, messages = services().store.conversations.get(current_user(), conversation)
    way = branch(messages, messages[-1]["id"] if messages else None)
    model = way[-1]["model"] if way else ""
    exchanges = [_exchange(prompt, answer) for prompt, answer in zip(way[::2], way[1::2], strict=True)]
    page = _page(model, title=found.title, conversation=found.id, exchanges=exchanges)
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})


def _exchange(prompt: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Show a prompt and its answer; one that is not complete with the number of the event that its text goes up to."""
    text, seq, state = answer, 0, answer["state"]
    row = services().store.answer(answer["id"]) if state != "complete" else None
    if row is not None:
        so_far = services().readers.so_far(row)
        text, seq = {"content": so_far.content, "reasoning": so_far.reasoning}, so_far.seq
    words = t(_STATES[state]) if state in _STATES else ""
    more = {"id": answer["id"], "state": state, "seq": seq, "error": answer["error"], "words": words}
    return {"question": prompt["content"], "answer": text["content"], "reasoning": text["reasoning"], **more}


@pages.post("/")
def ask() -> ResponseReturnValue:
    """Answer the form: the page again, with the answer streaming into it, or with what is wrong at the field."""
    fields = form_fields().values
    prompt, model = fields.get("prompt", "").replace("\r\n", "\n"), fields.get("model", "")
    if mistake := _mistake(prompt):
        return _page(model, draft=prompt, error=mistake), 422
    mark = secrets.token_hex(16)
    head, tail = _page(model, exchanges=[{"question": prompt, "answer": mark}]).split(mark)
    try:
        row = services().begin(current_user(), prompt, model or None)
        stream = services().text(row, _ending(language()), lambda text: Framed(head, text, tail))
    except UnknownModel:
        return _page(draft=prompt, error=t("chat.error.model")), 422
    except TalkaboutError as error:
        status = status_of(error)
        return _page(model, draft=prompt, error=_words(error, language())), status, retry_after(status)
    return stream.response("text/html")


class Framed:
    """The text of an answer as the middle of a page; the page's beginning leaves before the model speaks."""

    def __init__(self, head: str, text: TextOf, tail: str) -> None:
        self.abandon = text.abandon
        self._head, self._text, self._tail = head, text, tail

    @property
    def reason(self) -> TalkaboutError | None:
        """Tell why the text was abandoned, if it was."""
        return self._text.reason

    def __iter__(self) -> Iterator[bytes]:
        yield self._head.encode()
        for block in self._text:
            yield escape(block.decode()).encode()
        yield self._tail.encode()


def _page(model: str = "", **values: Any) -> str:
    here = services()
    models = here.catalog.models()
    chosen = model if model in models else models[0]
    return render_template("chat.html", models=models, model=chosen, limit=here.settings.max_prompt_chars, **values)


def _mistake(prompt: str) -> str:
    limit = services().settings.max_prompt_chars
    if not prompt.strip():
        return t("chat.error.blank")
    if len(prompt) > limit:
        return t("chat.error.long", length=len(prompt), limit=limit)
    return ""


def _ending(tag: str) -> Callable[[dict[str, Any]], str]:
    """Say in the text itself that it broke off; asked outside of the request, so the language comes along."""
    words = catalogue(tag)
    return lambda error: f"\n\n[{words.get('problem.' + error['code'], error['message'])}]\n"


def _words(error: TalkaboutError, tag: str) -> str:
    """Say an error in one of our languages; what has no translation is said as it is."""
    return catalogue(tag).get(f"problem.{error.code}", error.public)
