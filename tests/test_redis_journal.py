"""The journal on a real Redis that stalls, breaks off, is killed and comes back, with its memory or without."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from redis.crc import key_slot

from answers import redis_journal, redis_line, redis_tail
from answers.entries import Batch, Entry, News
from answers.redis_journal import RedisJournal
from answers.redis_scripts import events, lease
from relay.errors import JournalError, SettingError
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent
LONG = 60.0
FORGET_S = 3600.0
QUICK_S = 20.0  # far less than redis-py's own 60 s, far more than it takes here
TAKE = """
import sys
from answers.redis_journal import RedisJournal
journal = RedisJournal(sys.argv[1], 3600)
sys.stdin.readline()
print(" ".join(str(n) for n in range(300) if journal.take(f"answer:{n}", sys.argv[2], 60)))
"""
UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, threading, time
from answers.redis_journal import RedisJournal
journal = RedisJournal(sys.argv[1], 3600)
journal.wait(["a"], 0)
found = []
tail = threading.Thread(target=lambda: found.extend(journal.wait(["a"], 10)))
tail.start()
ticks = sum(1 for _ in range(10) if not time.sleep(0.01))
writers = [threading.Thread(target=journal.publish, args=("b", lambda seq: b"", 100)) for _ in range(50)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
journal.publish("a", lambda seq: b"x", 10)
tail.join()
assert (ticks, len(found), journal.bounds("b")[1]) == (10, 1, 50)
"""
KILLED_UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import os, signal, sys
import gevent
from answers.redis_journal import RedisJournal
journal = RedisJournal(sys.argv[1], 3600)
journal.check()
os.kill(int(sys.argv[2]), signal.SIGSTOP)
asked = []
for n in range(6):
    asked.append(gevent.spawn(journal.take, f"answer:{n}", "me", 60))
    gevent.sleep(0.01)
for each in (asked[0], asked[1], asked[3]):  # who goes for all, who is to go next, and one who waits
    each.kill()
