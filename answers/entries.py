"""What goes into the journal and comes out of it. The engines import this; all others take it from the journal."""

from __future__ import annotations

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
