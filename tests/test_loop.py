"""The wait for a socket and the start of a thread of control: the same in plain threads and in gevent's loop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from gevent import monkey
from greenlet import getcurrent, greenlet, settrace

from relay.loop import Readable, after, spawn, wait_until, while_readable
from tests.patched import run_patched

LONG_S = 20.0
IS_PATCHED = monkey.is_module_patched("socket")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets: one to read from without waiting, and the other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


class Got:
    """Take a byte at each call, and have enough after so many; `ran_in` is where the calls ran."""

    def __init__(self, sock: socket.socket, enough: int) -> None:
        self.sock, self.enough = sock, enough
        self.data = b""
        self.ran_in: set[int] = set()

    def __call__(self) -> bool:
        self.ran_in.add(threading.get_ident())
        self.data += self.sock.recv(1)
        return len(self.data) >= self.enough


def test_it_is_called_until_it_has_enough(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"abcdef")
    got = Got(ours, 4)
    assert while_readable(ours, got, LONG_S) is True
    assert got.data == b"abcd"


def test_what_comes_while_it_waits_is_read(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    got = Got(ours, 2)
    spawn(lambda: theirs.sendall(b"ab"))
    assert while_readable(ours, got, LONG_S)
    assert got.data == b"ab"


def test_a_closed_connection_can_be_read(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    assert while_readable(ours, lambda: ours.recv(1) == b"", LONG_S)


def test_silence_ends_with_the_time(ends: tuple[socket.socket, socket.socket]) -> None:
    got = Got(ends[0], 1)
    assert while_readable(ends[0], got, 0.02) is False
    assert not got.ran_in


def test_one_that_never_has_enough_ends_with_the_time_too(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(b"x")
    assert while_readable(ends[0], lambda: False, 0.02) is False


@pytest.mark.parametrize("kind", [KeyError, OSError, SystemExit, KeyboardInterrupt])
def test_what_it_raises_comes_out_where_one_waits(
    ends: tuple[socket.socket, socket.socket], kind: type[BaseException]
) -> None:
    ours, theirs = ends
    theirs.sendall(b"x")

    def fail() -> bool:
        raise kind("mine")

    with pytest.raises(kind, match="mine"):
        while_readable(ours, fail, LONG_S)
    assert while_readable(ours, Got(ours, 1), LONG_S)  # the loop has not suffered


def test_it_runs_in_the_loop_where_there_is_one_and_else_where_one_waits(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[1].sendall(b"x")
    got = Got(ends[0], 1)
    while_readable(ends[0], got, LONG_S)
    assert (got.ran_in == {threading.get_ident()}) is not IS_PATCHED


def test_several_wait_at_once_each_for_its_own() -> None:
    pairs = [socket.socketpair() for _ in range(20)]
    results: dict[int, bytes] = {}
    all_done = threading.Event()

    def wait(number: int) -> None:
        pairs[number][0].setblocking(False)
        got = Got(pairs[number][0], 2)
        while_readable(pairs[number][0], got, LONG_S)
        results[number] = got.data
        if len(results) == len(pairs):
            all_done.set()

    for number in range(len(pairs)):
        spawn(lambda number=number: wait(number))  # type: ignore[misc]
    for number, (_, theirs) in reversed(list(enumerate(pairs))):
        theirs.sendall(b"%c" % (65 + number) * 2)
    assert all_done.wait(LONG_S)
    assert results == {number: b"%c" % (65 + number) * 2 for number in range(len(pairs))}
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_a_socket_is_waited_for_again_and_again(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    ours.settimeout(LONG_S)
    readable = Readable(ours, LONG_S)
    for byte in (b"a", b"b", b"c"):
        spawn(lambda byte=byte: theirs.sendall(byte))  # type: ignore[misc]
        assert readable.wait() and ours.recv(10) == byte
    readable.close()


def test_what_comes_or_ends_before_anybody_waits_is_noticed(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    ours.settimeout(LONG_S)
    readable = Readable(ours, LONG_S)
    theirs.sendall(b"early")
    time.sleep(0.02)
    assert readable.wait() and ours.recv(10) == b"early"
    theirs.close()
    time.sleep(0.02)
    assert readable.wait() and ours.recv(10) == b""
    readable.close()


@pytest.mark.skipif(not IS_PATCHED, reason="in a plain thread the socket itself has the time limit")
def test_the_loop_waits_no_longer_than_it_may_and_not_for_what_is_closed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    short, long = Readable(ends[0], 0.02), Readable(ends[0], LONG_S)
    assert not short.wait() and not short.wait()
    closed = after(0.02, long.close)
    assert long.wait()
    short.close()
    closed()


def test_what_is_spawned_runs_beside_the_one_who_spawned_it() -> None:
    ran_in: list[int] = []
    may_run, ran = threading.Event(), threading.Event()

    def run() -> None:
        may_run.wait(LONG_S)
        ran_in.append(threading.get_ident())
        ran.set()

    spawn(run)
    assert not ran_in
    may_run.set()
    assert ran.wait(LONG_S)
    assert ran_in != [threading.get_ident()]


def test_what_is_to_run_after_a_while_runs_unless_it_is_prevented() -> None:
    called, prevented = threading.Event(), threading.Event()
    prevent = after(0.5, prevented.set)
    let_go = after(0.6, called.set)
    prevent()
    assert called.wait(LONG_S) and not prevented.is_set()
    let_go()


def test_an_event_is_waited_for_until_a_time_that_may_move_on() -> None:
    event, began = threading.Event(), time.monotonic()
    due = [began + 0.1]
    let_go = after(0.05, lambda: due.append(began + 0.3))
    wait_until(event, lambda: due[-1])
    assert time.monotonic() >= began + 0.3
    let_go()


def test_an_event_that_is_set_ends_the_wait() -> None:
    event = threading.Event()
    let_go = after(0.02, event.set)
    wait_until(event, lambda: time.monotonic() + LONG_S)
    let_go()
    wait_until(event, lambda: time.monotonic() + LONG_S)
    wait_until(threading.Event(), lambda: 0.0)


@pytest.mark.skipif(not IS_PATCHED, reason="where there is no event loop, whoever waits looks himself")
def test_in_the_loop_nobody_wakes_up_to_find_that_the_time_has_moved_on() -> None:
    looks, switches = [0], [0]

    def due() -> float:
        looks[0] += 1
        return time.monotonic() + 0.01 if looks[0] < 10 else 0.0

    def count(what: str, ends: tuple[greenlet, greenlet]) -> None:
        switches[0] += ends[1] is mine

    mine, before = getcurrent(), settrace(count)
    try:
        wait_until(threading.Event(), due)
    finally:
        settrace(before)
    assert (looks[0], switches[0]) == (10, 1)


@pytest.mark.skipif(IS_PATCHED, reason="this is the patched run")
def test_all_of_this_holds_under_gevent() -> None:
    assert "1 skipped" in run_patched(__file__, timeout_s=60)
