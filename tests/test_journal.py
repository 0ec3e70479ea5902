"""The journal's interface: one suite for every engine, which runs again under gevent's patch.

Each handle that `another` opens is a worker of its own, on this machine or the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gevent import monkey

from answers.journal import Batch, Entry, Journal, News, open_journal
from relay.errors import BadEventField, SettingError
from relay.settings import Settings
from tests.patched import run_patched
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent
LONG = 60.0
ROOM = 1 << 40

Open = Callable[[], Journal]


@pytest.fixture(params=["sqlite", "redis", "redis_cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """Name an engine's empty storage, as TALKABOUT_JOURNAL_URL does."""
    if request.param == "sqlite":
        return ""
    server: RedisServer = request.getfixturevalue(request.param)
    return server.url


@pytest.fixture
def another(url: str, tmp_path: Path) -> Iterator[Open]:
    """Open further handles on the same storage."""
    handles: list[Journal] = []

    def open_() -> Journal:
        handles.append(open_journal(Settings(journal_url=url), tmp_path))
        return handles[-1]

    yield open_
    for handle in handles:
        handle.close()


@pytest.fixture
def journal(another: Open) -> Journal:
    return another()


def number(seq: int) -> bytes:
    return b"%d" % seq


def entries(stream: str, first: int, count: int) -> list[Entry]:
    return [Entry(stream, seq, number(seq)) for seq in range(first, first + count)]


def some_news(stream: str, by: str, keep: int = 1000) -> News:
    return News(stream, number, keep, by)


def batch(stream: str, owner: str, first: int = 1, count: int = 1) -> Batch:
    return Batch(stream, owner, entries(stream, first, count))


def publish(journal: Journal, stream: str, times: int = 1, keep: int = 1000) -> None:
    for _ in range(times):
        journal.publish(stream, number, keep)


def begin(journal: Journal, stream: str, count: int, owner: str = "me") -> None:
    assert journal.take(stream, owner, LONG)
    assert journal.commit([batch(stream, owner, 1, count)]) == set()


def places(found: list[Entry]) -> list[tuple[str, int]]:
    return [(entry.stream, entry.seq) for entry in found]


def news(journal: Journal, streams: list[str], count: int) -> list[Entry]:
    """Wait for as many entries, and a moment for one too many."""
    found: list[Entry] = []
    give_up_at = time.monotonic() + 30
    while len(found) < count and time.monotonic() < give_up_at:
        found += journal.wait(streams, 1.0)
    return found + journal.wait(streams, 0.1)


def prune_all(journal: Journal, before: float, max_bytes: int = ROOM) -> int:
    count = 0
    while some := journal.prune(before, max_bytes):
        count += some
    return count


