"""Channels on the journal: live, resumed, pruned, over processes; the whole file runs again under gevent's patch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from gevent import monkey

from answers.channels import Channels
from answers.follow import Follower
from answers.journal import Batch, Entry
from answers.sqlite_journal import SqliteJournal
from answers.writer import Writer
from relay.errors import BadEventField, BadUserId, Draining, ReaderGone, ReaderTooSlow
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import Decoder, Event
from tests import waiting
from tests.patched import run_patched

ROOT = Path(__file__).parent.parent
PUBLISH = """
import sys
from pathlib import Path
from answers.channels import Channels
from answers.follow import Follower
from answers.sqlite_journal import SqliteJournal
from answers.writer import Writer
from relay.settings import Settings
journal, settings = SqliteJournal(Path(sys.argv[1])), Settings()
follower = Follower(journal, settings)
channels = Channels(journal, follower, settings, Writer(journal, follower, 1 << 20).tell)
for n in range(int(sys.argv[2])):
    channels.publish("ada", str(n))
channels.announce("cuts", "from the other process")
"""
until = partial(waiting.until, patience_s=30.0)


class Client:
    """Read a channel as a browser would: events, and the last event ID to come back with."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe, self.blocks, self.decoder = pipe, iter(pipe), Decoder()
        self.events: list[Event] = []

    def take(self, count: int) -> list[Event]:
        while len(self.events) < count:
            self.events += self.decoder.feed(next(self.blocks))
        taken, self.events = self.events[:count], self.events[count:]
        return taken


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.fixture
def make(journal: SqliteJournal) -> Iterator[Callable[..., Channels]]:
    """Make channels with settings of their own."""
    followers: list[Follower] = []

    def make(**changed: float) -> Channels:
        settings = Settings(**changed)
        followers.append(Follower(journal, settings))
        return Channels(journal, followers[-1], settings, Writer(journal, followers[-1], 1 << 20).tell)

    yield make
    for follower in followers:
        follower.close()


@pytest.fixture
def follower(journal: SqliteJournal) -> Iterator[Follower]:
    follower = Follower(journal, Settings())
    yield follower
    follower.close()


@pytest.fixture
def writer(journal: SqliteJournal, follower: Follower) -> Iterator[Writer]:
    writer = Writer(journal, follower, 1 << 20)
    yield writer
    writer.close()


@pytest.fixture
def channels(journal: SqliteJournal, follower: Follower, writer: Writer) -> Channels:
    return Channels(journal, follower, Settings(), writer.tell)


def publish(channels: Channels, count: int, user: str = "ada") -> list[str]:
    return [channels.publish(user, str(n)) for n in range(count)]


def connect(channels: Channels, last_event_id: str | None = None, user: str = "ada") -> Client:
    return Client(channels.subscribe(user, last_event_id))


def ids(events: list[Event]) -> list[int]:
    return [int(event.id) for event in events]


def test_a_channel_opens_with_the_current_id_and_the_reconnection_time(channels: Channels) -> None:
    publish(channels, 3)
    client = connect(channels)
    assert client.take(1) == [Event('{"user": "ada"}', "open", "3")]
    assert client.decoder.retry == 2000


def test_what_is_published_reaches_every_reader_with_its_id(channels: Channels) -> None:
    clients = [connect(channels), connect(channels)]
    assert channels.publish("ada", '{"n": 1}', "note") == "1"
    for client in clients:
        assert client.take(2) == [Event('{"user": "ada"}', "open", "0"), Event('{"n": 1}', "note", "1")]


def test_nobody_else_hears_it(channels: Channels) -> None:
    bob = connect(channels, user="bob")
    channels.publish("ada", "1")
    channels.publish("bob", "2")
    assert [event.data for event in bob.take(2)[1:]] == ["2"]


def test_a_reader_that_comes_back_gets_what_it_missed_then_goes_on(channels: Channels) -> None:
    publish(channels, 5)
    client = connect(channels, "2")
    assert ids(client.take(4)) == [2, 3, 4, 5]
    publish(channels, 2)
    assert ids(client.take(2)) == [6, 7]


