"""The pipe between a producer and the reader of a response; the whole file runs again under gevent's patch."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from gevent import monkey

from relay.errors import Draining, ReaderGone, ReaderTooSlow, StreamEnded, StreamTimeout, TalkaboutError
from relay.pipe import Pipe
from tests.patched import run_patched

LONG_S = 30.0


def make(**more: object) -> Pipe:
    return Pipe(**{"max_bytes": 8, "reader_timeout_s": LONG_S, "heartbeat_s": LONG_S, "heartbeat": b": ping\n", **more})


class Task(threading.Thread):
    """Run something in a thread; `outcome()` gives what it returned or the error that it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.work, self.result = work, None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.work()
        except TalkaboutError as error:
            self.result = error

    def outcome(self) -> object:
        self.join(LONG_S)
        assert not self.is_alive()
        return self.result


def test_the_reader_gets_everything_in_order_then_the_end() -> None:
    pipe = make()
    blocks = [b"%d," % n for n in range(500)]
    producer = Task(lambda: ([pipe.put(block) for block in blocks], pipe.close(b"end")))
    assert b"".join(pipe) == b"".join(blocks) + b"end"
    assert producer.outcome() and pipe.reason is None


def test_what_waits_comes_joined() -> None:
    pipe = make()
    reader = iter(pipe)
    for block in (b"a", b"b", b"c"):
        pipe.put(block)
    assert next(reader) == b"abc"


def test_a_waiting_reader_is_woken_by_a_block() -> None:
    pipe = make()
    reader = iter(pipe)
    first = Task(lambda: next(reader))
    first.join(0.02)
    pipe.put(b"now")
    assert first.outcome() == b"now"


def test_put_waits_while_the_pipe_is_full() -> None:
    pipe = make()
    reader = iter(pipe)
    pipe.put(b"12345678")
    second = Task(lambda: pipe.put(b"9"))
    second.join(0.05)
    assert second.is_alive()
    assert next(reader) == b"12345678"
    assert second.outcome() is None and next(reader) == b"9"


def test_put_gives_a_reader_up_that_takes_nothing() -> None:
    pipe = make(reader_timeout_s=0.05)
    pipe.put(b"12345678")
    with pytest.raises(ReaderTooSlow):
        pipe.put(b"9")
    assert isinstance(pipe.reason, ReaderTooSlow)
    assert list(pipe) == []


def test_a_block_beyond_the_bound_goes_alone_and_never_deadlocks() -> None:
    pipe = make(reader_timeout_s=0.05)
    pipe.put(b"x" * 100)
    assert next(reader := iter(pipe)) == b"x" * 100
    assert pipe.offer(b"y" * 100) and next(reader) == b"y" * 100


def test_offer_never_waits_and_drops_a_reader_that_is_full() -> None:
    pipe = make()
    assert pipe.offer(b"1234") and pipe.offer(b"5678")
    assert not pipe.offer(b"9")
    assert isinstance(pipe.reason, ReaderTooSlow)
    assert not pipe.offer(b"") and list(pipe) == []


def test_close_delivers_its_last_block_beyond_the_bound() -> None:
    pipe = make()
    pipe.put(b"12345678")
    pipe.close(b"terminal event")
    assert list(pipe) == [b"12345678terminal event"]


def test_close_is_idempotent_and_nothing_can_follow_it() -> None:
    pipe = make()
    pipe.close(b"a")
    pipe.close(b"b")
    with pytest.raises(StreamEnded):
        pipe.put(b"c")
    assert not pipe.offer(b"d") and list(pipe) == [b"a"]


def test_close_ends_a_waiting_reader_without_a_block() -> None:
    pipe = make()
    reader = Task(lambda: list(pipe))
    reader.join(0.02)
    pipe.close()
    assert reader.outcome() == []


def test_close_makes_a_put_that_waits_raise() -> None:
    pipe = make()
    pipe.put(b"12345678")
    second = Task(lambda: pipe.put(b"9"))
    second.join(0.02)
    pipe.close()
    assert isinstance(second.outcome(), StreamEnded)
    assert list(pipe) == [b"12345678"]


def test_abandon_makes_a_waiting_put_raise_at_once() -> None:
    pipe = make()
    pipe.put(b"12345678")
    second = Task(lambda: pipe.put(b"9"))
    second.join(0.02)
    pipe.abandon(gone := ReaderGone())
    assert second.outcome() is gone


