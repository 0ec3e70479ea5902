"""Following the journal: caught up, live, reset, over workers and processes; the whole file runs again under gevent."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gevent import monkey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answers.follow import Follower
from answers.journal import Batch, Entry
from answers.sqlite_journal import SqliteJournal
from relay.errors import Draining, JournalError, ReaderGone, ReaderTooSlow
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import Decoder, Event, encode
from tests import waiting
from tests.patched import run_patched

ROOT = Path(__file__).parent.parent
WRITE = """
import sys
from pathlib import Path
from answers.sqlite_journal import SqliteJournal
from tests.test_follow import write
write(SqliteJournal(Path(sys.argv[1])), "s", 1, int(sys.argv[2]), final=True)
"""
BOUNDS = Settings(abandon_after_s=1, reader_timeout_s=5)
STREAMS = itertools.count()
until = partial(waiting.until, patience_s=30.0)


class Journal(SqliteJournal):
    """The real journal, with a switch that makes it fail as one does whose disk or server is gone."""

    broken = False

    def _refuse_if_broken(self) -> None:
        if self.broken:
            raise JournalError("out of order")

    def wait(self, *arguments: Any) -> list[Entry]:
        self._refuse_if_broken()
        entries = super().wait(*arguments)
        self._refuse_if_broken()
        return entries

    def read(self, *arguments: Any) -> list[Entry]:
        self._refuse_if_broken()
        return super().read(*arguments)


class Client:
    """Read a stream as a browser would."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe, self.blocks, self.decoder = pipe, iter(pipe), Decoder()
        self.events: list[Event] = []

    def take(self, count: int) -> list[Event]:
        while len(self.events) < count:
            self.events += self.decoder.feed(next(self.blocks))
        taken, self.events = self.events[:count], self.events[count:]
        return taken

    def rest(self) -> list[Event]:
        return [*self.events, *self.decoder.feed(b"".join(self.blocks))]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.fixture
def other_journal(tmp_path: Path, journal: Journal) -> Iterator[Journal]:
    """The same journal as another worker has it open."""
    other = Journal(tmp_path / "journal.db")
    yield other
    other.close()


@pytest.fixture
def follower(journal: Journal) -> Iterator[Follower]:
    follower = Follower(journal, BOUNDS)
    yield follower
    follower.close()


@pytest.fixture
def short_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("answers.follow.TROUBLE_S", 0.02)
    monkeypatch.setattr("answers.catch_up.TROUBLE_S", 0.02)


def write(
    journal: SqliteJournal, stream: str, first: int, last: int, *, final: bool = False, size: int = 0
) -> list[Entry]:
    """Commit the entries `first` to `last`, as the stream's producer does."""
    entries = [
        Entry(stream, seq, encode(str(seq).zfill(size), id=str(seq)), final and seq == last)
        for seq in range(first, last + 1)
    ]
    assert journal.take(stream, "me", 60) and journal.commit([Batch(stream, "me", entries)]) == set()
    return entries


def forget(journal: SqliteJournal, delete: str) -> None:
    """Delete behind the journal's back."""
    journal.file.write(lambda cursor: cursor.execute(delete))


def ids(events: list[Event]) -> list[int]:
    return [int(event.id) for event in events]


def reset(upto: int) -> bytes:
    return encode(f"all up to {upto}", "reset", str(upto))


def tails() -> int:
    return sum("_run_tail" in thread.name for thread in threading.enumerate())


def test_a_reader_gets_the_opening_then_what_is_kept_then_what_comes(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3)
    client = Client(follower.follow("s", 0, encode("hello", "open")))
    assert [event.data for event in client.take(4)] == ["hello", "1", "2", "3"]
    write(journal, "s", 4, 5)
    assert ids(client.take(2)) == [4, 5]


def test_a_reader_that_comes_back_gets_what_it_missed_alone(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 9)
    assert ids(Client(follower.follow("s", 7)).take(2)) == [8, 9]


def test_the_pipe_ends_behind_the_final_entry(journal: Journal, follower: Follower) -> None:
    live = Client(follower.follow("s", 0))
    write(journal, "s", 1, 3, final=True)
    assert ids(live.rest()) == [1, 2, 3]
    assert ids(Client(follower.follow("s", 1)).rest()) == [2, 3]
    until(lambda: len(follower) == 0)


