"""What goes to Redis and comes from it, in whatever pieces it comes."""

from __future__ import annotations

from typing import Any

import pytest

from answers.redis_protocol import Garbled, Refused, Replies, packed

SAID = (
    b":12\r\n+OK\r\n$5\r\na\r\n\xffb\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:-3\r\n$0\r\n\r\n-NOSCRIPT No such script.\r\n"
)
MEANT = [12, b"OK", b"a\r\n\xffb", None, None, [], [[-3], b""], "NOSCRIPT No such script."]


def replies(*pieces: bytes) -> list[Any]:
    """Read pieces; refusals as their texts, since no two of them are equal."""
    read = Replies()
    for piece in pieces:
        read.feed(piece)
    return [str(reply) if isinstance(reply, Refused) else reply for reply in read.whole]


def test_replies_of_every_kind_are_read() -> None:
    assert replies(SAID) == MEANT


@pytest.mark.parametrize("size", range(1, 12))
def test_it_does_not_matter_where_they_are_cut(size: int) -> None:
    assert replies(*[SAID[at : at + size] for at in range(0, len(SAID), size)]) == MEANT


def test_half_a_reply_is_none() -> None:
    assert replies(SAID[:-1]) == MEANT[:-1]
    assert replies(b"*2\r\n:1\r\n") == []


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b":many\r\n", b"$x\r\n"])
def test_what_is_no_redis_is_told_from_one(said: bytes) -> None:
    with pytest.raises(Garbled):
        replies(said)


def test_a_refusal_names_its_kind() -> None:
    read = Replies()
    read.feed(b"-CROSSSLOT Keys in request don't hash to the same slot\r\n")
    assert read.whole[0].code == "CROSSSLOT"


def test_commands_hold_any_bytes_and_count_them() -> None:
    assert packed("SET", "什", b"\r\n\0", 7) == b"*4\r\n$3\r\nSET\r\n$3\r\n\xe4\xbb\x80\r\n$3\r\n\r\n\0\r\n$1\r\n7\r\n"
