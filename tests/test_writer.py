"""The writer between producers and a real journal; the whole file runs again under gevent's patch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from gevent import monkey

from answers import backlog, sqlite_file
from answers.backlog import COMMIT_BYTES
from answers.journal import Batch, Entry, News
from answers.sqlite_journal import SqliteJournal
from answers.writer import Writer
from relay.errors import Draining, JournalError
from relay.loop import spawn
from tests.file_lock import FileLock
from tests.patched import run_patched

ROOT = Path(__file__).parent.parent
LONG = 60.0


class Watched(SqliteJournal):
    """Keep what each commit held, and let no commit begin while `open` is clear."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits: list[list[Batch]] = []
        self.news: list[list[News]] = []
        self.open = threading.Event()
        self.open.set()

    def commit(self, batches: Sequence[Batch], news: Sequence[News] = ()) -> set[str]:
        self.commits.append(list(batches))
        self.news.append(list(news))
        assert self.open.wait(LONG)
        return super().commit(batches, news)

    def commit_now(self, batches: Sequence[Batch], news: Sequence[News]) -> set[str]:
        if not self.open.is_set():
            raise JournalError("this would wait")
        self.commits.append(list(batches))
        self.news.append(list(news))
        return super().commit_now(batches, news)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Watched]:
    journal = Watched(path)
    for stream in "abcd":
        journal.take(stream, "me", LONG)
    yield journal
    journal.open.set()
    journal.close()