def test_what_the_writer_publishes_arrives_once_and_in_one_piece(journal: Journal, follower: Follower) -> None:
    client = Client(follower.follow("s", 0, encode("hello", "open")))
    follower.listen("s", lambda text: None)  # by its end the stream is watched
    client.take(1)
    entries = write(journal, "s", 1, 3)
    follower.published(entries)
    assert next(client.blocks) == b"".join(entry.block for entry in entries)
    follower.published(write(journal, "s", 4, 5, final=True))
    assert ids(client.rest()) == [4, 5]


def test_readers_of_one_stream_share_the_bytes(journal: Journal, follower: Follower) -> None:
    clients = [Client(follower.follow("s", 0, b": hello\n")) for _ in range(2)]
    follower.listen("s", lambda text: None)
    assert [next(client.blocks) for client in clients] == [b": hello\n"] * 2
    write(journal, "s", 1, 3)
    first, second = (next(client.blocks) for client in clients)
    assert first is second


def test_nobody_gets_what_belongs_to_another_stream(journal: Journal, follower: Follower) -> None:
    client = Client(follower.follow("s", 0))
    write(journal, "t", 1, 3)
    write(journal, "s", 1, 2, final=True)
    assert ids(client.rest()) == [1, 2]


def test_what_was_pruned_is_made_up_for_by_a_reset(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 9, final=True)
    forget(journal, "DELETE FROM entries WHERE seq <= 6")
    events = Client(follower.follow("s", 2, b"", reset)).rest()
    assert events[0] == Event("all up to 6", "reset", "6") and ids(events[1:]) == [7, 8, 9]


def test_a_stream_that_was_pruned_whole_resets_then_goes_on(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 9)
    forget(journal, "DELETE FROM entries WHERE seq <= 9")
    forget(journal, "INSERT INTO streams VALUES ('s', 9)")
    client = Client(follower.follow("s", 2, b"", reset))
    assert [(event.event, event.id) for event in client.take(1)] == [("reset", "9")]
    write(journal, "s", 10, 10, final=True)
    assert ids(client.rest()) == [10]


def test_a_reader_that_misses_nothing_of_what_was_pruned_gets_no_reset(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 9, final=True)
    forget(journal, "DELETE FROM entries WHERE seq <= 6")
    assert ids(Client(follower.follow("s", 6, b"", reset)).rest()) == [7, 8, 9]


def test_entries_that_are_lost_in_the_middle_are_made_up_for_too(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 9, final=True)
    forget(journal, "DELETE FROM entries WHERE seq IN (4, 5)")
    events = Client(follower.follow("s", 0, b"", reset)).rest()
    assert [(event.event, event.id) for event in events[2:5]] == [("message", "3"), ("reset", "5"), ("message", "6")]


def test_a_live_entry_that_is_not_the_next_one_sends_the_reader_to_the_journal(
    journal: Journal, follower: Follower
) -> None:
    client = Client(follower.follow("s", 0, b": hello\n", reset))
    follower.listen("s", lambda text: None)
    assert next(client.blocks) == b": hello\n"
    entries = write(journal, "s", 1, 9)
    follower.published(entries[5:])
    assert ids(client.take(9)) == list(range(1, 10))


def test_a_cursor_that_never_was_gets_a_reset_to_the_end_and_goes_on(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3)
    client = Client(follower.follow("s", 99, b"", reset))
    assert client.take(1) == [Event("all up to 3", "reset", "3")]
    write(journal, "s", 4, 4, final=True)
    assert ids(client.rest()) == [4]


def test_a_cursor_beyond_the_end_gets_the_end(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3, final=True)
    events = Client(follower.follow("s", 99, b"", reset)).rest()
    assert [(event.event, event.id) for event in events] == [("reset", "2"), ("message", "3")]


def test_an_end_that_was_not_the_last_is_no_end_for_who_comes_later(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3, final=True)
    write(journal, "s", 4, 6, final=True)
    events = Client(follower.follow("s", 0, b"", reset)).rest()
    assert [(event.event, event.id) for event in events[:2]] == [("reset", "3"), ("message", "4")]
    assert ids(events[1:]) == [4, 5, 6]


def test_who_has_seen_the_end_follows_what_was_continued(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3, final=True)
    write(journal, "s", 4, 4)
    assert ids(Client(follower.follow("s", 3, b"", reset)).take(1)) == [4]


