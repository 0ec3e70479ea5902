"""What one token costs on its way from the model to the browser, counted: none of these numbers may grow."""

from __future__ import annotations

import io
import socket
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from werkzeug.test import EnvironBuilder

from answers import answer as answer_module
from answers.answer import Answer, stream_of
from answers.follow import Follower
from answers.pen import Pen
from answers.producer import Ask, Producer
from answers.sqlite_journal import SqliteJournal
from answers.writer import Writer
from relay import passthrough
from relay.body import SocketBody
from relay.errors import ReaderGone
from relay.framing import Counted
from relay.line import DEFAULT_TIMEOUTS, Line
from relay.pipe import Pipe, to_reader
from relay.settings import Settings
from tests.apps import client
from tests.misbehaviours import done, event
from tests.test_pipe import Task, until_it_waits
from web.client import Chunks

PIECES = 20
MOST_CALLS = 590  # of Python functions; a release of Flask or Werkzeug may change it


class Script:
    """A call whose pieces come one by one, each once the client has what the one before it said."""

    def __init__(self, client: socket.socket, pipe: Pipe, counts: Counter[str]) -> None:
        self.ended, self.span = False, None
        self.costs: list[dict[str, int]] = []
        self._client = client.makefile("rb")
        self._pipe = pipe
        self._counts = counts

    def open(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def read(self, take: Callable[[bytes], bool], take_chunk: object = None) -> bool:
        """Say everything; note what each piece has cost when it was with the client."""
        for number in range(PIECES):
            until_it_waits(self._pipe)
            self._counts.clear()
            assert not take(event({"content": f"token {number}"}))
            while f"token {number}".encode() not in self._client.readline():
                pass
            self.costs.append(dict(self._counts))
        self.ended = True
        return take(done())


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what is dear."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str, as_name: str) -> None:
        real = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            counted[as_name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, noted)

    count(orjson, "loads", "parsed")
    count(answer_module, "encode_line", "encoded")
    count(passthrough, "encode", "encoded")
    count(Writer, "offer", "offered")
    count(Writer, "append", "appended")
    count(SqliteJournal, "commit", "committed")
    count(threading.Thread, "start", "threads")
    return counted


@pytest.fixture
def wire(counts: Counter[str]) -> Iterator[tuple[Chunks, socket.socket]]:
    """Make an outlet whose sends are counted, and its client."""
    ours, client = socket.socketpair()

    class Counted:
        """The socket below gunicorn's."""

        def send(self, data: bytes, flags: int) -> int:
            counts["sent"] += 1
            return ours.send(data, flags)

        def sendall(self, data: bytes) -> None:
            counts["sent again"] += 1
            ours.sendall(data)

    with ours, client:
        yield Chunks(Counted()), client


def test_a_token_of_an_answer_is_parsed_encoded_written_and_sent_once(
    tmp_path: Path, counts: Counter[str], wire: tuple[Chunks, socket.socket]
) -> None:
    outlet, client = wire
    journal = SqliteJournal(tmp_path / "journal.db")
    follower = Follower(journal, Settings())
    writer = Writer(journal, follower, 1 << 20)
    journal.take(stream_of("a"), "me", 60)
    answer = Answer("a", "c", "m")
    answer.open()
    pen = Pen(answer, "me", journal, writer, lambda: 60.0)
    pen.write()
    pipe = follower.follow(stream_of("a"), 0)
    pipe.outlet = outlet
    reader = Task(lambda: list(pipe))
    call: Any = Script(client, pipe, counts)
    ask = Ask(lambda kept: call, lambda: None, lambda: "none", 1 << 20, 1 << 20)
    Producer(pen, ask, lambda: 1, lambda pen, state, error, ms: pen.end(state, error)).run(recovering=False)
    reader.outcome()
    follower.close()
    writer.close()
    journal.close()
    once = {"parsed": 1, "encoded": 1, "offered": 1, "committed": 1, "sent": 1}
    assert call.costs[1:] == [once] * (PIECES - 1)  # the first one brings a phase with it


def test_a_token_of_the_article_s_relay_is_neither_parsed_nor_encoded_and_sent_once(
    counts: Counter[str], wire: tuple[Chunks, socket.socket]
) -> None:
    outlet, client = wire
    pipe = Pipe(max_bytes=1 << 20, reader_timeout_s=30, heartbeat_s=30)
    pipe.outlet = outlet
    reader = Task(lambda: list(pipe))
    call: Any = Script(client, pipe, counts)
    passthrough.relay(call, pipe, 1 << 20)
    pipe.abandon(ReaderGone())
    reader.outcome()
    assert call.costs == [{"sent": 1}] * PIECES


def calls(work: Callable[[], object]) -> int:
    """Count the Python functions that are called in this thread; each costs a microsecond where caches are cold."""
    counted = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize("address", ["/api/answers", "/talkeAbout"])
def test_a_question_takes_no_more_calls_than_it_did(tmp_path: Path, address: str) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as asking:
        environ = EnvironBuilder(address, method="POST", json={"prompt": "?"}).get_environ()

        def ask() -> None:
            body = io.BytesIO(environ["wsgi.input"].getvalue())
            made = asking.application.wsgi_app({**environ, "wsgi.input": body}, lambda *_: print)
            made.close()  # type: ignore[attr-defined]

        ask()
        ask()
        assert min(calls(ask) for _ in range(5)) <= MOST_CALLS


class Somebody:
    """Who is told, or takes what comes."""

    def take(self, _what: object) -> bool:
        """Take it."""
        return False


def test_a_pipe_that_has_ended_keeps_nobody_in_memory_until_garbage_is_looked_for() -> None:
    somebody, pipe = Somebody(), to_reader(Settings())
    alive = weakref.ref(somebody)
    pipe.on_abandon(somebody.take)
    del somebody
    assert alive()
    pipe.close()
    assert not alive()


def test_a_body_that_was_read_keeps_nobody_in_memory_until_garbage_is_looked_for() -> None:
    somebody = Somebody()
    alive = weakref.ref(somebody)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = SocketBody(ours, Counted(5), b"whole", Line(DEFAULT_TIMEOUTS), bool)
        assert not body.read(somebody.take)
    del somebody
    assert body.released
    assert not alive()
