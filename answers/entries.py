"""What goes into the journal and comes out of it. The engines import this; all others take it from the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Entry(NamedTuple):
    """Hold one event of a stream: its number there, and its encoded block, which is written out as it is.

    Behind a `final` entry the stream's readers are done.
    """

    stream: str
    seq: int
    block: bytes
    final: bool = False


class Batch(NamedTuple):
    """Hold entries of one stream with consecutive seqs, from `owner`, who holds the stream's lease."""

    stream: str
    owner: str
    entries: list[Entry]


class News(NamedTuple):
    """Hold one entry that the journal numbers itself, in a stream that anybody writes to without a lease.

    `make_block` gets the seq and returns the block; it must only compute, raises nothing, and may be called again. Of
    the stream's older entries about the `keep` newest stay. `by` is nobody else's, so that what is tried again is
    written once.
    """

    stream: str
    make_block: Callable[[int], bytes]
    keep: int
    by: str