gevent.sleep(0.01)
os.kill(int(sys.argv[2]), signal.SIGCONT)
gevent.joinall(asked, timeout=20)
assert [asked[n].value for n in (2, 4, 5)] == [True] * 3, [each.value for each in asked]
journal.check()
"""


@pytest.fixture
def journal(redis: RedisServer) -> Iterator[RedisJournal]:
    with_redis = RedisJournal(redis.url, FORGET_S)
    yield with_redis
    with_redis.close()


@pytest.fixture(params=[True, False], ids=["persistent", "forgetful"])
def own_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """Run a server that the test may kill."""
    with RedisServer(tmp_path, persistent=request.param) as running:
        yield running


@pytest.fixture
def own_journal(own_redis: RedisServer) -> Iterator[RedisJournal]:
    journal = RedisJournal(own_redis.url, FORGET_S)
    yield journal
    journal.close()


persistent = pytest.mark.parametrize("own_redis", [True], indirect=True, ids=["persistent"])
forgetful = pytest.mark.parametrize("own_redis", [False], indirect=True, ids=["forgetful"])


def entries(stream: str, first: int, count: int) -> list[Entry]:
    return [Entry(stream, seq, b"%d" % seq) for seq in range(first, first + count)]


def batch(stream: str, first: int, count: int, owner: str = "me") -> Batch:
    return Batch(stream, owner, entries(stream, first, count))


def begin(journal: RedisJournal, stream: str, count: int) -> None:
    assert journal.take(stream, "me", LONG)
    assert journal.commit([batch(stream, 1, count)]) == set()


def number(seq: int) -> bytes:
    return b"%d" % seq


def eventually(work: Callable[[], object]) -> None:
    """Try until the journal does it."""
    give_up_at = time.monotonic() + 30
    while True:
        try:
            work()
            return
        except JournalError:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run work in a thread that notes what it gave or raised."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except JournalError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def wait_until_blocked(redis: RedisServer) -> bytes:
    """Return the id of the connection that waits in an XREAD."""
    give_up_at = time.monotonic() + 30
    with redis.client() as client:
        while not (blocked := [each for each in client.client_list() if "b" in each["flags"]]):
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
    assert len(blocked) == 1
    name: bytes = blocked[0]["id"]
    return name


# Killed and back


@persistent
def test_a_killed_redis_that_keeps_all_on_the_disk_loses_nothing(
    own_redis: RedisServer, own_journal: RedisJournal
) -> None:
    begin(own_journal, "a", 5)
    own_redis.restart()
    eventually(lambda: own_journal.commit([batch("a", 6, 2)]))
    assert own_journal.read("a", 0, 10) == entries("a", 1, 7)
    assert not own_journal.take("a", "you", LONG)


@forgetful
def test_a_stream_that_redis_has_forgotten_is_noticed_and_goes_on_behind_a_gap(
    own_redis: RedisServer, own_journal: RedisJournal
) -> None:
    begin(own_journal, "a", 5)
    own_redis.restart()
    eventually(own_journal.check)
    assert own_journal.commit([batch("a", 6, 1)]) == {"a"}
    assert own_journal.mend("a", "me", 5, LONG)
    assert own_journal.commit([batch("a", 6, 1)]) == set()
    assert (own_journal.bounds("a"), own_journal.read("a", 2, 10)) == ((6, 6), entries("a", 6, 1))


@forgetful
def test_a_lost_lease_is_taken_again_and_can_become_an_orphan(
    own_redis: RedisServer, own_journal: RedisJournal
) -> None:
    begin(own_journal, "a", 2)
    own_redis.restart()
    eventually(own_journal.check)
    assert own_journal.renew("me", ["a", "never"], 0.0) == {"a"}
    assert own_journal.orphans(10) == ["a"]
    assert own_journal.commit([batch("a", 3, 1)]) == {"a"}  # the entries are lost, whoever holds the lease
    assert own_journal.mend("a", "me", 2, LONG) and own_journal.orphans(10) == []


@forgetful
def test_after_a_loss_news_begin_anew(own_redis: RedisServer, own_journal: RedisJournal) -> None:
    for _ in range(3):
        own_journal.publish("a", number, 10)
    own_journal.wait(["a"], 0)
    own_redis.restart()
    eventually(lambda: own_journal.publish("a", number, 10))
    with pytest.raises(JournalError):  # though a new connection would hide it
        own_journal.wait(["a"], 1)
    assert own_journal.wait(["a"], 5) == entries("a", 1, 1)


def test_who_waits_learns_at_once_that_redis_is_gone(own_redis: RedisServer, own_journal: RedisJournal) -> None:
    own_journal.wait(["a"], 0)
    thread, outcome = in_background(lambda: own_journal.wait(["a"], LONG))
    wait_until_blocked(own_redis)
    own_redis.restart()
    thread.join(QUICK_S)
    assert isinstance(outcome[0], JournalError)
    own_journal.publish("a", number, 10)
    assert own_journal.wait(["a"], 5) == entries("a", 1, 1)


def test_while_redis_is_gone_everything_fails_quickly(own_redis: RedisServer, own_journal: RedisJournal) -> None:
    begin(own_journal, "a", 1)
    own_redis.kill()
    began = time.monotonic()
    for work in (own_journal.check, own_journal.wake, lambda: own_journal.wait(["a"], LONG)):
        with pytest.raises(JournalError):
            work()
    assert time.monotonic() - began < QUICK_S
    own_redis.start()
    own_journal.check()


def test_a_redis_that_answers_nothing_is_given_up(journal: RedisJournal, redis: RedisServer) -> None:
    redis.freeze()
    began = time.monotonic()
    with pytest.raises(JournalError):
        journal.check()
    redis.thaw()
    assert 1 < time.monotonic() - began < QUICK_S
    journal.check()


# What may be lost on the way: the command or its reply


@pytest.fixture
def impatient(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisJournal]:
    """Open a journal that sends a command again after a moment."""
    monkeypatch.setattr(redis_journal, "ANSWER_S", 0.2)
    monkeypatch.setattr(redis_journal, "RETRIES", 20)
    journal = RedisJournal(redis.url, FORGET_S)
    yield journal
    journal.close()


def stall(redis: RedisServer, work: Callable[[], object]) -> object:
    """Do work that Redis gets several times before it can answer."""
    redis.freeze()
    thread, outcome = in_background(work)
    time.sleep(0.7)
    redis.thaw()
    thread.join(30)
    return outcome[0]


def test_a_commit_that_is_sent_several_times_is_written_once(impatient: RedisJournal, redis: RedisServer) -> None:
    begin(impatient, "a", 3)
    assert stall(redis, lambda: impatient.commit([batch("a", 4, 2)])) == set()
    assert impatient.read("a", 0, 10) == entries("a", 1, 5)


def test_what_is_published_is_sent_several_times_and_written_once(impatient: RedisJournal, redis: RedisServer) -> None:
    impatient.publish("a", number, 10)
    assert stall(redis, lambda: impatient.publish("a", number, 10)) == 2
    assert impatient.bounds("a") == (1, 2)


def test_equal_blocks_of_two_publishers_are_two_entries(journal: RedisJournal) -> None:
    assert [journal.publish("a", lambda _seq: b"same", 10) for _ in range(2)] == [1, 2]


def test_a_lease_is_taken_and_mended_however_often_it_is_asked_for(impatient: RedisJournal, redis: RedisServer) -> None:
    assert stall(redis, lambda: impatient.take("a", "me", LONG)) is True
    assert stall(redis, lambda: impatient.mend("a", "me", 7, LONG)) is True
    assert impatient.commit([batch("a", 8, 1)]) == set()


def test_scripts_that_redis_has_forgotten_are_loaded_again(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 1)
    with redis.client() as client:
        client.script_flush()
    assert journal.commit([batch("a", 2, 1)]) == set()


def told(stream: str, by: str) -> News:
    return News(stream, lambda seq: b"%d %b" % (seq, by.encode()), 10, by)


def blocks(journal: RedisJournal, stream: str) -> list[bytes]:
    return [entry.block for entry in journal.read(stream, 0, 100)]


def test_news_whose_fate_is_unknown_are_tried_again_and_written_once(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_journal, "ANSWER_S", 0.2)
    monkeypatch.setattr(redis_journal, "RETRIES", 0)
    journal, other = RedisJournal(redis.url, FORGET_S), RedisJournal(redis.url, FORGET_S)
    news = [told("a", "one"), told("b", "two"), told("a", "three")]
    journal.take("answer:1", "me", LONG)
    redis.freeze()
    with pytest.raises(JournalError):
        journal.commit([batch("answer:1", 1, 1)], news)
    redis.thaw()
    eventually(lambda: other.publish("b", number, 10))
    eventually(lambda: journal.publish("a", number, 10))
    assert journal.commit([batch("answer:1", 1, 1)], news) == set()
    assert (blocks(journal, "a"), blocks(journal, "b")) == ([b"1 one", b"2 three", b"3"], [b"1 two", b"2"])
    journal.close()
    other.close()


@forgetful
def test_news_go_on_when_redis_has_forgotten_their_stream(own_redis: RedisServer, own_journal: RedisJournal) -> None:
    own_journal.commit([], [told("a", f"{n}") for n in range(3)])
    own_redis.restart()
    eventually(lambda: own_journal.commit([], [told("a", "late")]))
    assert blocks(own_journal, "a") == [b"1 late"]


# What one journey carries


@pytest.fixture
def journeys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the replies that each journey to Redis brings."""
    counts: list[int] = []
    exchange = redis_line._Wire.exchange

    def noted(self: redis_line._Wire, request: bytes, count: int) -> list[object]:
        counts.append(count)
        return exchange(self, request, count)

    monkeypatch.setattr(redis_line._Wire, "exchange", noted)
    return counts


