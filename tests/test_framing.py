"""The framing of a body: however it is cut, the same bytes and the same end; what is wrong is said so."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.framing import MAX_LINE_BYTES, Chunked, Counted, Framing, FramingError, UntilClosed, size_of

MANY = settings(max_examples=300, deadline=None, database=None)
BODIES = st.lists(st.binary(min_size=1, max_size=40) | st.sampled_from([b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n"]))
TEXTS = st.text("abc=:; \t", max_size=12)
CUTS = st.lists(st.integers(0, 400), max_size=30)
SIZES: list[Callable[[int], str]] = ["{:x}".format, "{:X}".format, "{:04x}".format, "{:x} ".format]


def framed(
    chunks: list[bytes], size: Callable[[int], str] = SIZES[0], extension: str = "", trailers: str = ""
) -> bytes:
    """Encode chunks, each with that extension."""
    said = [f"{size(len(chunk))}{extension}\r\n".encode() + chunk + b"\r\n" for chunk in chunks]
    return b"".join(said) + f"0{extension}\r\n{trailers}\r\n".encode()


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut at these positions."""
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def fed(framing: Framing, pieces: list[bytes]) -> bytes:
    """Feed pieces and join what comes; before the last one nothing may have ended."""
    body = b""
    for piece in pieces:
        assert not framing.ended
        body += framing.feed(piece)
    return body


# Chunked


@MANY
@given(BODIES, CUTS, st.sampled_from(SIZES), TEXTS, st.lists(TEXTS, max_size=3))
def test_chunks_give_the_same_body_wherever_they_are_cut(
    chunks: list[bytes], cuts: list[int], size: Callable[[int], str], extension: str, trailers: list[str]
) -> None:
    said = framed(chunks, size, extension and ";" + extension, "".join(f"Name: {text}\r\n" for text in trailers))
    framing = Chunked()
    assert fed(framing, pieces_of(said, cuts)) == b"".join(chunks)
    assert framing.ended and framing.clean


@MANY
@given(BODIES)
def test_a_chunked_body_ends_with_its_last_byte_and_not_before(chunks: list[bytes]) -> None:
    framing = Chunked()
    said = framed(chunks, extension=";x=1", trailers="A: b\r\n")
    assert fed(framing, [said[:-1]]) == b"".join(chunks) and not framing.ended
    assert framing.feed(said[-1:]) == b"" and framing.ended


@MANY
@given(BODIES, CUTS, st.binary(min_size=1) | st.just(b"5\r\nhello\r\n") | st.just(b"HTTP/1.1 200 OK\r\n"))
def test_bytes_behind_the_last_chunk_belong_to_nothing(chunks: list[bytes], cuts: list[int], more: bytes) -> None:
    said = framed(chunks)
    framing = Chunked()
    body = b"".join(map(framing.feed, pieces_of(said + more, [*cuts, len(said)])))
    assert body == b"".join(chunks)
    assert framing.ended and not framing.clean


@MANY
@given(BODIES, CUTS, st.integers(0, 60))
def test_a_chunk_that_is_not_whole_is_passed_on_at_once(chunks: list[bytes], cuts: list[int], come: int) -> None:
    chunk = b"x" * 60
    begun = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks) + b"3c\r\n" + chunk[:come]
    framing = Chunked()
    assert fed(framing, pieces_of(begun, cuts)) == b"".join(chunks) + chunk[:come]
    assert framing.feed(chunk[come:] + b"\r\n") == chunk[come:]


@MANY
@given(st.binary(min_size=1, max_size=300))
def test_one_whole_chunk_is_told_by_its_bytes_alone(content: bytes) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(content), content)
    assert size_of(chunk) == len(content)
    assert not any(size_of(chunk[:end]) for end in range(len(chunk)))
    assert not size_of(chunk + b"x") and not size_of(chunk + chunk) and not size_of(b"0" + chunk)


@pytest.mark.parametrize(
    "data", [b"", b"0\r\n\r\n", b"\r\n", b"\r\n\r\n", b"-1\r\n", b"1;x\r\na\r\n", b"A\r\n0123456789\r\n"]
)
def test_what_is_not_written_as_servers_write_it_is_taken_for_no_chunk(data: bytes) -> None:
    assert size_of(data) == 0


