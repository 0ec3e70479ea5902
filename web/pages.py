"""The chat page. Without JavaScript its form posts here, and the answer streams into the page as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import escape
from werkzeug.wrappers import Response as AnyResponse

from answers.branches import Message, through, upto
from answers.conversations import Conversation
from answers.readers import TextOf
from answers.store import AnswerRow
from answers.tree import ROOT, ids_of
from relay.catalog import UnknownModel
from relay.chat import clean
from relay.errors import NotFound, TalkaboutError
from web.answers import own
from web.body import form_and_files, form_fields
from web.exchanges import MOST, begins, exchange, exchanges
from web.files import linked
from web.i18n import catalogue, language, t
from web.news import told_so_far
from web.services import services
from web.sidebar import beside
from web.statuses import retry_after, status_of
from web.users import current_caller, current_user, is_user, remember_browser

pages = Blueprint("pages", __name__)

_SHARED = ("question", "answer", "reasoning", "words", "model")


@pages.get("/")
def chat() -> str:
    """Show the chat page."""
    remember_browser()
    return _page()


@pages.get("/c/<conversation>")
def conversation(conversation: str) -> Response:
    """Show a branch of a conversation: through the message `leaf`, or to the newest. Back shows it as it is by then.

    Of a long one its last exchanges, and those from the message `from` on. With the message `upto`: what leads to it,
    for scripts that have the rest. With the prompt `edit`: what stands before it, and its text in the composer.
    """
    told = told_so_far(services().channels, current_user())  # first: what is told while the page is made is not in it
    here, messages = services().store.conversations.get(current_user(), conversation)
    edited, last, leaf, first = (request.args.get(name) for name in ("edit", "upto", "leaf", "from"))
    if edited:
        shown = _editing(here, messages, edited)
    elif last:
        way = upto(messages, last)
        shown = _branch(here, messages, way[: len(way) - len(way) % 2])  # an unanswered prompt is no exchange
    else:
        shown = _branch(here, messages, through(messages, leaf), leaf, first)
    page = _page(told=told, **shown)
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})


@pages.get("/s/<token>")
def shared(token: str) -> Response:
    """Show, to anyone who has the link, a conversation up to the answer that it was shared with."""
    here, way = services().shares.follow(token)
    if not is_user(here.user):
        raise NotFound(f"whoever has shared {here.id} is no user any more")
    shown = [exchange(*each) for each in zip(way[::2], way[1::2], strict=True)]
    texts = [{name: each[name] for name in _SHARED} | {"files": _names(each["files"])} for each in shown]
    page = render_template("shared.html", title=here.title, exchanges=texts)
    headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    return Response(page, mimetype="text/html", headers=headers)


@pages.post("/")
def ask() -> ResponseReturnValue:
    """Answer the form: the page again, with the answer streaming into it, or with what is wrong at the field."""
    with services().intake.room():
        form, uploads = form_and_files(services().settings.max_unsent_bytes)
        fields = form.values
        prompt, model = clean(fields.get("prompt", "").replace("\r\n", "\n")), fields.get("model", "")
        conversation, parent = fields.get("conversation"), fields.get("parent")
        shown = _before(conversation, parent) if conversation else {}
        where = {"conversation": conversation, "parent": parent} if conversation else {}
        shown["model"] = model or shown.get("model", "")
        attached = services().files.find(current_user(), fields.get("attached", "").split())
        files = [linked(file.shown()) for file in attached]
        new = {"question": prompt, "files": files}
        if mistake := _mistake(prompt):
            return _page(**shown, draft=prompt, attached=files, error=mistake), 422

        def begin() -> AnswerRow:
            for each in uploads:
                files.append(linked(services().intake.take(current_user(), *each).shown()))
            ids = tuple(file["id"] for file in files)
            return services().begin(current_caller(), prompt, model or None, ids, **where)

        return _answered(new, shown, begin)


@pages.post("/answers/<answer>/again")
def again(answer: str) -> ResponseReturnValue:
    """Ask the prompt of an answer once more: the model `model`, or the one that has answered."""
    row = own(answer)
    shown, prompt = _up_to_prompt(row)
    model = shown["model"] = form_fields().values.get("model") or row.model
    where: dict[str, str | None] = {"conversation": row.conversation, "parent": prompt["parent"] or ROOT}
    asked, files = prompt["content"], ids_of(prompt["files"])
    return _answered(_question(prompt), shown, lambda: services().begin(current_caller(), asked, model, files, **where))


@pages.post("/answers/<answer>/continue")
def go_on(answer: str) -> ResponseReturnValue:
    """Take an answer up again where its text ends; one that cannot be is shown as it is."""
    row = own(answer)
    if row.state in ("running", "complete"):
        return redirect(f"/c/{row.conversation}?leaf={row.id}", 303)
    shown, prompt = _up_to_prompt(row)
    return _answered(_question(prompt), shown, lambda: services().go_on(current_caller(), row))


def _answered(new: dict[str, Any], shown: dict[str, Any], begin: Callable[[], AnswerRow]) -> ResponseReturnValue:
    """Have an answer begin, and stream it into the page behind what is shown before it; `new` shows its prompt."""
    draft = {"draft": new["question"], "attached": new["files"]}
    try:
        row = begin()
        head, tail = _around(row, new, shown)
        stream = services().text(row, _ending(language()), lambda text: Framed(head, text, tail))
    except UnknownModel:
        return _page(**{**shown, "model": ""}, **draft, error=t("chat.error.model")), 422
    except TalkaboutError as error:
        status, words = status_of(error), _words(error, language())
        return _page(**shown, **draft, error=words), status, retry_after(status, error.wait_s)
    return stream.response("text/html")


def _question(prompt: Message) -> dict[str, Any]:
    return {"question": prompt["content"], "files": [linked(file) for file in prompt["files"]]}


@pages.post("/answers/<answer>/stop")
def stop(answer: str) -> AnyResponse:
    """Stop an answer from the page that shows it, without JavaScript."""
    row = services().producers.stop(own(answer))
    return redirect(f"/c/{row.conversation}?leaf={row.id}", 303)


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


def _branch(here: Conversation, messages: list[Message], way: list[Message], *wanted: str | None) -> dict[str, Any]:
    begin = begins(way, *wanted)
    earlier = {"above": way[begin - 1]["id"], "earlier": way[max(0, begin - 2 * MOST)]["id"]} if begin else {}
    model = way[-1]["model"] if way else ""
    return {"model": model, "open_one": here, "exchanges": exchanges(here.id, messages, way[begin:]), **earlier}


def _editing(here: Conversation, messages: list[Message], prompt: str) -> dict[str, Any]:
    """Show what is before a prompt, which is to be asked in other words. Raises NotFound."""
    way = upto(messages, prompt)
    if way[-1]["role"] != "user":
        raise NotFound(f"{prompt!r} is no prompt")
    new = _question(way[-1])
    return {**_branch(here, messages, way[:-1]), "draft": new["question"], "attached": new["files"], "edited": prompt}


def _up_to_prompt(row: AnswerRow) -> tuple[dict[str, Any], Message]:
    """Show what is before the prompt of an answer, and give that prompt."""
    here, messages = services().store.conversations.get(row.user, row.conversation)
    way = upto(messages, row.parent)
    return _branch(here, messages, way[:-1]), way[-1]


def _before(conversation: str, parent: str | None) -> dict[str, Any]:
    """Show what a prompt follows that the form asks in a conversation, as its field `parent` says.

    Raises NotFound for a parent that is no answer of the conversation.
    """
    here, messages = services().store.conversations.get(current_user(), conversation)
    way = upto(messages, parent) if parent else through(messages) if parent is None else []
    if way and way[-1]["role"] == "user":
        raise NotFound(f"no answer {parent!r} in the conversation")
    return _branch(here, messages, way)


def _around(row: AnswerRow, new: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """Make what is before and behind an answer in the page that it streams into; `new` shows its prompt."""
    mark = secrets.token_hex(16)
    new = {**new, "answer": mark, "leaf": row.id, "asked": row.parent, "stop": row.id}
    page = _page(**{**shown, "open_one": row.within, "exchanges": [*shown.get("exchanges", ()), new], "streams": True})
    return page.split(mark)


def _names(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave of files what anyone may see: their names."""
    return [{"name": file["name"]} for file in files]


def _page(model: str = "", open_one: Conversation | None = None, **values: Any) -> str:
    here = services()
    models = here.catalog.models()
    chosen = model if model in models else models[0]
    if open_one:
        values |= {"title": open_one.title, "conversation": open_one.id}
    values |= beside(open_one)
    values["seeing"] = [each for each in models if here.catalog.takes_images(each)]
    values["limits"] = here.settings
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