def test_a_lease_a_commit_and_what_is_published_are_a_journey_each(journal: RedisJournal, journeys: list[int]) -> None:
    journal.publish("a", number, 10)
    journeys.clear()
    assert journal.take("answer:1", "me", LONG)
    assert journal.commit([batch("answer:1", 1, 5)], [told("a", "1"), told("b", "2"), told("a", "3")]) == set()
    assert journal.commit([batch("answer:1", 6, 5)]) == set()
    assert journal.publish("a", number, 10) == 4
    assert journeys == [2, 4, 1, 2]  # with the index of the leases, or of ages


def test_what_is_asked_while_a_journey_runs_travels_with_the_next(
    journal: RedisJournal, redis: RedisServer, journeys: list[int]
) -> None:
    journal.check()
    with redis.client() as client:
        before = {
            each["id"] for each in client.client_list()
        }  # the journal's, and what earlier tests have not closed yet
    journeys.clear()
    redis.freeze()
    asked = [in_background(lambda n=n: journal.take(f"answer:{n}", "me", LONG)) for n in range(50)]  # type: ignore[misc]
    time.sleep(0.3)
    redis.thaw()
    for thread, _ in asked:
        thread.join(30)
    assert [outcome for _, outcome in asked] == [[True]] * 50
    assert journeys == [2, 98]
    with redis.client() as client:
        assert len({each["id"] for each in client.client_list()} - before) <= 1  # this, and none of the journal's