def test_a_cut_right_behind_open_loses_nothing(channels: Channels) -> None:
    publish(channels, 5)
    cut = connect(channels, "2")
    opening = cut.take(1)
    cut.pipe.abandon(ReaderGone())
    assert ids(connect(channels, opening[0].id).take(4)) == [2, 3, 4, 5]


@pytest.mark.parametrize("cursor", ["abc", "-1", "1.5", "٣", "9" * 400, "9" * 18, "6"])
def test_a_cursor_that_never_was_gets_a_reset_and_all_that_is_kept(channels: Channels, cursor: str) -> None:
    publish(channels, 5)
    events = connect(channels, cursor).take(7)
    assert events[:2] == [Event('{"user": "ada"}', "open", "0"), Event('{"from": 1}', "reset", "0")]
    assert ids(events[2:]) == [1, 2, 3, 4, 5]


def test_a_cursor_that_was_pruned_gets_a_reset_and_all_that_is_kept(make: Callable[..., Channels]) -> None:
    channels = make(channel_keep_events=2)
    publish(channels, 5)
    events = connect(channels, "1").take(4)
    assert [event.event for event in events] == ["open", "reset", "message", "message"]
    assert (ids(events), events[1].data) == ([1, 3, 4, 5], '{"from": 4}')


def test_the_oldest_cursor_that_needs_nothing_pruned_gets_no_reset(make: Callable[..., Channels]) -> None:
    channels = make(channel_keep_events=2)
    publish(channels, 5)
    assert ids(connect(channels, "3").take(3)) == [3, 4, 5]


def test_a_channel_that_was_pruned_whole_still_knows_its_place(channels: Channels, journal: SqliteJournal) -> None:
    publish(channels, 3)
    publish(channels, 1, "bob")
    journal.prune(time.time() + 1, 1 << 30)
    client = connect(channels, "1")
    assert [(event.event, event.id) for event in client.take(2)] == [("open", "1"), ("reset", "3")]
    assert channels.publish("ada", "0") == "4" and ids(client.take(1)) == [4]


def test_a_replay_larger_than_what_may_wait_is_paced_by_the_reader(make: Callable[..., Channels]) -> None:
    channels = make(reader_buffer_bytes=1024)
    publish(channels, 300)
    client = connect(channels, "0")
    assert ids(client.take(301)) == [0, *range(1, 301)]
    assert client.pipe.reason is None


def test_nothing_is_doubled_or_lost_between_replay_and_live(channels: Channels) -> None:
    publish(channels, 200)
    publisher = threading.Thread(target=publish, args=(channels, 200))
    publisher.start()
    for _ in range(10):
        client = connect(channels, "0")
        assert ids(client.take(401)) == list(range(401))
        client.pipe.abandon(ReaderGone())
    publisher.join()


def test_a_slow_reader_is_dropped_and_the_others_feel_nothing(make: Callable[..., Channels]) -> None:
    channels = make(reader_buffer_bytes=1024, reader_timeout_s=1)
    slow, quick = channels.subscribe("ada", None), connect(channels)
    for n in range(30):
        channels.publish("ada", json.dumps("x" * 100))
        assert ids(quick.take(1)) == [n]
    until(lambda: slow.reason is not None)
    assert isinstance(slow.reason, ReaderTooSlow) and quick.pipe.reason is None


def test_silence_is_filled_with_comments(make: Callable[..., Channels]) -> None:
    channels = make(heartbeat_s=0.05)
    blocks = iter(channels.subscribe("ada", None))
    assert next(blocks).startswith(b"retry: 2000\nevent: open\n") and next(blocks) == b": ping\n"


def test_a_drained_channel_ends_with_a_terminal_event(channels: Channels) -> None:
    client = connect(channels)
    client.take(1)
    client.pipe.abandon(Draining(), linger_s=30)
    (event,) = client.take(1)
    assert event.event == "done" and json.loads(event.data)["error"]["message"] == Draining.public
    assert list(client.blocks) == []


