"""Further requests to a model server, past requests: the same on the wire, and as much understood of what comes back.

The server is a real one on a socket, which answers each request with the bytes that the test gives. The file runs again
under gevent's patch (tests/test_upstream_gevent.py).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from relay import upstream as module
from relay.errors import UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamStopped
from relay.exchange import MAX_HEAD_BYTES
from relay.upstream import Timeouts, Upstream
from tests.calls import whole

KEY = "sk-secret-7531"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Grüße, 沉默\r\n\r\n"}], "stream": True}
KIND = b"Content-Type: text/event-stream\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n" + KIND
HELLO = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
COUNTED = HEAD + b"Content-Length: 5\r\n\r\nhello"
BEGUN = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
CLOSE = b""
SHORT = Timeouts(connect=10, first_byte=10, idle=10, total=20)


class Peer:
    """Answer the requests one after the other, whatever connection they come on; the last answer again and again.

    An answer is sent piece by piece; CLOSE closes the connection. `heads` is what came, `came_on` the connection's
    number for each.
    """

    def __init__(
        self, *answers: bytes | list[bytes], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.came_on: list[int] = []
        self.connections = 0
        self._answers = [[answer] if isinstance(answer, bytes) else answer for answer in answers]
        self.tls = tls
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        name = "localhost" if tls else f"[{host}]" if ":" in host else host
        self.netloc = f"{name}:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.netloc}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *what: object) -> None:
        self._shut(self._listener)
        self.close_all()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def close_all(self) -> None:
        """Close every connection."""
        for sock in self._open:
            self._shut(sock)

    @staticmethod
    def _shut(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # past TLS, which would wait

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=(sock, self.connections)))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), plain:
            sock = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
            self._open.append(sock)
            with sock, sock.makefile("rb") as file:
                while answer := self._request(file, number):
                    for piece in answer:
                        if piece == CLOSE:
                            return
                        sock.sendall(piece)

    def _request(self, file: Any, number: int) -> list[bytes] | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                return None
            head += line
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = file.read(length)
        with self._lock:
            self.heads.append(head)
            self.bodies.append(body)
            self.came_on.append(number)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def make(url: str, **more: Any) -> Upstream:
    return Upstream("test", url, **{"timeouts": SHORT, "retries": 0, **more})


def read(upstream: Upstream) -> bytes:
    return whole(upstream.call(BODY))


@pytest.fixture
def by_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the requests that requests sends."""
    sent: list[str] = []
    transmit = module.transmit

    def noted(session: Any, request: Any, timeout: Any) -> Any:
        sent.append(request.url)
        return transmit(session, request, timeout)

    monkeypatch.setattr(module, "transmit", noted)
    return sent


# The request


def test_only_the_first_request_is_sent_by_requests(by_requests: list[str]) -> None:
    with Peer(HELLO) as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(4)] == [b"hello"] * 4
    assert (len(by_requests), peer.came_on) == (1, [1, 1, 1, 1])


def addresses(url: str) -> Iterator[str]:
    """Name a server in the ways in which a setting may."""
    scheme, _, netloc = url.partition("://")
    yield from (url, f"{url}/", f"{url}/v1", f"{url}/deep/a%20b/v1/")
    yield from (f"{scheme}://user:pa%2Fss@{netloc}", f"{scheme}://user:p@{netloc}/deep")
    yield url.replace("127.0.0.1", "LocalHost")


def check_that_both_ways_say_the_same(peer: Peer, url: str, **more: Any) -> None:
    peer.heads.clear(), peer.bodies.clear()
    upstream = make(url, **more)
    assert read(upstream) == read(upstream) == b"hello"
    (first, *headers), (further, *further_headers) = (head.split(b"\r\n") for head in peer.heads)
    assert further == first
    assert sorted(further_headers) == sorted(headers)
    assert peer.bodies[0] == peer.bodies[1] != b""


@pytest.mark.parametrize("key", ["", KEY])
def test_a_further_request_is_on_the_wire_what_the_first_was(by_requests: list[str], key: str) -> None:
    with Peer(HELLO) as peer:
        for count, url in enumerate(addresses(peer.url), 1):
            check_that_both_ways_say_the_same(peer, url, key=key)
            assert len(by_requests) == count


