"""The words of the pages in three languages: `?lang=` goes first, then the cookie, then Accept-Language.

A switch is a plain link to the same page with `?lang=`, so nothing is ever redirected. The catalogues are flat: full
keys stand in templates and scripts as they stand in the files, and a test holds the two together.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response, g, request

LANGUAGES = {"en": ("EN", "English"), "zh-Hans": ("简", "简体中文"), "zh-Hant": ("繁", "繁體中文")}
TRANSLATIONS = Path(__file__).parent / "translations"
COOKIE = "lang"
YEAR_S = 365 * 86_400


def init_app(app: Flask) -> None:
    """Give the templates `t`, `messages`, `language`, `languages` and `in_language`, and remember a choice.

    Every catalogue is read here, so that a broken one stops start-up.
    """
    for tag in LANGUAGES:
        catalogue(tag)
    app.jinja_env.globals.update(
        t=t, messages=messages, language=language, languages=LANGUAGES, in_language=in_language
    )
    app.after_request(_remember)


@cache
def catalogue(tag: str) -> dict[str, str]:
    """Read all messages of one language."""
    words: dict[str, str] = json.loads((TRANSLATIONS / f"{tag}.json").read_text(encoding="utf-8"))
    return words


def t(key: str, **values: object) -> str:
    """Say the message `key` in the language of this request; `{name}` in it becomes the value of that name."""
    return catalogue(language())[key].format(**values)


def messages(*prefixes: str) -> dict[str, str]:
    """Collect the messages under some prefixes, with their full keys: what a script of the page may say."""
    return {key: text for key, text in catalogue(language()).items() if key.startswith(prefixes)}


def language() -> str:
    """Choose the language of this request, once."""
    if "language" not in g:
        g.language = next(filter(None, map(supported, _wishes())), "en")
    return str(g.language)


def in_language(tag: str) -> str:
    """Make the address of this same page in a language: what else its query says, it goes on saying."""
    return f"?{urlencode({**request.args.to_dict(), 'lang': tag})}"


def supported(tag: str) -> str | None:
    """Find ours for a language tag: `zh-TW`, `zh-HK` and `zh-MO` are written in traditional characters."""
    parts = set(tag.lower().replace("_", "-").split("-"))
    if "zh" in parts:
        return "zh-Hant" if "hant" in parts or ("hans" not in parts and parts & {"tw", "hk", "mo"}) else "zh-Hans"
    return "en" if "en" in parts else None


def _wishes() -> list[str]:
    accepted = [tag for tag, quality in request.accept_languages if quality > 0]
    return [request.args.get("lang", ""), request.cookies.get(COOKIE, ""), *accepted]


def _remember(response: Response) -> Response:
    if response.mimetype != "text/html":
        return response
    response.vary.update(("Accept-Language", "Cookie"))
    response.content_language.add(language())
    chosen = supported(request.args.get("lang", ""))
    if chosen:
        response.set_cookie(COOKIE, chosen, max_age=YEAR_S, secure=request.is_secure, httponly=True, samesite="Lax")
    return response
