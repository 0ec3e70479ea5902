"""Answers as rendered Markdown in a real browser: nothing flickers, and what streams ends as what comes at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.chat_page import Chat, Open, squeezed

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
ANSWERS = (DATA / "markdown_answers.md").read_text(encoding="utf-8").split("\n%%%\n")
RENDERING = (DATA / "rendering.js").read_text(encoding="utf-8").partition("\n")[2]


def rendered(chat: Chat, pieces: list[str], **more: bool) -> dict[str, Any]:
    """Render a text that comes in pieces, and give what was shown after each, the HTML in the end and the raw text."""
    result: dict[str, Any] = chat.page.evaluate(RENDERING, {"pieces": pieces, **more})
    return result


def stays(before: str, after: str) -> bool:
    """Tell if everything that was shown is still there, in its order; what is new may stand between."""
    later: Iterator[str] = iter(squeezed(after))
    return all(char in later for char in squeezed(before))


@pytest.fixture
def page(open_chat: Open, server: Any) -> Chat:
    return open_chat(server)


@pytest.mark.parametrize("answer", ANSWERS, ids=[each.strip().splitlines()[0][:30] for each in ANSWERS])
def test_what_was_shown_stays_while_an_answer_comes_letter_by_letter(page: Chat, answer: str) -> None:
    result = rendered(page, list(answer))
    assert result["raw"] == answer
    taken_back = [(before, after) for before, after in pairwise(result["shown"]) if not stays(before, after)]
    assert taken_back == []


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_that_streams_ends_as_one_that_comes_at_once(page: Chat, answer: str, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    assert rendered(page, pieces)["html"] == rendered(page, [answer])["html"]