def test_the_host_of_an_address_of_ip_v6_has_its_brackets(by_requests: list[str]) -> None:
    try:
        peer = Peer(HELLO, host="::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    with peer:
        check_that_both_ways_say_the_same(peer, peer.url)
        assert f"\r\nHost: {peer.netloc}\r\n".encode() in peer.heads[1]
    assert len(by_requests) == 1


def test_the_user_of_an_address_is_not_in_its_host() -> None:
    with Peer(HELLO) as peer:
        check_that_both_ways_say_the_same(peer, peer.url.replace("://", "://user:secret@"))
        assert f"\r\nHost: {peer.netloc}\r\n".encode() in peer.heads[1]
        assert b"secret" not in peer.heads[1]


# The response

UNDERSTOOD = {
    "chunked": HELLO,
    "counted": COUNTED,
    "one byte at a time": [HELLO[place : place + 1] for place in range(len(HELLO))],
    "an interim response": b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO,
    "two interim responses": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early", b" Hints\r\nLink: x\r\n\r\n" + HELLO],
    "names in any case": HEAD.lower().replace(b"http", b"HTTP") + b"CONTENT-LENGTH:5\r\n\r\nhello",
    "headers twice": HEAD + b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello",
    "folded headers": HEAD + b"Transfer-Encoding:\r\n chunked\r\nX: a\r\n\tb\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "lines without a carriage return": COUNTED.replace(b"\r\n", b"\n"),
    "no reason": COUNTED.replace(b" OK", b""),
}
UNDERSTOOD_TO_THE_END_OF_THE_CONNECTION = {
    "no framing": [HEAD + b"\r\nhel", b"lo", CLOSE],
    "HTTP/1.0": [COUNTED.replace(b"/1.1", b"/1.0"), CLOSE],
    "closing and chunked": [HELLO.replace(KIND, KIND + b"Connection: Close\r\n"), CLOSE],
    "closing and counted": [COUNTED.replace(KIND, KIND + b"Connection: close\r\n"), CLOSE],
    "says that it closes and does not": COUNTED.replace(KIND, KIND + b"Connection: close\r\n"),
    "bytes behind a chunked body": HELLO + COUNTED,
    "bytes behind a counted body": COUNTED + b"!",
}


@pytest.mark.parametrize("said", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_a_response_is_understood_and_its_connection_kept(said: bytes | list[bytes], by_requests: list[str]) -> None:
    with Peer(HELLO, said) as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(3)] == [b"hello"] * 3
    assert (len(by_requests), peer.came_on) == (1, [1, 1, 1])


@pytest.mark.parametrize(
    "said",
    UNDERSTOOD_TO_THE_END_OF_THE_CONNECTION.values(),
    ids=UNDERSTOOD_TO_THE_END_OF_THE_CONNECTION.keys(),
)
@pytest.mark.parametrize("first", [[], [HELLO]], ids=["by requests", "past requests"])
def test_a_response_is_understood_and_its_connection_used_no_more(
    first: list[bytes], said: bytes | list[bytes]
) -> None:
    with Peer(*first, said, HELLO) as peer:
        upstream = make(peer.url)
        assert {read(upstream) for _ in range(len(first) + 2)} == {b"hello"}
    assert peer.came_on == [1] * (len(first) + 1) + [2]


def test_a_body_of_no_bytes_keeps_the_connection() -> None:
    with Peer(HELLO, HEAD + b"Content-Length: 0\r\n\r\n") as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(3)] == [b"hello", b"", b""]
    assert peer.connections == 1


def test_bytes_behind_a_body_of_no_bytes_take_its_connection() -> None:
    with Peer(HELLO, HEAD + b"Content-Length: 0\r\n\r\n!", HELLO) as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(3)] == [b"hello", b"", b"hello"]
    assert peer.came_on == [1, 1, 2]


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello"]
)
def test_a_refusal_that_is_read_to_its_end_keeps_the_connection(said: bytes) -> None:
    with Peer(HELLO, said, HELLO) as peer:
        upstream = make(peer.url)
        read(upstream)
        with pytest.raises(UpstreamRefused):
            read(upstream)
        assert read(upstream) == b"hello"
    assert peer.connections == 1


