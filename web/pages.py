"""The chat page. Without JavaScript its form posts here, and the answer streams into the page as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from markupsafe import escape

from relay.catalog import UnknownModel
from relay.errors import TalkaboutError
from relay.pipe import Pipe
from web.body import form_fields
from web.i18n import catalogue, language, t
from web.problems import retry_after, status_of
from web.services import services

pages = Blueprint("pages", __name__)


@pages.get("/")
def chat() -> str:
    """Show the chat page."""
    return _page()


@pages.post("/")
def ask() -> ResponseReturnValue:
    """Answer the form: the page again, with the answer streaming into it, or with what is wrong at the field."""
    fields = form_fields().values
    prompt, model = fields.get("prompt", "").replace("\r\n", "\n"), fields.get("model", "")
    if mistake := _mistake(prompt):
        return _page(model, draft=prompt, error=mistake), 422
    mark = secrets.token_hex(16)
    head, tail = _page(model, question=prompt, answer=mark).split(mark)
    try:
        stream = services().text(prompt, model or None, _ending(language()), lambda pipe: Framed(head, pipe, tail))
    except UnknownModel:
        return _page(draft=prompt, error=t("chat.error.model")), 422
    except TalkaboutError as error:
        status = status_of(error)
        return _page(model, draft=prompt, error=_words(error, language())), status, retry_after(status)
    return stream.response("text/html")


class Framed:
    """The text of an answer as the middle of a page; the page's beginning leaves before the model speaks."""

    def __init__(self, head: str, pipe: Pipe, tail: str) -> None:
        self.abandon = pipe.abandon
        self._head, self._pipe, self._tail = head, pipe, tail

    @property
    def reason(self) -> TalkaboutError | None:
        """Tell why the text was abandoned, if it was."""
        return self._pipe.reason

    def __iter__(self) -> Iterator[bytes]:
        yield self._head.encode()
        for block in self._pipe:
            yield escape(block.decode()).encode()
        yield self._tail.encode()


def _page(model: str = "", **values: str) -> str:
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


def _ending(tag: str) -> Callable[[TalkaboutError], str]:
    """Say in the text itself that it broke off; asked outside of the request, so the language comes along."""
    return lambda error: f"\n\n[{_words(error, tag)}]\n"


def _words(error: TalkaboutError, tag: str) -> str:
    """Say an error in one of our languages; what has no translation is said as it is."""
    return catalogue(tag).get(f"problem.{error.code}", error.public)