def test_abandon_ends_a_waiting_reader_at_once() -> None:
    pipe = make()
    reader = Task(lambda: list(pipe))
    reader.join(0.02)
    pipe.abandon(ReaderGone())
    assert reader.outcome() == []


def test_abandon_throws_away_what_waits_and_what_comes_later() -> None:
    pipe = make()
    pipe.put(b"1234")
    pipe.abandon(ReaderGone())
    pipe.close(b"late")
    assert list(pipe) == []


def test_the_first_reason_counts() -> None:
    pipe = make()
    pipe.abandon(first := Draining())
    pipe.abandon(ReaderGone())
    assert pipe.reason is first
    with pytest.raises(Draining):
        pipe.put(b"x")


def test_a_lingering_reader_goes_on_until_the_producer_closes() -> None:
    pipe = make()
    pipe.put(b"before,")
    reader = Task(lambda: b"".join(pipe))
    pipe.abandon(Draining(), linger_s=LONG_S)
    with pytest.raises(Draining):
        pipe.put(b"after")
    pipe.close(b"done")
    assert reader.outcome() == b"before,done"


def test_a_reader_lingers_no_longer_than_it_may() -> None:
    pipe = make()
    pipe.put(b"before")
    pipe.abandon(Draining(), linger_s=0.05)
    assert list(pipe) == [b"before"]
    pipe.close(b"too late")
    assert list(pipe) == []


def test_a_reader_that_goes_while_it_lingers_ends_at_once() -> None:
    pipe = make()
    reader = Task(lambda: list(pipe))
    pipe.abandon(Draining(), linger_s=LONG_S)
    pipe.abandon(ReaderGone())
    assert reader.outcome() == []
    assert isinstance(pipe.reason, Draining)


def test_abandoning_a_closed_pipe_takes_nothing_from_the_reader() -> None:
    pipe = make()
    pipe.close(b"all of it")
    pipe.abandon(Draining())
    assert pipe.reason is None
    assert list(pipe) == [b"all of it"]


def test_callbacks_of_abandon_run_once_and_outside_the_lock() -> None:
    pipe = make()
    seen: list[Any] = []
    pipe.on_abandon(lambda reason: seen.append((reason, pipe.offer(b"takes the lock"))))
    pipe.abandon(gone := ReaderGone())
    pipe.abandon(ReaderGone())
    assert seen == [(gone, False)]


def test_a_callback_that_comes_late_runs_at_once() -> None:
    pipe = make()
    seen: list[TalkaboutError] = []
    pipe.abandon(gone := ReaderGone())
    pipe.on_abandon(seen.append)
    assert seen == [gone]


def test_leaving_the_iteration_abandons_the_pipe() -> None:
    pipe = make()
    pipe.put(b"a")
    reader = iter(pipe)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert isinstance(pipe.reason, ReaderGone)


def test_silence_is_filled_with_heartbeats() -> None:
    pipe = make(heartbeat_s=0.01)
    reader = iter(pipe)
    assert [next(reader), next(reader)] == [b": ping\n", b": ping\n"]
    pipe.put(b"data")
    assert next(reader) == b"data"


def test_a_heartbeat_counts_from_the_last_block_handed_out() -> None:
    pipe = make(heartbeat_s=0.3)
    reader = iter(pipe)
    pipe.put(b"data")
    next(reader)
    handed_at = time.monotonic()
    assert next(reader) == b": ping\n"
    assert time.monotonic() - handed_at > 0.2


def test_without_a_heartbeat_silence_stays_silent() -> None:
    pipe = make(heartbeat=b"", heartbeat_s=0.01)
    reader = Task(lambda: list(pipe))
    reader.join(0.05)
    pipe.close(b"x")
    assert reader.outcome() == [b"x"]


def test_the_time_of_the_whole_ends_a_silent_stream() -> None:
    pipe = make(timeout_s=0.05)
    pipe.on_abandon(lambda reason: pipe.close(b"last word"))
    assert list(pipe) == [b"last word"]
    assert isinstance(pipe.reason, StreamTimeout)


def test_the_time_of_the_whole_ends_a_put_too() -> None:
    pipe = make(timeout_s=0.05)
    pipe.put(b"12345678")
    with pytest.raises(StreamTimeout):
        pipe.put(b"9")
    pipe.close(b",last word")
    assert list(pipe) == [b"12345678,last word"]