def in_threads(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# What is written and read


def test_each_stream_counts_from_one_without_gaps(journal: Journal, another: Open) -> None:
    other = another()
    assert [handle.publish(s, number, 9) for handle, s in zip([journal, other] * 3, "aaabab", strict=True)] == [
        *(1, 2, 3, 1, 4, 2)
    ]
    assert (journal.bounds("a"), other.bounds("b")) == ((1, 4), (1, 2))


def test_an_unknown_stream_is_empty(journal: Journal) -> None:
    assert journal.bounds("a") == (1, 0)
    assert journal.read("a", 0, 10) == []


def test_a_published_block_is_made_with_its_own_seq(journal: Journal) -> None:
    for _ in range(2):
        journal.publish("a", lambda seq: b"id: %d" % seq, 10)
    assert journal.read("a", 0, 10) == [Entry("a", 1, b"id: 1"), Entry("a", 2, b"id: 2")]


def test_a_block_that_cannot_be_made_leaves_nothing_behind(journal: Journal) -> None:
    def refuse(seq: int) -> bytes:
        raise BadEventField("no")

    with pytest.raises(BadEventField):
        journal.publish("a", refuse, 10)
    assert journal.bounds("a") == (1, 0)
    assert journal.publish("a", number, 10) == 1


def test_of_a_published_stream_the_newest_stay(journal: Journal) -> None:
    publish(journal, "a", 5, keep=2)
    first, last = journal.bounds("a")
    assert first <= 4 and last == 5
    assert places(journal.read("a", 3, 10)) == [("a", 4), ("a", 5)]


def test_what_is_committed_comes_back_letter_for_letter(journal: Journal, another: Open) -> None:
    journal.take("a", "me", LONG)
    written = [Entry("a", 1, b"data: \xe4\xbb\x80\x00\r\n\n"), Entry("a", 2, b""), Entry("a", 3, b"x" * 70_000, True)]
    assert journal.commit([Batch("a", "me", written)]) == set()
    assert another().read("a", 0, 10) == written


def test_reading_goes_on_behind_a_cursor_page_by_page(journal: Journal) -> None:
    begin(journal, "a", 5)
    assert journal.read("a", 1, 2) == entries("a", 2, 2)
    assert journal.read("a", 3, 10) == entries("a", 4, 2)
    assert journal.read("a", 5, 10) == []


def test_workers_that_publish_at_once_get_different_numbers(journal: Journal, another: Open) -> None:
    other = another()
    in_threads(*(lambda handle=handle: publish(handle, "a", 25) for handle in (journal, journal, other, other)))
    assert journal.read("a", 0, 1000) == entries("a", 1, 100)


def test_a_handle_that_was_closed_opens_again(journal: Journal) -> None:
    publish(journal, "a")
    journal.close()
    journal.check()
    assert journal.publish("a", number, 10) == 2


def test_news_get_the_next_seqs_of_their_streams(journal: Journal, another: Open) -> None:
    journal.take("a", "me", LONG)
    publish(another(), "x", 2)
    told = [some_news("x", "1"), some_news("y", "2"), some_news("x", "3")]
    assert journal.commit([batch("a", "me")], told) == set()
    assert journal.commit([], [some_news("y", "4")]) == set()
    publish(another(), "x")
    assert journal.read("x", 0, 10) == entries("x", 1, 5)
    assert journal.read("y", 0, 10) == entries("y", 1, 2)
    assert journal.bounds("a") == (1, 1)


def test_news_are_written_whatever_is_refused(journal: Journal) -> None:
    assert journal.commit([batch("a", "me")], [some_news("x", "1")]) == {"a"}
    assert journal.bounds("x") == (1, 1)


def test_of_news_too_the_newest_stay(journal: Journal) -> None:
    for by in range(10):
        journal.commit([], [some_news("x", f"{by}:{number}", keep=5) for number in range(10)])
    first, last = journal.bounds("x")
    assert last == 100 and 50 < first <= 96


def test_news_are_brought_to_whoever_waits_for_them(journal: Journal, another: Open) -> None:
    journal.wait(["x"], 0)
    another().commit([], [some_news("x", "1"), some_news("y", "2"), some_news("x", "3")])
    assert news(journal, ["x"], 2) == entries("x", 1, 2)


# The fence


def test_many_streams_are_written_in_one_commit(journal: Journal) -> None:
    for stream in "abc":
        journal.take(stream, "me", LONG)
    assert journal.commit([batch("a", "me", 1, 3), batch("b", "me"), batch("c", "me", 1, 2)]) == set()
    assert [journal.bounds(stream) for stream in "abc"] == [(1, 3), (1, 1), (1, 2)]


def test_who_has_no_lease_is_refused_and_the_others_are_not(journal: Journal) -> None:
    journal.take("a", "me", LONG)
    journal.take("b", "you", LONG)
    assert journal.commit([batch("b", "me"), batch("a", "me"), batch("c", "me")]) == {"b", "c"}
    assert [journal.bounds(stream) for stream in "abc"] == [(1, 1), (1, 0), (1, 0)]


@pytest.mark.parametrize("first", [1, 2, 5])
def test_a_seq_that_is_not_the_next_one_is_refused(journal: Journal, first: int) -> None:
    begin(journal, "a", 3)
    other = [Entry("a", first, b"something else")]
    assert journal.commit([Batch("a", "me", other)]) == {"a"}
    assert journal.read("a", 0, 10) == entries("a", 1, 3)


def test_trying_a_commit_again_changes_nothing(journal: Journal) -> None:
    begin(journal, "a", 3)
    assert journal.commit([batch("a", "me", 4, 2)]) == set()
    assert journal.commit([batch("a", "me", 4, 2)]) == set()
    assert journal.read("a", 0, 10) == entries("a", 1, 5)


def test_a_lease_that_ran_out_still_writes_until_another_takes_it(journal: Journal, another: Open) -> None:
    journal.take("a", "me", 0.0)
    assert journal.commit([batch("a", "me")]) == set()
    assert another().take("a", "you", LONG)
    assert journal.commit([batch("a", "me", 2)]) == {"a"}
    assert journal.commit([batch("a", "you", 2)]) == set()


def test_a_final_entry_gives_the_lease_up(journal: Journal, another: Open) -> None:
    begin(journal, "a", 2)
    end = Batch("a", "me", [Entry("a", 3, b"3"), Entry("a", 4, b"end", final=True)])
    assert journal.commit([end]) == set()
    assert another().renew("me", ["a"], LONG) == set() and journal.orphans(10) == []
    assert journal.commit([end]) == set()  # its reply may have been lost
    assert journal.commit([batch("a", "me", 5)]) == {"a"}
    assert journal.commit([Batch("a", "me", [Entry("a", 5, b"another end", final=True)])]) == {"a"}
    assert another().take("a", "you", LONG)
    assert journal.commit([end]) == {"a"}


def test_an_answer_that_has_ended_can_be_continued(journal: Journal) -> None:
    begin(journal, "a", 2)
    journal.release("a", "me")
    assert journal.commit([batch("a", "me", 3)]) == {"a"}
    assert journal.take("a", "you", LONG)
    assert journal.commit([batch("a", "you", 3)]) == set()


# Leases


def test_only_one_of_many_takes_a_lease(journal: Journal, another: Open) -> None:
    handles = [journal, another(), another()]
    took: list[str] = []

    def take(handle: Journal, owner: str) -> None:
        if handle.take("a", owner, LONG):
            took.append(owner)

    in_threads(*(lambda n=n: take(handles[n % 3], f"worker {n}") for n in range(9)))
    assert len(took) == 1
    assert journal.take("a", took[0], LONG)


def test_a_lease_that_runs_out_makes_an_orphan(journal: Journal, another: Open) -> None:
    journal.take("a", "me", 0.2)
    give_up_at = time.monotonic() + 30
    while not another().orphans(10) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert journal.orphans(10) == ["a"]
    assert journal.take("a", "you", LONG)
    assert journal.orphans(10) == []


def test_the_orphans_that_wait_longest_come_first(journal: Journal) -> None:
    for stream in "cab":
        journal.take(stream, "me", 0.0)
        time.sleep(0.005)
    journal.take("d", "me", LONG)
    assert journal.orphans(2) == ["c", "a"]
    assert journal.orphans(10) == ["c", "a", "b"]


def test_renewing_says_what_is_still_held(journal: Journal, another: Open) -> None:
    for stream in "abcd":
        journal.take(stream, "me", 0.0)
    another().take("b", "you", LONG)
    journal.release("c", "me")
    assert journal.renew("me", ["a", "b", "c", "never"], LONG) == {"a"}
    assert journal.orphans(10) == ["d"]
    assert journal.renew("me", [], LONG) == set()


def test_what_is_handed_over_is_an_orphan_at_once(journal: Journal, another: Open) -> None:
    begin(journal, "a", 2)
    journal.take("b", "me", LONG)
    journal.take("c", "you", LONG)
    journal.hand_over("me")
    assert sorted(another().orphans(10)) == ["a", "b"]
    assert journal.renew("me", ["a", "b"], LONG) == set()
    assert journal.commit([batch("a", "me", 3)]) == {"a"}
    assert another().take("a", "you", LONG)


def test_a_released_lease_is_nobodys(journal: Journal) -> None:
    journal.take("a", "me", 0.0)
    journal.release("a", "you")
    assert journal.orphans(10) == ["a"]
    journal.release("a", "me")
    assert journal.orphans(10) == []


def test_who_reads_is_known_to_every_worker(journal: Journal, another: Open) -> None:
    journal.take("a", "me", 0.0)
    assert journal.last_read("a") is None
    before = time.time()
    journal.touch(["a"])
    another().take("a", "you", LONG)
    read_at = another().last_read("a")
    assert read_at is not None and before - 1 <= read_at <= time.time() + 1


# News


def test_news_are_what_comes_once_the_place_is_taken(journal: Journal, another: Open) -> None:
    publish(journal, "a", 3)
    assert journal.wait(["a"], 0) == []
    publish(another(), "a")
    publish(journal, "a")
    assert places(news(journal, ["a"], 2)) == [("a", 4), ("a", 5)]


def test_news_are_of_the_streams_asked_for_alone(journal: Journal, another: Open) -> None:
    other = another()
    journal.wait(["a", "b"], 0)
    for stream in "abc":
        begin(other, stream, 1)
    other.commit([batch("c", "me", 2), batch("a", "me", 2)])
    found = news(journal, ["a", "b"], 3)
    assert sorted(places(found)) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_stream_that_joins_later_gets_what_comes_from_then_on(journal: Journal, another: Open) -> None:
    other = another()
    journal.wait(["a"], 0)
    publish(other, "b", 2)
    publish(other, "a")
    brought = [*journal.wait(["a", "b"], 0), *journal.wait(["a", "b"], 0)]
    publish(other, "b", 2)
    brought += news(journal, ["a", "b"], 2)
    assert [entry.seq for entry in brought if entry.stream == "b"][-2:] == [3, 4]
    assert [entry.seq for entry in brought if entry.stream == "a"] == [1]


def test_many_news_come_once_and_in_order(journal: Journal, another: Open) -> None:
    other = another()
    journal.wait(["a", "b"], 0)
    for stream in "ab":
        other.take(stream, "me", LONG)
    for first in range(1, 1500, 500):
        other.commit([batch("a", "me", first, 500), batch("b", "me", first, 500)])
    found = news(journal, ["a", "b"], 3000)
    for stream in "ab":
        assert [entry for entry in found if entry.stream == stream] == entries(stream, 1, 1500)


def test_who_waits_is_told_within_moments(journal: Journal, another: Open) -> None:
    other = another()
    journal.wait(["a"], 0)
    later = threading.Timer(0.2, other.publish, ["a", number, 10])
    later.start()
    began = time.monotonic()
    assert journal.wait(["a"], 30) == entries("a", 1, 1)
    assert time.monotonic() - began < 10
    later.join()


def test_waiting_ends_after_its_time(journal: Journal) -> None:
    began = time.monotonic()
    assert journal.wait(["a"], 0.2) == []
    assert journal.wait([], 0.2) == []
    assert 0.35 < time.monotonic() - began < 10


def test_who_waits_can_be_woken(journal: Journal) -> None:
    began = time.monotonic()
    later = threading.Timer(0.2, journal.wake)
    later.start()
    assert journal.wait(["a"], 30) == []
    journal.wake()
    assert journal.wait(["a"], 30) == []
    assert time.monotonic() - began < 20
    later.join()


# What is kept


def test_old_entries_go_and_their_numbers_are_never_used_again(journal: Journal) -> None:
    publish(journal, "a", 300)
    publish(journal, "newest")
    assert prune_all(journal, time.time() + 5) >= 300
    assert (journal.bounds("a"), journal.read("a", 0, 10)) == ((301, 300), [])
    assert journal.publish("a", number, 1000) == 301


def test_young_entries_stay(journal: Journal) -> None:
    publish(journal, "a", 3)
    assert prune_all(journal, time.time() - 60) == 0
    assert journal.bounds("a") == (1, 3)


def test_an_answer_with_a_lease_loses_nothing(journal: Journal) -> None:
    begin(journal, "a", 300)
    begin(journal, "b", 3)
    publish(journal, "newest")
    journal.release("b", "me")
    prune_all(journal, time.time() + 5)
    assert (journal.bounds("a"), journal.bounds("b")) == ((1, 300), (4, 3))


def test_a_journal_that_is_too_large_loses_its_oldest(journal: Journal) -> None:
    begin(journal, "a", 10)
    publish(journal, "b", 10)
    publish(journal, "newest")
    assert prune_all(journal, time.time() - 60, ROOM) == 0
    assert prune_all(journal, time.time() - 60, 0) >= 10
    assert (journal.bounds("a"), journal.bounds("b")) == ((1, 10), (11, 10))


def test_a_new_reader_of_what_was_pruned_sees_the_gap(journal: Journal) -> None:
    begin(journal, "a", 3)
    journal.release("a", "me")
    publish(journal, "newest")
    prune_all(journal, time.time() + 5)
    journal.take("a", "me", LONG)
    assert journal.commit([batch("a", "me", 4, 2)]) == set()
    assert (journal.bounds("a"), journal.read("a", 1, 10)) == ((4, 5), entries("a", 4, 2))


# Where it is


def test_a_wrong_address_names_its_setting_and_shows_no_password(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="TALKABOUT_JOURNAL_URL: expected redis://") as caught:
        open_journal(Settings(journal_url="mysql://me:secret@host"), tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(monkey.is_module_patched("socket"), reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    run_patched("-x", __file__, timeout_s=300)