def test_a_reset_that_fails_ends_the_stream_instead_of_hanging_it(
    journal: Journal, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(follower.follow("s", 99, b"", lambda upto: b"x" * (upto // 0), lambda reason: b"sorry"))
    assert b"".join(client.blocks) == b"sorry"
    assert "could not be brought up to date" in caplog.text and len(follower) == 0


def test_workers_bring_each_other_what_they_write(journal: Journal, other_journal: Journal, follower: Follower) -> None:
    other = Follower(other_journal, BOUNDS)
    clients = [Client(worker.follow("s", 0)) for worker in (follower, other)]
    follower.published(write(journal, "s", 1, 3))
    other.published(write(other_journal, "s", 4, 6, final=True))
    assert [ids(client.rest()) for client in clients] == [[1, 2, 3, 4, 5, 6]] * 2
    other.close()


def test_another_process_writes_for_two_hundred_readers(follower: Follower, tmp_path: Path) -> None:
    clients = [Client(follower.follow("s", 0)) for _ in range(200)]
    assert (follower.readers("s"), follower.readers("t"), len(follower)) == (200, 0, 200)
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path / "journal.db"), "500"], cwd=ROOT)
    for client in clients:
        assert ids(client.rest()) == list(range(1, 501))
    assert process.wait(30) == 0
    until(lambda: len(follower) == 0)


def test_a_long_journal_is_read_at_the_readers_pace_and_holds_nobody_up(journal: Journal) -> None:
    follower = Follower(journal, Settings(reader_buffer_bytes=1024, reader_timeout_s=60))
    write(journal, "s", 1, 1000)
    late, quick = Client(follower.follow("s", 0)), Client(follower.follow("s", 1000))
    write(journal, "s", 1001, 1001, final=True)
    assert ids(quick.rest()) == [1001]
    assert ids(late.rest()) == list(range(1, 1002))
    follower.close()


def test_a_reader_that_never_reads_is_dropped_and_the_others_feel_nothing(journal: Journal) -> None:
    follower = Follower(journal, Settings(reader_buffer_bytes=1024, reader_timeout_s=1))
    stuck, quick = follower.follow("s", 0), Client(follower.follow("s", 0))
    for seq in itertools.count(1):  # what it is given at once, to catch up, may be more than its buffer
        follower.published(write(journal, "s", seq, seq, size=100))
        assert ids(quick.take(1)) == [seq]
        if stuck.reason is not None:
            break
    assert isinstance(stuck.reason, ReaderTooSlow) and quick.pipe.reason is None
    assert follower.readers("s") == 1
    follower.close()


def test_readers_stay_while_the_journal_is_out_of_order(
    journal: Journal, other_journal: Journal, follower: Follower, short_trouble: None, caplog: pytest.LogCaptureFixture
) -> None:
    live, late = Client(follower.follow("s", 0)), None
    write(other_journal, "s", 1, 1)
    assert ids(live.take(1)) == [1]
    journal.broken = True
    until(lambda: "streams stand still" in caplog.text)
    late = Client(follower.follow("s", 0))
    write(other_journal, "s", 2, 3, final=True)
    journal.broken = False
    assert (ids(live.rest()), ids(late.rest())) == ([2, 3], [1, 2, 3])


def test_a_reader_that_catches_up_waits_for_the_journal_too(
    journal: Journal, follower: Follower, short_trouble: None, caplog: pytest.LogCaptureFixture
) -> None:
    follower.listen("s", lambda text: None)
    write(journal, "s", 1, 3, final=True)
    journal.broken = True
    client = Client(follower.follow("s", 0))
    until(lambda: "a reader of s stands still" in caplog.text)
    journal.broken = False
    assert ids(client.rest()) == [1, 2, 3]


def test_a_journal_that_has_lost_everything_is_followed_anew(
    journal: Journal, follower: Follower, short_trouble: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(follower.follow("s", 0, b"", reset))
    follower.listen("s", lambda text: None)
    write(journal, "s", 1, 5)
    client.take(5)
    journal.broken = True
    until(lambda: "streams stand still" in caplog.text)
    write(journal, "t", 1, 1)
    forget(journal, "DELETE FROM entries WHERE stream = 's'")
    journal.close()  # it knows where the streams that it writes end, as long as it has the file open
    journal.broken = False
    follower.listen("t", lambda text: None)  # by its end all streams are watched again
    write(journal, "s", 1, 2, final=True)
    assert [(event.event, event.id) for event in client.rest()] == [("reset", "0"), ("message", "1"), ("message", "2")]


def test_a_listener_hears_every_entry_from_now_on(journal: Journal, follower: Follower) -> None:
    heard: list[str] = []
    journal.publish("stops", lambda _seq: b"before", 10)
    follower.listen("stops", heard.append)
    journal.publish("stops", lambda _seq: "愛".encode(), 10)
    until(lambda: heard == ["愛"])
    follower.unlisten("stops", heard.append)
    journal.publish("stops", lambda _seq: b"after", 10)
    follower.close()
    assert heard == ["愛"]


def test_a_listener_that_raises_stops_nobody(
    journal: Journal, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    follower.listen("cuts", lambda text: heard.append(text[1_000]))
    follower.listen("cuts", heard.append)
    journal.publish("cuts", lambda _seq: b"x", 10)
    until(lambda: heard == ["x"])
    assert "a listener of cuts failed" in caplog.text


def test_a_stream_is_touched_as_long_as_somebody_reads_it(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 1)
    assert journal.last_read("s") is None
    client = Client(follower.follow("s", 0))
    until(lambda: journal.last_read("s") is not None)
    first = journal.last_read("s") or 0
    until(lambda: (journal.last_read("s") or 0) > first + 0.15)
    client.pipe.abandon(ReaderGone())
    left_at = time.time()
    until(lambda: (journal.last_read("s") or 0) > left_at)


class Counting(Journal):
    """Count what is asked of the journal."""

    asked = 0

    def bounds(self, stream: str) -> tuple[int, int]:
        self.asked += 1
        return super().bounds(stream)

    def read(self, *arguments: Any) -> list[Entry]:
        self.asked += 1
        return super().read(*arguments)

    def wait(self, *arguments: Any) -> list[Entry]:
        self.asked += 1
        return super().wait(*arguments)

    def touch(self, streams: Any) -> None:
        self.asked += 1
        super().touch(streams)


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Counting]:
    journal = Counting(tmp_path / "journal.db")
    yield journal
    journal.close()


def test_what_is_written_here_is_followed_without_asking_the_journal(counting: Counting) -> None:
    follower = Follower(counting, BOUNDS)
    follower.begin("s", 0)
    early = Client(follower.follow("s", 0))
    follower.publish([Batch("s", "me", write(counting, "s", 1, 3))])
    late = Client(follower.follow("s", 3))
    assert follower.bounds("s") == (1, 3)
    follower.publish([Batch("s", "me", write(counting, "s", 4, 5, final=True))])
    assert (ids(early.rest()), ids(late.rest())) == ([1, 2, 3, 4, 5], [4, 5])
    assert (counting.asked, len(follower), follower.bounds("t")) == (0, 0, (1, 0))
    follower.close()


def test_the_first_words_are_kept_for_the_first_reader(counting: Counting) -> None:
    follower = Follower(counting, BOUNDS)
    follower.begin("s", 0)
    for seq in (1, 2):
        follower.publish([Batch("s", "me", write(counting, "s", seq, seq))])
    assert ids(Client(follower.follow("s", 0)).take(2)) == [1, 2] and counting.asked == 0
    assert ids(Client(follower.follow("s", 0)).take(2)) == [1, 2] and counting.asked > 0
    follower.close()


def test_a_stream_that_is_not_written_here_any_more_comes_from_the_journal(
    journal: Journal, other_journal: Journal, follower: Follower
) -> None:
    follower.begin("s", 0)
    clients = [Client(follower.follow("s", 0)) for _ in range(2)]
    follower.publish([Batch("s", "me", write(journal, "s", 1, 2))])
    write(other_journal, "s", 3, 4)
    follower.end("s")
    write(other_journal, "s", 5, 6, final=True)
    assert [ids(client.rest()) for client in clients] == [[1, 2, 3, 4, 5, 6]] * 2


def test_when_the_last_reader_of_what_is_written_here_left_is_known_here(journal: Journal, follower: Follower) -> None:
    follower.begin("s", 0)
    client = Client(follower.follow("s", 0))
    assert follower.left_at("s") == 0.0
    client.pipe.abandon(ReaderGone())
    assert time.time() - 30 < follower.left_at("s") <= time.time()


def test_the_tail_runs_only_while_somebody_follows(journal: Journal, follower: Follower) -> None:
    before = tails()
    client = Client(follower.follow("s", 0))
    assert tails() == before + 1
    client.pipe.abandon(ReaderGone())
    until(lambda: tails() == before)
    again = Client(follower.follow("s", 0))
    write(journal, "s", 1, 1)
    assert ids(again.take(1)) == [1]


def test_close_sends_readers_on_without_an_end_and_takes_no_more(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3)
    client, told = Client(follower.follow("s", 0)), follower.follow("s", 3, b"", None, lambda reason: b"moving")
    client.take(3)
    follower.close()
    assert client.rest() == [] and b"".join(told) == b"moving"
    with pytest.raises(Draining):
        follower.follow("s", 0)
    with pytest.raises(Draining):
        follower.listen("s", print)


def test_what_waits_is_still_read_when_the_worker_drains(journal: Journal, follower: Follower) -> None:
    write(journal, "s", 1, 3)
    client = Client(follower.follow("s", 0))
    until(lambda: client.pipe._size > 0)
    client.pipe.abandon(Draining(), linger_s=30)
    assert ids(client.rest()) == [1, 2, 3]


def test_a_finished_pipe_gives_its_block_and_ends(follower: Follower) -> None:
    assert b"".join(follower.finished(b"all of it")) == b"all of it"


def test_an_idle_reader_costs_a_few_kilobytes_and_no_thread(journal: Journal, follower: Follower) -> None:
    tracemalloc.start()
    before, threads = tracemalloc.get_traced_memory()[0], threading.active_count()
    pipes = [follower.follow(f"s{n}", 0) for n in range(500)]
    follower.listen("t", lambda text: None)  # by its end all are live
    cost = (tracemalloc.get_traced_memory()[0] - before) / len(pipes)
    tracemalloc.stop()
    assert cost < 6_000 and threading.active_count() == threads + 1


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 1), st.integers(1, 4), st.sampled_from(["tail", "local"])),
    st.tuples(st.just("join"), st.integers(0, 1), st.integers(0, 100), st.just("")),
    st.tuples(st.just("resume"), st.integers(0, 1), st.integers(0, 100), st.just("")),
)


