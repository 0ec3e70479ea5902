"""Long texts in a page: cut so that a browser need not lay them out whole, and without a change to a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.slices import SLICE_CHARS, pieces, sliced

TEXTS = {
    "lines": "a line of words\n" * 2000,
    "one line": "words " * 5000,
    "no blank": "海上生明月" * 5000,
    "long lines": ("words " * 1500 + "\n") * 5,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_pieces_are_the_text_and_none_is_long(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert max(map(len, pieces(text))) <= SLICE_CHARS


@given(st.text("a \n", min_size=SLICE_CHARS, max_size=3 * SLICE_CHARS))
def test_no_character_is_lost(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_a_text_is_cut_behind_a_line_or_else_behind_a_blank() -> None:
    assert all(piece.endswith("\n") for piece in pieces(TEXTS["lines"]))
    assert all(piece.endswith(" ") for piece in pieces(TEXTS["one line"]))


def test_a_short_text_is_left_whole_and_a_long_one_is_escaped() -> None:
    assert sliced("<b>") == "<b>"
    assert "<b>" not in sliced("<b>" * SLICE_CHARS)