def test_the_time_of_the_whole_counts_from_creation_for_a_busy_stream() -> None:
    pipe = make(timeout_s=0.05)
    reader = Task(lambda: b"".join(pipe))
    with pytest.raises(StreamTimeout):
        for _ in range(1_000_000):
            pipe.put(b"busy")
    pipe.close(b"last word")
    assert reader.outcome().endswith(b"last word")


def test_a_waiting_reader_and_a_waiting_producer_burn_no_time() -> None:
    idle, full = make(), make()
    full.put(b"12345678")
    tasks = [Task(lambda: list(idle)), Task(lambda: full.put(b"9"))]
    before = time.process_time()
    tasks[0].join(0.3)
    assert time.process_time() - before < 0.1
    idle.abandon(ReaderGone()), full.abandon(ReaderGone())
    assert all(task.outcome() is not None for task in tasks)


# With an outlet


class Tap:
    """An outlet with room for so many bytes at a time; the reader's own blocks go in by `write`."""

    def __init__(self, *rooms: int) -> None:
        self.sent = b""
        self.taken: list[bytes] = []
        self.flushed = 0
        self.may_flush = threading.Event()
        self.may_flush.set()
        self._rooms = itertools.cycle(rooms or [sys.maxsize])
        self._rest = b""

    def take(self, block: bytes) -> bool:
        """Send what there is room for."""
        assert not self._rest
        self.taken.append(block)
        room = next(self._rooms)
        self.sent += block[:room]
        self._rest = block[room:]
        return not self._rest

    send = take

    def flush(self) -> None:
        """Send the rest, once that may be."""
        if self._rest:
            self.flushed += 1
            self.may_flush.wait(LONG_S)
            self.sent, self._rest = self.sent + self._rest, b""

    def write(self, block: bytes) -> None:
        """Send what the reader was given."""
        assert not self._rest
        self.sent += block


def reading(pipe: Pipe, tap: Tap) -> Task:
    """Read a pipe that has this outlet, and begin to wait."""
    pipe.outlet = tap
    reader = Task(lambda: [tap.write(block) for block in pipe])
    until_it_waits(pipe)
    return reader


def until_it_waits(pipe: Pipe) -> None:
    until(lambda: pipe._reader_waits)


def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_blocks_go_straight_to_the_outlet_while_the_reader_waits() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    for block in (b"a", b"b", b"longer than the pipe"):
        pipe.put(block)
    assert tap.taken == [b"a", b"b", b"longer than the pipe"]
    assert pipe.offer(b"c") and pipe.put_now(b"d")
    assert tap.sent == b"ablonger than the pipecd"
    pipe.close()
    assert reader.outcome() == []  # it was given nothing


def test_blocks_wait_for_a_reader_that_does_something_else() -> None:
    pipe, tap = make(), Tap()
    pipe.outlet = tap
    reader = iter(pipe)
    for block in (b"a", b"b", b"c"):
        pipe.put(block)
        assert next(reader) == block
    assert tap.taken == []


def test_a_waiting_reader_is_not_woken_for_what_goes_straight() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    woken = pipe._filled.is_set()
    for _ in range(30):
        pipe.put(b"x")
        woken = woken or pipe._filled.is_set()
    assert len(tap.taken) == 30 and not woken
    pipe.close()
    assert reader.outcome() == []


def test_a_reader_flushes_what_an_outlet_left_before_all_else() -> None:
    pipe, tap = make(), Tap(3, sys.maxsize)
    tap.may_flush.clear()
    reader = reading(pipe, tap)
    pipe.put(b"12345")
    pipe.put(b"6")
    pipe.put(b"7")
    assert (tap.sent, tap.taken) == (b"123", [b"12345"])
    tap.may_flush.set()
    until_it_waits(pipe)
    assert tap.sent == b"1234567"
    pipe.put(b"8")
    pipe.close(b"9")
    reader.outcome()
    assert (tap.sent, tap.taken, tap.flushed) == (b"123456789", [b"12345", b"8", b"9"], 1)