def test_close_ends_every_channel_and_takes_no_more(channels: Channels, follower: Follower) -> None:
    live = connect(channels)
    follower.close()
    assert [event.event for event in live.take(2)] == ["open", "done"]
    with pytest.raises(Draining):
        channels.subscribe("ada", None)


def test_a_listener_hears_what_is_announced_from_now_on(channels: Channels, follower: Follower) -> None:
    heard: list[str] = []
    channels.announce("cuts", "before")
    follower.listen("cuts", heard.append)
    channels.announce("cuts", "愛")
    until(lambda: heard == ["愛"])


def test_a_user_can_neither_read_nor_make_an_announcement(channels: Channels, follower: Follower) -> None:
    heard: list[str] = []
    follower.listen("cuts", heard.append)
    client = connect(channels, user="cuts")
    channels.publish("cuts", "mine")
    channels.announce("cuts", "ours")
    until(lambda: bool(heard))
    assert heard == ["ours"] and [event.data for event in client.take(2)[1:]] == ["mine"]


@pytest.mark.parametrize("user", ["", "x" * 129, "a\nb", "a\0", "\x85", "\ud83d"])
def test_a_user_id_that_no_channel_can_have_is_refused(channels: Channels, user: str) -> None:
    with pytest.raises(BadUserId):
        channels.subscribe(user, None)
    with pytest.raises(BadUserId):
        channels.publish(user, "1")


@pytest.mark.parametrize("user", ["x" * 128, "愛 而/不得", "👩‍👩‍👧", "' OR 1=1 --", "%00"])
def test_any_other_text_is_a_user_id(channels: Channels, user: str) -> None:
    client = connect(channels, user=user)
    channels.publish(user, "1")
    events = client.take(2)
    assert json.loads(events[0].data) == {"user": user} and events[1].data == "1"


def test_a_refused_event_takes_no_id(channels: Channels) -> None:
    with pytest.raises(BadEventField):
        channels.publish("ada", "1", "two\nlines")
    assert channels.publish("ada", "1") == "1"


def test_what_is_told_reaches_every_reader_with_its_id_and_in_its_order(channels: Channels, writer: Writer) -> None:
    client = connect(channels)
    channels.tell("ada", '"before the writer runs"', "note")
    writer.begin("answer:a", 0, lambda: None)
    writer.append(Batch("answer:a", "me", [Entry("answer:a", 1, b"x")]))
    for n in range(3):
        channels.tell("ada", str(n), "note")
    writer.close()
    channels.tell("ada", '"after its end"', "note")
    events = client.take(6)[1:]
    assert ids(events) == [1, 2, 3, 4, 5] and {event.event for event in events} == {"note"}
    assert [event.data for event in events] == ['"before the writer runs"', "0", "1", "2", '"after its end"']


def test_what_no_stream_can_carry_is_told_to_nobody(channels: Channels, writer: Writer) -> None:
    writer.begin("answer:a", 0, lambda: None)
    with pytest.raises(BadEventField):
        channels.tell("ada", "1", "two\nlines")
    channels.tell("ada", "1", "note")
    assert ids(connect(channels, "0").take(2)) == [0, 1]


def test_what_another_process_publishes_arrives_in_order_and_once(
    channels: Channels, follower: Follower, tmp_path: Path
) -> None:
    heard: list[str] = []
    follower.listen("cuts", heard.append)
    clients = [connect(channels), connect(channels, "0")]
    other = subprocess.Popen([sys.executable, "-c", PUBLISH, str(tmp_path / "journal.db"), "50"], cwd=ROOT)
    publish(channels, 50)
    for client in clients:
        assert ids(client.take(101)) == list(range(101))
    assert other.wait(30) == 0
    until(lambda: heard == ["from the other process"])


@pytest.mark.skipif(monkey.is_module_patched("socket"), reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    assert "1 skipped" in run_patched(__file__, timeout_s=60)
