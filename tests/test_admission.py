"""Taking streams on: what fails on the way leaves no place taken and nothing half begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from relay.errors import Draining, JournalError, Overloaded, ReaderGone, TalkaboutError, UpstreamStopped
from relay.pipe import Pipe
from web.streams import Streams


@pytest.fixture(autouse=True)
def request_() -> Iterator[None]:
    """Stand in the middle of a request whose connection can be cut."""
    with Flask(__name__).test_request_context("/?cut=key"):
        yield


def pipe() -> Pipe:
    return Pipe(max_bytes=1, reader_timeout_s=1, heartbeat_s=1)


def fail(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize("error", [UpstreamStopped("stopped"), RuntimeError("a fault of ours")])
def test_a_stream_that_fails_before_it_begins_gives_its_place_back(error: Exception) -> None:
    streams = Streams(1, 0, lambda _: None)
    stream = streams.admit(pipe())
    with pytest.raises(type(error)):
        stream.before(fail(error))
    assert len(streams) == 0 and isinstance(stream.source.reason, ReaderGone)


def test_what_was_stopped_for_a_reason_fails_for_that_reason() -> None:
    stream = Streams(1, 0, lambda _: None).admit(pipe())
    stream.source.abandon(Draining())
    with pytest.raises(Draining):
        stream.before(fail(UpstreamStopped("stopped")))


def test_listening_for_cuts_is_tried_again_after_it_failed() -> None:
    tries: list[object] = []

    def listen(callback: Callable[[str], None]) -> None:
        tries.append(callback)
        if len(tries) == 1:
            raise JournalError("busy")

    streams = Streams(9, 0, listen)
    with pytest.raises(JournalError):
        streams.admit(pipe())
    streams.admit(pipe()), streams.admit(pipe())
    assert (len(tries), len(streams)) == (2, 2)


@pytest.mark.parametrize(("places", "reason"), [(0, Overloaded), (1, Draining)])
def test_nothing_goes_on_for_a_reader_that_was_refused(places: int, reason: type[TalkaboutError]) -> None:
    streams, source = Streams(places, 0, lambda _: None), pipe()
    streams.draining = reason is Draining
    with pytest.raises(reason):
        streams.admit(source)
    assert isinstance(source.reason, reason)