class Interleaving:
    """Two workers that write one stream in turn, and readers that come, go and come back at any worker."""

    def __init__(self, workers: list[tuple[Journal, Follower]]) -> None:
        self.workers, self.stream, self.last = workers, f"answer:{next(STREAMS)}", 0
        self.seen: list[list[int]] = []
        self.clients: list[Client] = []

    def step(self, what: str, worker: int, number: int, how: str) -> None:
        journal, follower = self.workers[worker]
        if what == "write":
            self.last += number
            entries = write(journal, self.stream, self.last - number + 1, self.last)
            if how == "local":
                follower.published(entries)
        elif what == "join":
            after = number % (self.last + 1)
            self.seen.append([after])
            self.clients.append(Client(follower.follow(self.stream, after, b"", reset)))
        elif self.clients:
            self.resume(number % len(self.clients), follower, number)

    def resume(self, which: int, follower: Follower, number: int) -> None:
        client, seen = self.clients[which], self.seen[which]
        seen += ids(client.take(number % (self.last - seen[-1] + 1)))
        client.pipe.abandon(ReaderGone())
        self.clients[which] = Client(follower.follow(self.stream, seen[-1], b"", reset))

    def finish(self) -> None:
        write(self.workers[0][0], self.stream, self.last + 1, self.last + 1, final=True)
        for client, seen in zip(self.clients, self.seen, strict=True):
            assert seen + ids(client.rest()) == list(range(seen[0], self.last + 2))


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Journal, Follower]]]:
    path = tmp_path_factory.mktemp("two") / "journal.db"
    workers = [(journal, Follower(journal, BOUNDS)) for journal in (Journal(path), Journal(path))]
    yield workers
    for journal, follower in workers:
        follower.close()
        journal.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=3, max_size=25))
def test_whatever_the_order_each_reader_gets_each_entry_once_and_in_order(
    two_workers: list[tuple[Journal, Follower]], steps: list[tuple[str, int, int, str]]
) -> None:
    interleaving = Interleaving(two_workers)
    for step in steps:
        interleaving.step(*step)
    interleaving.finish()


@pytest.mark.skipif(monkey.is_module_patched("socket"), reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    assert "1 skipped" in run_patched(__file__, timeout_s=120)