class Heard(list[Entry]):
    """Keep what the writer publishes, and which streams it says that it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.here: dict[str, int] = {}
        self.looked_at: list[str] = []

    def begin(self, stream: str, last: int) -> None:
        self.here[stream] = last

    def publish(self, batches: Sequence[Batch]) -> None:
        self.extend(entry for batch in batches for entry in batch.entries)

    def end(self, stream: str) -> None:
        self.here.pop(stream, None)

    def look(self, stream: str) -> None:
        self.looked_at.append(stream)


@pytest.fixture
def published() -> Heard:
    return Heard()


@pytest.fixture
def writer(journal: Watched, published: Heard) -> Iterator[Writer]:
    writer = Writer(journal, published, 1 << 20)
    yield writer
    journal.open.set()
    writer.close()


def batch(stream: str, first: int, count: int = 1, size: int = 1) -> Batch:
    return Batch(stream, "me", [Entry(stream, seq, b"x" * size) for seq in range(first, first + count)])


def news(stream: str, number: int) -> News:
    return News(stream, lambda seq: b"%d of %d" % (seq, number), 1000, f"test:{number}")


def seqs(entries: Sequence[Entry], stream: str) -> list[int]:
    return [entry.seq for entry in entries if entry.stream == stream]


def wait_for(fact: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def hold(writer: Writer, journal: Watched) -> None:
    """Let a commit of one entry begin and not end."""
    journal.open.clear()
    writer.append(batch("d", 1))
    wait_for(lambda: journal.commits)


def test_what_is_published_is_in_the_journal_already(journal: Watched) -> None:
    seen: list[tuple[Entry, ...]] = []

    class Suspicious(Heard):
        def publish(self, batches: Sequence[Batch]) -> None:
            seen.append((*batches[0].entries, *journal.read("a", 0, 10)))

    writer = Writer(journal, Suspicious(), 1 << 20)
    writer.append(batch("a", 1))
    assert writer.durable("a", 1, LONG)
    writer.close()
    assert seen == [(Entry("a", 1, b"x"),) * 2]


def test_what_arrives_during_a_commit_joins_the_next(journal: Watched, writer: Writer) -> None:
    hold(writer, journal)
    for seq in range(1, 21):
        writer.append(batch("a", seq))
        writer.append(batch("b", seq))
    journal.open.set()
    assert writer.durable("a", 20, LONG) and writer.durable("b", 20, LONG)
    assert journal.commits[1:] == [[batch("a", 1, 20), batch("b", 1, 20)]]


def test_every_producer_keeps_its_order(journal: Watched, writer: Writer, published: Heard) -> None:
    def produce(stream: str) -> None:
        for seq in range(1, 301):
            writer.append(batch(stream, seq))
            if seq % 10 == 0:
                time.sleep(0.001)
        assert writer.durable(stream, 300, LONG)

    threads = [threading.Thread(target=produce, args=(stream,)) for stream in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in "abcd":
        assert seqs(published, stream) == seqs(journal.read(stream, 0, 1000), stream) == list(range(1, 301))


def test_a_long_backlog_goes_in_pieces(journal: Watched, published: Heard) -> None:
    writer = Writer(journal, published, 10 * COMMIT_BYTES)
    hold(writer, journal)
    for seq in range(1, 13):
        writer.append(batch("a", seq, size=COMMIT_BYTES // 4))
    journal.open.set()
    writer.close(LONG)
    assert [len(batches[0].entries) for batches in journal.commits] == [1, 4, 4, 4]
    assert seqs(published, "a") == list(range(1, 13))


def test_a_refused_stream_is_told_once_and_the_others_go_on(journal: Watched, writer: Writer) -> None:
    told: list[str] = []
    for stream in "ab":
        writer.begin(stream, 0, lambda stream=stream: told.append(stream))  # type: ignore[misc]
    hold(writer, journal)
    journal.hand_over("me")
    journal.take("b", "me", LONG)
    for seq in (1, 2):
        writer.append(batch("a", seq))
        writer.append(batch("b", seq))
    journal.open.set()
    assert writer.durable("b", 2, LONG) and not writer.durable("a", 1, LONG)
    wait_for(lambda: told)
    assert told == ["a"]


def test_what_a_refused_stream_still_writes_is_dropped(journal: Watched, writer: Writer) -> None:
    journal.take("a", "me", 0.0)
    journal.take("a", "you", LONG)
    writer.append(batch("a", 1))
    assert not writer.durable("a", 1, LONG)
    commits = len(journal.commits)
    writer.append(batch("a", 2))
    writer.append(batch("b", 1))
    assert writer.durable("b", 1, LONG)
    assert journal.commits[commits:] == [[batch("b", 1)]]


def test_what_waits_behind_a_refused_entry_is_dropped_with_it(journal: Watched, writer: Writer) -> None:
    journal.hand_over("me")
    journal.open.clear()
    writer.append(batch("a", 1))
    wait_for(lambda: journal.commits)
    writer.append(batch("a", 2))
    writer.append(batch("a", 3))
    journal.open.set()
    assert not writer.durable("a", 3, LONG)
    writer.close()
    assert len(journal.commits) == 1


def test_a_stream_that_was_refused_can_be_written_anew(journal: Watched, writer: Writer) -> None:
    writer.append(batch("a", 7))
    assert not writer.durable("a", 7, LONG)
    writer.begin("a", 0, lambda: None)
    writer.append(batch("a", 1))
    assert writer.durable("a", 1, LONG)


def test_whoever_waits_for_a_stream_that_is_forgotten_waits_no_longer(journal: Watched, writer: Writer) -> None:
    found: list[bool] = []
    hold(writer, journal)
    writer.append(batch("a", 1))
    waiting = threading.Thread(target=lambda: found.append(writer.durable("a", 1, LONG)))
    waiting.start()
    time.sleep(0.1)  # it has to wait already
    writer.forget("a")
    waiting.join(LONG / 2)
    assert found == [False]


def test_durable_waits_for_what_was_appended_alone(journal: Watched, writer: Writer) -> None:
    assert writer.durable("unknown", 5, LONG)
    writer.begin("a", 0, lambda: None)
    assert writer.durable("a", 5, LONG)
    hold(writer, journal)
    writer.append(batch("a", 6))
    assert not writer.durable("a", 6, 0.05)
    journal.open.set()
    assert writer.durable("a", 6, LONG) is False  # refused: 6 is not the next one


def test_of_what_was_written_to_its_end_nothing_is_kept(journal: Watched, writer: Writer) -> None:
    told: list[str] = []
    writer.begin("a", 0, lambda: told.append("a"))
    writer.append(Batch("a", "me", [Entry("a", 1, b"x", final=True)]))
    assert writer.durable("a", 1, LONG)
    writer.forget("a")
    assert writer.durable("a", 1, LONG) and not told


def test_news_go_with_the_commit_of_what_is_appended_beside_them(
    journal: Watched, writer: Writer, published: Heard
) -> None:
    hold(writer, journal)
    told = [news("channel", number) for number in (1, 2)]
    assert all(map(writer.tell, told))
    writer.append(batch("a", 1))
    journal.open.set()
    assert writer.durable("a", 1, LONG)
    assert (journal.commits[1:], journal.news[1:]) == ([[batch("a", 1)]], [told])
    assert [entry.block for entry in journal.read("channel", 0, 10)] == [b"1 of 1", b"2 of 2"]
    wait_for(lambda: published.looked_at == ["channel"])


def test_news_wait_for_no_event(journal: Watched, writer: Writer) -> None:
    writer.append(batch("a", 1))
    assert writer.durable("a", 1, LONG)
    assert writer.tell(news("channel", 1))
    wait_for(lambda: journal.bounds("channel") == (1, 1))


def test_news_are_not_taken_where_they_would_not_be_written(
    journal: Watched, published: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "NEWS_KEPT", 1)
    writer = Writer(journal, published, 1 << 20)
    assert not writer.tell(news("channel", 1))  # it does not run yet
    hold(writer, journal)
    assert [writer.tell(news("channel", number)) for number in (2, 3)] == [True, False]
    journal.open.set()
    writer.close()
    assert not writer.tell(news("channel", 4))
    assert [entry.block for entry in journal.read("channel", 0, 10)] == [b"1 of 2"]


def test_news_are_kept_through_an_outage_and_come_once(
    journal: Watched, writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.02)
    monkeypatch.setattr(backlog, "NEWS_AT_ONCE", 20)
    with FileLock(path):
        writer.append(batch("a", 1))
        assert all(writer.tell(news("channel", number)) for number in range(1, 51))
        wait_for(lambda: len(journal.commits) > 3)
    wait_for(lambda: journal.bounds("channel")[1] >= 50)
    assert writer.durable("a", 1, LONG)
    writer.close()
    told = [entry.block for entry in journal.read("channel", 0, 100)]
    assert told == [b"%d of %d" % (number, number) for number in range(1, 51)]


def test_nothing_is_lost_while_the_file_is_locked(
    journal: Watched,
    writer: Writer,
    published: Heard,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.02)
    with FileLock(path) as lock, caplog.at_level(logging.WARNING):
        for seq in range(1, 51):
            writer.append(batch("a", seq))
            writer.append(batch("b", seq))
        wait_for(lambda: len(journal.commits) > 3)
        assert published == []
        lock.release()
        assert writer.durable("a", 50, LONG) and writer.durable("b", 50, LONG)
    assert seqs(published, "a") == seqs(published, "b") == list(range(1, 51))
    assert len(caplog.messages) == 2 and "takes events again" in caplog.messages[1]


def test_too_much_for_a_journal_that_cannot_be_written_ends_in_a_typed_error(
    journal: Watched, path: Path, published: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.02)
    writer = Writer(journal, published, 1000)
    with FileLock(path):
        writer.append(batch("a", 1, size=800))
        with pytest.raises(JournalError, match="800 bytes wait"):
            writer.append(batch("b", 1, size=800))
        writer.append(batch("a", 2, size=200))
    writer.close(LONG)
    assert (seqs(published, "a"), seqs(published, "b")) == ([1, 2], [])


def test_a_slow_journal_slows_its_producers_down(journal: Watched, published: Heard) -> None:
    writer = Writer(journal, published, 1000)
    hold(writer, journal)
    blocked = threading.Thread(target=writer.append, args=(batch("a", 1, size=1000),))
    blocked.start()
    blocked.join(0.1)
    assert blocked.is_alive()
    journal.open.set()
    blocked.join()
    writer.close()
    assert seqs(published, "a") == [1]


def test_an_offer_never_waits_and_takes_nothing_where_there_is_no_room(journal: Watched, published: Heard) -> None:
    writer = Writer(journal, published, 1000)
    assert not writer.offer(batch("a", 1))  # it does not run yet
    hold(writer, journal)
    assert writer.offer(batch("a", 1, size=999))
    assert not writer.offer(batch("a", 2, size=1000))
    journal.open.set()
    assert writer.durable("a", 1, LONG) and writer.offer(batch("a", 2, size=1000))
    writer.close()
    assert seqs(published, "a") == [1, 2] and not writer.offer(batch("a", 3))


def test_the_writer_is_woken_once_a_commit_and_not_once_an_event(journal: Watched, published: Heard) -> None:
    class Counted(threading.Event):
        wakes = 0

        def set(self) -> None:
            Counted.wakes += 1
            super().set()

    writer = Writer(journal, published, 1 << 20)
    writer._filled = Counted()
    hold(writer, journal)
    before = Counted.wakes
    for seq in range(1, 101):
        writer.append(batch("a", seq))
    journal.open.set()
    assert writer.durable("a", 100, LONG)
    assert (Counted.wakes - before, len(journal.commits)) == (0, 2)
    writer.close()


@pytest.mark.skipif(not monkey.is_module_patched("socket"), reason="threads run whenever they can")
def test_an_append_that_finds_room_lets_nobody_else_run(writer: Writer) -> None:
    writer.append(batch("a", 1))
    others: list[str] = []
    spawn(lambda: others.append("ran"))
    writer.begin("b", 0, lambda: None)
    writer.append(batch("b", 1))
    assert writer.tell(news("channel", 1)) and not others


def test_what_is_written_here_is_said_at_its_beginning_and_its_end(
    journal: Watched, writer: Writer, published: Heard
) -> None:
    writer.begin("a", 0, lambda: None)
    writer.begin("b", 0, lambda: None)
    assert published.here == {"a": 0, "b": 0}
    writer.forget("a", print)  # somebody else's
    assert "a" in published.here
    writer.append(batch("b", 7))
    assert not writer.durable("b", 7, LONG)
    writer.forget("a")
    wait_for(lambda: not published.here)


def test_closing_writes_what_waits_and_takes_nothing_more(journal: Watched, writer: Writer) -> None:
    for seq in range(1, 101):
        writer.append(batch("a", seq))
    writer.close()
    assert journal.bounds("a") == (1, 100)
    with pytest.raises(Draining):
        writer.append(batch("a", 101))
    writer.close()


def test_closing_waits_no_longer_than_it_may(
    journal: Watched,
    writer: Writer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.02)
    with FileLock(path):
        writer.append(batch("a", 1, size=5))
        assert writer.tell(news("channel", 1))
        writer.close(0.2)
        assert not writer.durable("a", 1)
    assert "5 bytes of events and 1 news are lost" in caplog.messages[-1]


def test_faults_of_readers_and_producers_do_not_stop_the_writer(journal: Watched) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    published = Heard()
    published.publish = fail  # type: ignore[method-assign]
    writer = Writer(journal, published, 1 << 20)
    writer.begin("a", 0, fail)
    writer.append(batch("a", 7))
    assert not writer.durable("a", 7, LONG)
    writer.append(batch("b", 1))
    writer.append(batch("b", 2))
    assert writer.durable("b", 2, LONG)
    writer.close()


@pytest.mark.skipif(monkey.is_module_patched("socket"), reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    run_patched("-x", __file__, timeout_s=300)
