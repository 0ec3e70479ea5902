"""The pipe between a producer and the reader of a response; the whole file runs again under gevent's patch."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from relay.errors import Draining, ReaderGone, ReaderTooSlow, StreamEnded, StreamTimeout, TalkaboutError
from relay.pipe import Pipe

LONG_S = 30.0
PATCHED = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


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


@pytest.mark.skipif("gevent" in sys.modules, reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    command = [sys.executable, "-c", PATCHED, "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
