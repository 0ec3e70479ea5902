"""The languages: the same messages in each, every message used, and the right language for each reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

import app as whole  # noqa: F401 - with it come all kinds of errors
from relay.errors import TalkaboutError
from relay.file_errors import FileError
from web import i18n

ROOT = Path(__file__).parent.parent
KEYS = set(i18n.catalogue("en"))
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for pattern in ("templates/*.html", "web/*.py", "static/js/**/*.js")
    for path in ROOT.glob(pattern)
)
PLACEHOLDER = re.compile(r"\{\w+\}")


def codes(kind: type[TalkaboutError]) -> set[str]:
    """List what the errors of a tree are called in messages."""
    return {f"problem.{kind.__new__(kind).code}"}.union(*(codes(child) for child in kind.__subclasses__()))


def asked() -> set[str]:
    """Collect what the sources ask for, as patterns: `t("a." ~ name)` asks for every message under `a.`."""
    calls = re.findall(r"""\bt\(\s*((?:["'][\w.-]+["']|\w+(?:\.\w+)?|\s*~\s*)+)""", SOURCES)
    return {"".join(map(pattern, call.split("~"))) for call in calls if "'" in call or '"' in call}


def pattern(part: str) -> str:
    literal = re.fullmatch(r"""\s*["'](.*)["']\s*""", part)
    return re.escape(literal[1]) if literal else r"[\w-]+"


def in_scripts(key: str) -> bool:
    """Tell if a message that the scripts are given is named by one, with or without the prefix."""
    prefixes = re.findall(r'"([\w.]+\.)"', "".join(re.findall(r"messages\(.*?\)", SOURCES)))
    names = [key, *(key.removeprefix(prefix) for prefix in prefixes if key.startswith(prefix))]
    return any(f"'{name}'" in SOURCES for name in names)


def chosen(url: str = "/", **request: object) -> str:
    app = Flask("test")
    i18n.init_app(app)
    with app.test_request_context(url, **request):  # type: ignore[arg-type]
        return i18n.language()


def test_the_same_page_is_there_in_another_language() -> None:
    with Flask("test").test_request_context("/conversations?q=a%26b%22&before=1-x&lang=en"):
        assert i18n.in_language("zh-Hans") == "?q=a%26b%22&before=1-x&lang=zh-Hans"


@pytest.mark.parametrize("tag", i18n.LANGUAGES)
def test_every_language_has_the_same_messages_with_the_same_values(tag: str) -> None:
    words = i18n.catalogue(tag)
    assert set(words) == KEYS
    for key, text in words.items():
        assert text.strip()
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(i18n.catalogue("en")[key])), key


def test_every_message_that_is_asked_for_is_there() -> None:
    assert len(asked()) > 30
    assert [wish for wish in map(re.compile, asked()) if not any(map(wish.fullmatch, KEYS))] == []


def test_every_message_is_used() -> None:
    wishes = re.compile("|".join(asked()))
    said = {key for key in KEYS if wishes.fullmatch(key)}
    assert [key for key in sorted(KEYS - said - codes(TalkaboutError) - codes(FileError)) if not in_scripts(key)] == []


def test_the_chinese_catalogues_are_written_in_their_own_characters() -> None:
    assert "问" in i18n.catalogue("zh-Hans")["chat.title"]
    assert "問" in i18n.catalogue("zh-Hant")["chat.title"]


@pytest.mark.parametrize(
    ("accept", "tag"),
    [
        ("", "en"),
        ("fr", "en"),
        ("de-AT, zh-TW;q=0.5", "zh-Hant"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-HK", "zh-Hant"),
        ("zh-Hant-CN", "zh-Hant"),
        ("zh-Hans-TW", "zh-Hans"),
        ("en-GB, zh;q=0.9", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=x, *;q=0.5", "en"),
    ],
)
def test_accept_language_chooses(accept: str, tag: str) -> None:
    assert chosen(headers={"Accept-Language": accept}) == tag


def test_the_cookie_goes_before_the_browser_and_the_link_before_both() -> None:
    request = {"Accept-Language": "en", "Cookie": "lang=zh-Hans"}
    assert chosen(headers=request) == "zh-Hans"
    assert chosen("/?lang=zh-Hant", headers=request) == "zh-Hant"
    assert chosen("/?lang=../../etc", headers=request) == "zh-Hans"
