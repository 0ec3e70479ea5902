"""A real model server in a thread whose paths name what it does wrong.

`with MisbehavingServer() as server:` and then `server.url + "/slow-headers"` is a base URL: under it lie
`/v1/chat/completions`, which does what `tests/misbehaviours.py` says of that name, and `/v1/models`. Under `/any` it is
the model that names what a request is answered with. What it waits for in the middle of an answer is
`server.release()`, the client's going, or its own end; so no test depends on a delay. Each request is recorded in
`server.requests`, with the moment at which the client was seen to close the connection.
"""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.misbehaviours import BEHAVIOURS, LISTS, ClientGone, Exchange, not_found

WAIT_S = 20.0
BY_MODEL = "any"


@dataclass
class Request:
    """What came in; `closed` is set and `closed_at` (monotonic) known once the client's closing was noticed."""

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    closed: threading.Event = field(default_factory=threading.Event)
    closed_at: float = 0.0

    @property
    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


class MisbehavingServer:
    """The server; `tls` is the context of a server's side."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.released = threading.Event()
        self.stopping = threading.Event()
        self.seen: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._server = _TcpServer(self, tls)
        host = "localhost" if tls else "127.0.0.1"
        self.url = f"{'https' if tls else 'http'}://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> MisbehavingServer:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release(self) -> None:
        """Let everything that waits go on."""
        self.released.set()

    def wait_for_requests(self, count: int = 1) -> Request:
        """Wait until so many requests have come; give the last of them."""
        self._wait(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests[count - 1]

    @property
    def completions(self) -> list[Request]:
        """Those of the requests that are for a completion: beside them a server is asked what it is."""
        return [request for request in self.requests if request.path.endswith("/completions")]

    def wait_for_completions(self, count: int = 1) -> Request:
        """Wait until so many completions have been asked for; give the last of them."""
        self._wait(lambda: len(self.completions) >= count, f"{count} completions")
        return self.completions[count - 1]

    def wait_for_closed(self, count: int = 1) -> list[Request]:
        """Wait until the client was seen to close under so many requests; give those."""
        self._wait(lambda: len(self._closed()) >= count, f"{count} closed connections")
        return self._closed()

    def changed(self, change: Callable[[], object]) -> None:
        """Change the record and wake whoever waits for it."""
        with self._changed:
            change()
            self._changed.notify_all()

    def _closed(self) -> list[Request]:
        return [request for request in self.requests if request.closed.is_set()]

    def _wait(self, fact: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(fact, WAIT_S), f"waited {WAIT_S:g} s for {what}"


class _TcpServer(socketserver.ThreadingTCPServer):
    request_queue_size = 128

    def __init__(self, owner: MisbehavingServer, tls: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.tls = tls
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.owner.connections += 1
        if self.tls:
            return self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address
        return sock, address


class _Handler(socketserver.StreamRequestHandler):
    """One connection: request after request until either side closes."""

    server: _TcpServer
    current: Request | None = None

    def handle(self) -> None:
        self.owner = self.server.owner
        self.number = self.owner.connections
        try:
            if self.server.tls:
                self.request.do_handshake()
            while self._one_request():
                pass
        except (OSError, ClientGone):
            pass

    def _one_request(self) -> bool:
        while not select.select([self.request], [], [], 0.01)[0]:
            if self.owner.stopping.is_set():
                return False
        start = self.rfile.readline().decode()
        if not start:
            self._note_closed()
            return False
        method, path, _ = start.split(" ", 2)
        headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = self.current = Request(self.number, method, path, headers, body)
        self.owner.changed(lambda: self.owner.requests.append(request))
        return self._answer(path)

    def _answer(self, path: str) -> bool:
        name = path.strip("/").split("/")[0]
        if name == BY_MODEL and self.current and self.current.body:
            name = path = self.current.json["model"]
        self.owner.seen[path] += 1
        known = LISTS if path.endswith("/models") and name in LISTS else BEHAVIOURS
        exchange = Exchange(self.request, self.owner.released, self.owner.stopping, self._note_closed)
        exchange.turn = self.owner.seen[path]
        exchange.body = self.current.body if self.current else b""
        return bool(known.get(name, not_found)(exchange))

    def _note_closed(self) -> None:
        request = self.current
        if request and not request.closed.is_set():
            request.closed_at = time.monotonic()
            self.owner.changed(request.closed.set)
