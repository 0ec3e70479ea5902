"""What the hot path takes from gevent itself: the one module that knows it, with the same in plain threads.

A token that wakes a greenlet costs two switches, which is a third of all that relaying it takes. So where gevent has
patched the process, a socket that can be read calls a function in the event loop; where it has not, the thread that
waits for it calls it. Either way that function must not wait, for anything.
"""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import Waiter

from relay.collect import collector_of

_READ = 1  # libev's EV_READ

# A lock for sections that wait for nothing. To the unpatched one all greenlets are one thread, and none can meet
# another inside; gevent's own costs ten times as much. It may be taken twice, so that a generator that happens to be
# collected inside such a section can end.
Lock = monkey.get_original("_thread", "RLock")

# Makes what is asked at once, and without waiting, for all sockets that are registered with it; gevent's own would ask
# its loop. Linux looks only at those that have something to say.
poll = monkey.get_original("select", "epoll" if sys.platform == "linux" else "poll")


def _watch_in_a_thread(sock: socket.socket, ready: Callable[[], bool], timeout_s: float) -> bool:
    ends = monotonic() + timeout_s
    polled = select.poll()
    polled.register(sock, select.POLLIN)
    while (left := ends - monotonic()) > 0:
        if polled.poll(left * 1000) and ready():
            return True
    return False


def _watch_in_the_loop(sock: socket.socket, ready: Callable[[], bool], timeout_s: float) -> bool:
    hub = gevent.get_hub()
    waiter: Waiter[bool] = Waiter(hub)
    count = collector_of(hub.loop).count

    def look() -> None:
        count()
        try:
            if ready():
                waiter.switch(True)
        except BaseException:  # noqa: BLE001  whatever it is, it belongs to whoever waits and not to the loop
            waiter.throw(*sys.exc_info())

    with hub.loop.io(sock.fileno(), _READ) as watcher, hub.loop.timer(timeout_s) as timer:
        watcher.start(look)
        timer.start(waiter.switch, False)
        return bool(waiter.get())


def _start_thread(run: Callable[[], object]) -> None:
    threading.Thread(target=run, daemon=True).start()


def _start_greenlet(run: Callable[[], object]) -> None:
    gevent.spawn(run)  # a Thread costs ten times as much: locks, a name, and two switches until it says that it runs


def _after_in_a_thread(seconds: float, run: Callable[[], object]) -> Callable[[], object]:
    timer = threading.Timer(seconds, run)
    timer.daemon = True
    timer.start()
    return timer.cancel


def _after_in_the_loop(seconds: float, run: Callable[[], object]) -> Callable[[], object]:
    timer = gevent.get_hub().loop.timer(seconds)
    timer.start(run)
    close: Callable[[], object] = timer.close
    return close


def _wait_in_a_thread(event: threading.Event, due: Callable[[], float]) -> None:
    while (left := due() - monotonic()) > 0 and not event.wait(left):
        pass


def _wait_in_the_loop(event: threading.Event, due: Callable[[], float]) -> None:
    let_go: Callable[[], object] = bool

    def look() -> None:
        nonlocal let_go
        let_go()
        left = due() - monotonic()
        if left > 0:
            let_go = _after_in_the_loop(left, look)
        else:
            event.set()

    look()
    try:
        event.wait()
    finally:
        let_go()


class _ReadableInAThread:
    """Leave the wait to the socket."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        """Take a socket, which has the time limit itself."""

    def wait(self) -> bool:
        """Return that a try is worth it."""
        return True

    def close(self) -> None:
        """Do nothing."""


class _ReadableInTheLoop:
    """Watch a socket all the time: to begin and end that anew, and to try in vain, costs more than to read."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        """Watch a socket, but for one with TLS, which may hold what the kernel has no more: that waits by itself."""
        self._hub = hub = gevent.get_hub()
        self._waiter: Waiter[bool] = Waiter(hub)
        self._waits = self._was_readable = False
        self._timer = hub.loop.timer(0.0, timeout_s)
        self._watcher = None if isinstance(sock, ssl.SSLSocket) else hub.loop.io(sock.fileno(), _READ)
        if self._watcher is not None:
            self._watcher.start(self._look)

    def wait(self) -> bool:
        """Wait until the socket can be read, as it can at its end too; false after the time limit."""
        if self._watcher is None:
            return True
        if self._was_readable:
            self._was_readable = False
            self._watcher.start(self._look)
            return True
        self._waits = True
        self._timer.again(self._waiter.switch, False)
        try:
            return bool(self._waiter.get())
        finally:
            self._waits = False
            self._timer.stop()
            self._waiter.clear()

    def close(self) -> None:
        """Watch it no longer, and let go who waits; to be called before the socket is closed."""
        self._timer.close()
        if self._watcher is not None:
            self._watcher.close()
        if self._waits:
            self._hub.loop.run_callback(self._look)

    def _look(self) -> None:
        if self._waits:
            self._waiter.switch(True)
        elif self._watcher is not None:  # nobody asked: it is closed, or what comes is early
            self._was_readable = True
            self._watcher.stop()


_patched: bool = monkey.is_module_patched("socket")
_watch = _watch_in_the_loop if _patched else _watch_in_a_thread
_start = _start_greenlet if _patched else _start_thread
_after = _after_in_the_loop if _patched else _after_in_a_thread
_wait = _wait_in_the_loop if _patched else _wait_in_a_thread

# To wait for one socket again and again, as one thread at a time does who asks and reads replies. `wait` may return
# too early, and the socket's own time limit holds then.
Readable = _ReadableInTheLoop if _patched else _ReadableInAThread


def while_readable(sock: socket.socket, ready: Callable[[], bool], timeout_s: float) -> bool:
    """Call `ready` whenever the socket can be read, until it returns True or the time is over; say which.

    What it raises comes out here.
    """
    return _watch(sock, ready, timeout_s)


def below(sock: Any) -> Any:
    """Give the interpreter's own socket below gevent's, which neither waits nor tries again; any other as it is."""
    return getattr(sock, "_sock", sock)


def writable_now(descriptor: int) -> bool:
    """Tell, without waiting, if something can be written to a descriptor, or its end is known."""
    asked = poll()
    asked.register(descriptor, select.POLLOUT)
    return bool(asked.poll(0))


def spawn(run: Callable[[], object]) -> None:
    """Run a function in a thread of control of its own; it must keep its exceptions to itself."""
    _start(run)


def soon(run: Callable[[], object]) -> bool:
    """Call a function that must not wait, and raises nothing, in the event loop, before that sleeps again.

    Until then it does whatever else there is to do. False where there is no event loop: a thread has to do it.
    """
    if _patched:
        gevent.get_hub().loop.run_callback(run)
    return _patched


def wait_until(event: threading.Event, due: Callable[[], float]) -> None:
    """Wait for an event, or until the time that `due` tells, by `monotonic`; the event may then be set as well.

    That time may move on meanwhile: where there is an event loop, nobody wakes up to find that it has.
    """
    _wait(event, due)


def after(seconds: float, run: Callable[[], object]) -> Callable[[], object]:
    """Call a function that must not wait, and raises nothing, when so much time has gone by; return what prevents it.

    That is to be called in any case, and lets the timer go.
    """
    return _after(seconds, run)