BROKEN = {
    "no status line": b"What?\r\n\r\n",
    "no number": b"HTTP/1.1 OK\r\n\r\n",
    "endless headers": [
        b"HTTP/1.1 200 OK\r\n",
        *[b"X: " + b"x" * 997 + b"\r\n"] * (MAX_HEAD_BYTES // 1000 + 20),
        CLOSE,
    ],
    "no length": HEAD + b"Content-Length: -5\r\n\r\nhello",
    "closed within the headers": [HEAD, CLOSE],
    "closed within a counted body": [COUNTED[:-1], CLOSE],
    "closed within a chunked body": [HELLO[:-1], CLOSE],
    "no size": BEGUN + b"more\r\n",
    "compressed": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
def test_a_response_that_is_none_is_a_broken_stream_and_harms_no_other(said: bytes | list[bytes]) -> None:
    with Peer(HELLO, said, HELLO) as peer:
        upstream = make(peer.url)
        read(upstream)
        with pytest.raises(UpstreamBroken):
            read(upstream)
        assert [read(upstream) for _ in range(3)] == [b"hello"] * 3
    assert peer.came_on == [1, 1, 2, 2, 2]


def test_a_server_that_compresses_is_left_to_requests(by_requests: list[str]) -> None:
    said = HEAD + b"Content-Encoding: identity, x-unknown\r\nContent-Length: 5\r\n\r\nhello"
    with Peer(said) as peer:
        upstream = make(peer.url)
        assert read(upstream) == read(upstream) == b"hello"
    assert len(by_requests) == 2


def test_a_server_that_begins_to_compress_is_left_to_requests_from_then_on(by_requests: list[str]) -> None:
    with Peer(HELLO, HEAD + b"Content-Encoding: x-unknown\r\nContent-Length: 5\r\n\r\nhello") as peer:
        upstream = make(peer.url)
        read(upstream)
        with pytest.raises(UpstreamBroken, match="compressed"):
            read(upstream)
        assert read(upstream) == read(upstream) == b"hello"
    assert len(by_requests) == 3


# Connections


def test_a_kept_connection_that_the_server_closed_is_replaced_without_an_error(by_requests: list[str]) -> None:
    with Peer(HELLO, [HELLO, CLOSE], HELLO) as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(4)] == [b"hello"] * 4
    assert peer.connections == 2
    assert len(by_requests) == 1


def test_a_kept_connection_that_closes_as_the_request_comes_is_replaced_too(by_requests: list[str]) -> None:
    with Peer(HELLO, [CLOSE], HELLO) as peer:
        upstream = make(peer.url)
        assert [read(upstream) for _ in range(3)] == [b"hello"] * 3
    assert peer.came_on == [1, 1, 2, 2]
    assert len(by_requests) == 1


def test_several_kept_connections_that_closed_are_replaced_without_an_error(by_requests: list[str]) -> None:
    with Peer(HELLO) as peer:
        upstream = make(peer.url)
        read(upstream)
        calls = [upstream.call(BODY) for _ in range(3)]
        for call in calls:
            call.open()
        for call in calls:
            assert b"".join(call) == b"hello"
            call.close()
        peer.close_all()
        assert [read(upstream) for _ in range(3)] == [b"hello"] * 3
    assert peer.came_on == [1, 1, 2, 3, 4, 4, 4]
    assert len(by_requests) == 1


@pytest.mark.parametrize("before", [0, 1], ids=["by requests", "past requests"])
@pytest.mark.parametrize("end", ["close", "stop"])
def test_a_connection_that_was_left_early_is_never_used_again(before: int, end: str) -> None:
    with Peer(*[HELLO] * before, BEGUN, HELLO) as peer:
        upstream = make(peer.url)
        for _ in range(before):
            read(upstream)
        call = upstream.call(BODY)
        call.open()
        pieces = iter(call)
        assert next(pieces) == b"hello"
        if end == "stop":
            call.stop()
            with pytest.raises(UpstreamStopped):
                next(pieces)
        call.close()
        assert read(upstream) == read(upstream) == b"hello"
    assert peer.came_on == [1] * before + [1, 2, 2]


def test_further_requests_and_further_connections_work_with_tls(
    authority: trustme.CA, ca_file: str, by_requests: list[str]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Peer(HELLO, HELLO, BEGUN, COUNTED, tls=context) as peer:
        upstream = make(peer.url, ca=ca_file)
        assert read(upstream) == read(upstream) == b"hello"
        held = upstream.call(BODY)
        held.open()
        assert read(upstream) == read(upstream) == b"hello"
        held.stop()
        held.close()
        assert read(upstream) == b"hello"
    assert peer.came_on == [1, 1, 1, 2, 2, 2]
    assert len(by_requests) == 1


def test_what_tls_has_decrypted_with_the_headers_is_not_left_lying(authority: trustme.CA, ca_file: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    long = b"x" * 15_000  # one record with its headers, and more than a file reads at once
    begun = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(long), long)
    with Peer(begun, tls=context) as peer:
        upstream = make(peer.url, ca=ca_file)
        for _ in range(2):  # by requests, and past them
            call = upstream.call(BODY)
            call.open()
            got, pieces = b"", iter(call)
            while len(got) < len(long):
                got += next(pieces)
            call.stop()
            call.close()
            assert got == long


def test_a_further_connection_is_not_opened_to_an_authority_that_is_not_trusted(
    authority: trustme.CA, ca_file: str
) -> None:
    trusted, other = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    authority.issue_cert("localhost").configure_cert(trusted)
    trustme.CA().issue_cert("localhost").configure_cert(other)
    with Peer(HELLO, BEGUN, tls=trusted) as peer:
        upstream = make(peer.url, ca=ca_file)
        read(upstream)
        held = upstream.call(BODY)
        held.open()
        peer.tls = other
        with pytest.raises(UpstreamError, match="certificate"):
            read(upstream)
        held.close()