def test_with_an_outlet_that_takes_parts_everything_comes_in_order() -> None:
    pipe, tap = make(), Tap(0, 1, 2, 1000, 1000)
    reader = reading(pipe, tap)
    blocks = [b"%d," % number for number in range(2000)]
    for number, block in enumerate(blocks):
        pipe.put(block)
        if number % 7 == 0:
            time.sleep(0)
    pipe.close(b"end")
    reader.outcome()
    assert tap.sent == b"".join(blocks) + b"end"


def test_an_empty_block_never_reaches_an_outlet() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    pipe.put(b"")
    until_it_waits(pipe)
    assert pipe.offer(b"")
    until_it_waits(pipe)
    pipe.close(b"")
    assert reader.outcome() == [] and tap.taken == []


def test_a_heartbeat_counts_from_the_last_block_that_went_straight() -> None:
    pipe, tap = make(heartbeat_s=0.2), Tap()
    pipe.outlet = tap
    beat = Task(lambda: (next(iter(pipe)), time.monotonic()))
    until_it_waits(pipe)
    beat.join(0.1)
    pipe.put(b"data")
    sent_at = time.monotonic()
    block, beat_at = beat.outcome()  # type: ignore[misc]
    assert (tap.sent, block) == (b"data", b": ping\n")
    assert beat_at - sent_at > 0.15


def test_the_last_block_goes_straight_too_and_ends_the_reader() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    pipe.close(b"end")
    assert reader.outcome() == [] and tap.taken == [b"end"]


def test_a_last_block_that_an_outlet_takes_in_part_is_flushed_before_the_end() -> None:
    pipe, tap = make(), Tap(1)
    reader = reading(pipe, tap)
    pipe.close(b"end")
    assert reader.outcome() == [] and tap.sent == b"end"


@pytest.mark.parametrize("way", ["put", "offer"])
def test_a_reader_that_does_not_get_on_with_its_flush_is_dropped(way: str) -> None:
    pipe, tap = make(reader_timeout_s=0.05), Tap(0)
    tap.may_flush.clear()
    reader = reading(pipe, tap)
    assert pipe.offer(b"12345")
    until(lambda: bool(tap.flushed))
    assert pipe.offer(b"12345678")
    if way == "put":
        with pytest.raises(ReaderTooSlow):
            pipe.put(b"9")
    else:
        assert not pipe.offer(b"9")
    assert isinstance(pipe.reason, ReaderTooSlow)
    tap.may_flush.set()
    reader.outcome()
    assert tap.sent == b"12345"


def test_a_chunk_goes_to_the_outlet_while_the_reader_waits_and_not_else() -> None:
    pipe, tap = make(), Tap(2)
    assert not pipe.send_now(b"nobody reads")
    reader = reading(pipe, tap)
    tap.may_flush.clear()
    assert pipe.send_now(b"1234")  # of which two bytes are left
    assert not pipe.send_now(b"too early")
    pipe.put(b"56")
    tap.may_flush.set()
    until_it_waits(pipe)
    pipe.close(b"78")
    assert not pipe.send_now(b"too late")
    reader.outcome()
    assert tap.sent == b"12345678"
    assert tap.taken[0] == b"1234"


def test_a_chunk_for_a_pipe_that_was_abandoned_is_not_taken() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    pipe.abandon(ReaderGone(), linger_s=LONG_S)
    assert not pipe.send_now(b"x")
    pipe.close()
    reader.outcome()
    assert tap.sent == b""


def test_a_chunk_puts_the_heartbeat_off() -> None:
    pipe, tap = make(), Tap()
    reader = reading(pipe, tap)
    due = pipe._due()
    assert pipe.send_now(b"x")
    assert pipe._due() > due
    pipe.close()
    reader.outcome()


def test_a_flush_that_fails_ends_the_reader_and_the_pipe() -> None:
    class Gone(Tap):
        def flush(self) -> None:
            if self.taken:
                raise BrokenPipeError

    pipe, ended = make(), []
    pipe.outlet = tap = Gone(0)

    def read() -> None:
        with pytest.raises(BrokenPipeError):
            ended.extend(pipe)
        ended.append(b"raised")

    reader = Task(read)
    until_it_waits(pipe)
    pipe.put(b"x")
    reader.outcome()
    assert (ended, tap.taken) == ([b"raised"], [b"x"])
    assert isinstance(pipe.reason, ReaderGone)


@pytest.mark.skipif(monkey.is_module_patched("socket"), reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    assert "1 skipped" in run_patched(__file__, timeout_s=60)