def test_nobody_waits_long_for_a_journey_to_begin(
    journal: RedisJournal, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_line, "TURN_S", 0.1)
    journal.check()
    redis.freeze()
    (first, done), (second, refused) = in_background(journal.check), in_background(journal.check)
    second.join(QUICK_S)
    redis.thaw()
    first.join(QUICK_S)
    (error,) = [outcome for outcome in done + refused if outcome]
    assert isinstance(error, JournalError) and "no journey began" in str(error)
    journal.check()


def test_who_is_killed_on_the_way_leaves_the_others_their_turn(redis: RedisServer, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as own:
        command = [sys.executable, "-c", KILLED_UNDER_GEVENT, own.url, str(own.process.pid)]
        assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0


def test_one_refusal_does_not_concern_what_travels_along(journal: RedisJournal, redis: RedisServer) -> None:
    with redis.client() as client:
        client.set(events("broken"), "no stream")
    redis.freeze()
    asked = [in_background(work) for work in (journal.check, lambda: journal.bounds("broken"), journal.check)]
    time.sleep(0.2)
    redis.thaw()
    for thread, _ in asked:
        thread.join(30)
    assert [type(outcome[0]) for _, outcome in asked] == [type(None), JournalError, type(None)]


def test_a_connection_that_was_cut_while_nobody_used_it_is_replaced(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 1)
    with redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert journal.commit([batch("a", 2, 1)]) == set()


def test_what_comes_in_many_pieces_is_put_together(journal: RedisJournal) -> None:
    large = [Entry("a", seq, bytes([seq % 256]) * 20_000) for seq in range(1, 301)]
    journal.take("a", "me", LONG)
    assert journal.commit([Batch("a", "me", large)]) == set()
    assert journal.read("a", 0, 1000) == large


# Waiting


def test_one_connection_waits_for_many_streams(journal: RedisJournal, redis: RedisServer) -> None:
    streams = [f"answer:{n}" for n in range(150)]
    journal.wait(streams, 0)
    thread, outcome = in_background(lambda: journal.wait(streams, LONG))
    wait_until_blocked(redis)
    for stream in streams:
        journal.publish(stream, number, 10)
    thread.join(30)
    found = list(outcome[0]) if isinstance(outcome[0], list) else []
    while len(found) < len(streams):
        found += journal.wait(streams, 1.0)
    assert sorted(entry.stream for entry in found) == sorted(streams)


def test_a_connection_killed_in_mid_wait_loses_no_news(journal: RedisJournal, redis: RedisServer) -> None:
    journal.publish("a", number, 10)
    journal.wait(["a"], 0)
    thread, outcome = in_background(lambda: journal.wait(["a"], LONG))
    name = wait_until_blocked(redis)
    with redis.client() as client:
        client.client_kill_filter(_id=name)
    thread.join(QUICK_S)
    assert isinstance(outcome[0], JournalError)
    journal.publish("a", number, 10)
    assert journal.wait(["a"], 5) == entries("a", 2, 1)


def test_a_wake_is_heard_in_a_long_wait(journal: RedisJournal, redis: RedisServer) -> None:
    thread, outcome = in_background(lambda: journal.wait(["a", "b"], LONG))
    wait_until_blocked(redis)
    journal.wake()
    thread.join(QUICK_S)
    assert outcome == [[]]


def test_a_wait_longer_than_redis_may_block_goes_on(
    journal: RedisJournal, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_tail, "BLOCK_S", 0.05)
    thread, outcome = in_background(lambda: journal.wait(["a"], LONG))
    time.sleep(0.3)
    journal.publish("a", number, 10)
    thread.join(QUICK_S)
    assert outcome == [entries("a", 1, 1)]


def test_a_short_timeout_in_the_url_breaks_no_wait(redis: RedisServer) -> None:
    journal = RedisJournal(f"{redis.url}?socket_timeout=0.1", FORGET_S)
    assert journal.wait(["a"], 0.5) == []
    journal.close()


# The fence


def test_of_two_processes_each_lease_goes_to_one(redis: RedisServer) -> None:
    command = [sys.executable, "-c", TAKE, redis.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    workers = [subprocess.Popen([*command, name], **pipes, text=True, cwd=ROOT) for name in ("one", "two")]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken = [int(n) for worker in workers for n in worker.communicate(timeout=60)[0].split()]
    assert sorted(taken) == list(range(300))


def test_nothing_is_mended_for_who_has_lost_the_lease(journal: RedisJournal, redis: RedisServer) -> None:
    other = RedisJournal(redis.url, FORGET_S)
    journal.take("a", "me", 0.0)
    assert other.take("a", "you", LONG)
    assert not journal.mend("a", "me", 5, LONG)
    assert not journal.mend("never", "me", 5, LONG)
    other.close()


def test_nothing_is_mended_over_what_another_has_written(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 5)
    with redis.client() as client:
        client.delete(lease("a"))
    assert not journal.mend("a", "me", 3, LONG)
    assert journal.bounds("a") == (1, 5)


def test_nothing_is_mended_behind_an_end_that_another_has_written(redis: RedisServer) -> None:
    me, you = RedisJournal(redis.url, 60.0), RedisJournal(redis.url, 60.0)
    assert me.take("answer:1", "me", 0.0) and you.take("answer:1", "you", 60.0)
    end = Entry("answer:1", 1, b"end", True)
    assert you.commit([Batch("answer:1", "you", [end])]) == set()
    you.release("answer:1", "you")
    assert me.commit([Batch("answer:1", "me", [end._replace(block=b"mine")])]) == {"answer:1"}
    assert not me.mend("answer:1", "me", 1, 60.0)
    assert me.renew("me", ["answer:1"], 60.0) == set()
    me.close()
    you.close()


def test_a_stream_that_lost_only_its_end_goes_on_behind_the_gap(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 3)
    assert journal.commit([batch("a", 6, 1)]) == {"a"}
    assert journal.mend("a", "me", 5, LONG)
    assert journal.commit([batch("a", 6, 1)]) == set()
    assert journal.bounds("a") == (6, 6)


def test_a_lease_that_only_the_index_still_has_is_an_orphan(journal: RedisJournal, redis: RedisServer) -> None:
    journal.take("a", "me", 0.0)
    journal.take("b", "me", LONG)
    with redis.client() as client:
        client.delete(lease("a"), lease("b"))
    assert journal.orphans(10) == ["a"]


# Cluster, room, and what stands in an error


@pytest.mark.parametrize("stream", ["answer:1", "channel:a}b", "channel:{a}", "channel:什", "channel:}{", "stops"])
def test_a_streams_entries_and_its_lease_are_in_one_slot(stream: str, redis_cluster: RedisServer) -> None:
    with redis_cluster.client() as client:
        slots = {client.execute_command("CLUSTER", "KEYSLOT", key(stream)) for key in (events, lease)}
    assert slots == {key_slot(stream.partition("}")[0].encode())}


def test_everything_expires_when_nobody_writes_any_more(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 1)
    journal.publish("b", number, 10)
    with redis.client() as client:
        left = [client.pttl(key) for key in (events("a"), lease("a"), events("b"))]
    assert all(0 < each <= FORGET_S * 1000 for each in left)


def test_the_oldest_go_when_redis_holds_more_than_it_may(journal: RedisJournal) -> None:
    for n in range(20):
        begin(journal, f"answer:{n}", 0 + 1)
        journal.publish(f"channel:{n}", lambda _seq: b"x" * 100_000, 10)
        journal.release(f"answer:{n}", "me")
    while journal.prune(0, 1_200_000):
        pass
    assert journal.bounds("channel:0") == (2, 1)
    assert journal.bounds("channel:19") == (1, 1)


def test_a_full_redis_ends_in_a_typed_error_and_works_again(journal: RedisJournal, redis: RedisServer) -> None:
    begin(journal, "a", 1)
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(JournalError, match="maxmemory"):
            journal.commit([batch("a", 2, 2)])
        client.config_set("maxmemory", 0)
    assert journal.bounds("a") == (1, 1)
    assert journal.commit([batch("a", 2, 1)]) == set()


def test_a_wrong_password_is_a_typed_error_that_does_not_show_it(tmp_path: Path) -> None:
    with RedisServer(tmp_path, password="right") as server:
        journal = RedisJournal(server.url.replace("right", "wrongone"), FORGET_S)
        with pytest.raises(JournalError) as caught:
            journal.check()
        journal.close()
    assert "wrongone" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://me:secret@host", "redis://me:sec/secret@host", "redis://:secret@host?no_such_option=1"]
)
def test_an_address_that_is_none_stops_the_start_without_showing_it(url: str) -> None:
    with pytest.raises(SettingError, match="TALKABOUT_JOURNAL_URL: expected redis://") as caught:
        RedisJournal(url, FORGET_S)
    assert "sec" not in str(caught.value) and caught.value.__cause__ is None


def test_an_error_shows_nothing_of_what_was_said(journal: RedisJournal, redis: RedisServer) -> None:
    journal.take("a", "me", LONG)
    with redis.client() as client:
        client.set(events("a"), "no stream")
    with pytest.raises(JournalError, match="wrong kind") as caught:
        journal.commit([Batch("a", "me", [Entry("a", 1, b"private")])])
    assert "private" not in str(caught.value)


def test_it_blocks_no_other_greenlet_under_gevent(redis: RedisServer) -> None:
    command = [sys.executable, "-c", UNDER_GEVENT, redis.url]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0


def test_it_works_through_tls_in_threads_and_under_gevent(tmp_path: Path, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    with RedisServer(tmp_path, tls=tmp_path) as server:
        journal = RedisJournal(server.url, FORGET_S)
        large = [Entry("large", seq, b"x" * 50_000) for seq in range(1, 11)]
        journal.take("large", "me", LONG)
        assert journal.commit([Batch("large", "me", large)]) == set()
        assert journal.read("large", 0, 100) == large
        journal.close()
        command = [sys.executable, "-c", UNDER_GEVENT, server.url]
        assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0