@MANY
@given(BODIES, CUTS, st.sampled_from(SIZES))
def test_where_a_chunk_begins_one_may_be_passed_by(
    chunks: list[bytes], cuts: list[int], size: Callable[[int], str]
) -> None:
    framing = Chunked()
    body = b""
    for piece in pieces_of(framed(chunks, size), cuts):
        whole = size_of(piece) if framing.between else 0
        body += piece[-whole - 2 : -2] if whole else framing.feed(piece)
    assert body == b"".join(chunks) and framing.ended


@pytest.mark.parametrize("size", [b"", b"x", b"-5", b"+5", b"0x5", b"1_0", b"5 5", b"\xc2\xb2", b";5", b"HTTP/1.1 200"])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_what_is_no_size_is_refused(size: bytes, cut: int) -> None:
    said = size + b"\r\nhello hello hello\r\n"
    framing = Chunked()
    with pytest.raises(FramingError, match="expected a chunk's size"):
        framing.feed(said[:cut])
        framing.feed(said[cut:])


@pytest.mark.parametrize("begin", [b"1\r\na\r\n", b""])
@pytest.mark.parametrize("tail", [b"", b"\r\n"])
@pytest.mark.parametrize("line", [b"1" * MAX_LINE_BYTES + b"1", b"5;" + b"x" * MAX_LINE_BYTES])
def test_a_size_that_is_too_long_is_refused_whole_or_not(begin: bytes, tail: bytes, line: bytes) -> None:
    with pytest.raises(FramingError, match="too long"):
        Chunked().feed(begin + line + tail)


@pytest.mark.parametrize("trailers", [b"A: " + b"x" * MAX_LINE_BYTES, b"A: bcd\r\n" * (MAX_LINE_BYTES // 8 + 1)])
def test_trailers_that_are_too_long_together_are_refused(trailers: bytes) -> None:
    framing = Chunked()
    framing.feed(b"0\r\n")
    with pytest.raises(FramingError, match="too long"):
        for place in range(0, len(trailers), 100):
            framing.feed(trailers[place : place + 100])


def test_a_chunk_without_its_line_end_is_refused() -> None:
    with pytest.raises(FramingError, match="longer than it says"):
        Chunked().feed(b"5\r\nhello!\r\n")


@MANY
@given(BODIES, st.integers(0, 400))
def test_a_chunked_body_that_is_cut_is_said_so(chunks: list[bytes], cut: int) -> None:
    said = framed(chunks)
    framing = Chunked()
    framing.feed(said[: min(cut, len(said) - 1)])
    with pytest.raises(FramingError):
        framing.cut()


# Counted


@MANY
@given(st.binary(min_size=1, max_size=200), CUTS)
def test_a_counted_body_is_the_same_wherever_it_is_cut(body: bytes, cuts: list[int]) -> None:
    framing = Counted(len(body))
    assert fed(framing, pieces_of(body, cuts)) == body
    assert framing.ended and framing.clean


def test_a_body_of_no_bytes_has_ended_before_any_came() -> None:
    assert Counted(0).ended and Counted(0).clean


def test_bytes_behind_a_counted_body_belong_to_nothing() -> None:
    framing = Counted(3)
    assert framing.feed(b"abcd") == b"abc"
    assert framing.ended and not framing.clean


def test_a_counted_body_on_a_connection_that_closes_stays_unclean() -> None:
    framing = Counted(3)
    framing.clean = False
    framing.feed(b"abc")
    assert framing.ended and not framing.clean


def test_a_counted_body_that_is_cut_says_how_much_is_missing() -> None:
    framing = Counted(10)
    framing.feed(b"abc")
    with pytest.raises(FramingError, match="7 bytes missing"):
        framing.cut()


# Until closed


@MANY
@given(st.binary(max_size=200), CUTS)
def test_without_a_framing_everything_is_body_until_the_connection_closes(body: bytes, cuts: list[int]) -> None:
    framing = UntilClosed()
    assert fed(framing, pieces_of(body, cuts)) == body
    assert not framing.ended
    assert framing.cut() == b"" and framing.ended and not framing.clean
