"""What a client's socket gets of a stream under real gunicorn: chunks as HTTP/1.1 wants them, whoever wrote them."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import requests
import trustme

from relay.chat import parse
from relay.framing import Chunked
from relay.sse import Decoder
from tests import waiting
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import events, long_events
from tests.servers import Server

ASKS = [("/talkeAbout", ""), ("/api/answers", "Accept: text/event-stream\r\n")]
until = partial(waiting.until, patience_s=30.0)


def request(path: str, headers: str = "", version: str = "1.1", **body: str) -> bytes:
    data = json.dumps({"prompt": "x", **body}).encode()
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


class Client:
    """A plain socket that says what it is told and reads responses by the bytes."""

    def __init__(self, server: Server, buffer_bytes: int = 0) -> None:
        self.sock = socket.socket()
        if buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", server.port))
        self.rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *what: object) -> None:
        self.sock.close()

    def ask(self, said: bytes) -> dict[str, str]:
        """Send a request; give its response's headers."""
        self.sock.sendall(said)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._some()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        assert first.split()[1] == "200", head + self.rest
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def chunked_body(self) -> bytes:
        """Read a body to its last chunk, and not a byte further."""
        framing = Chunked()
        body = framing.feed(self.rest) if self.rest else b""
        while not framing.ended:
            body += framing.feed(self._some())
        assert framing.clean
        self.rest = b""
        return body

    def to_the_end(self) -> bytes:
        """Read until the server closes."""
        said, self.rest = self.rest, b""
        while some := self.sock.recv(65536):
            said += some
        return said

    def _some(self) -> bytes:
        some = self.sock.recv(65536)
        assert some, "the server has closed the connection"
        return some


@pytest.fixture(scope="module")
def upstream() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def relaying(upstream: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server whose model answers at once."""
    settings = {"TALKABOUT_UPSTREAM_URL": f"{upstream.url}/trickle", "TALKABOUT_MODEL": "mock"}
    with Server(tmp_path_factory.mktemp("client"), **settings) as running:
        yield running


def check_whole(path: str, body: bytes, said: Sequence[bytes] = tuple(events())) -> None:
    """Compare a response's body with what the model said, event by event."""
    if path == "/talkeAbout":
        assert body == b"".join(said)
        return
    got = Decoder().feed(body)
    assert text_of(event.data for event in got if event.event == "message") == text_of_model(said)
    assert json.loads(got[-1].data)["state"] == "complete"
    assert [int(event.id.partition(":")[2]) for event in got] == list(range(1, len(got) + 1))


def text_of(data: Iterable[str]) -> str:
    return "".join(json.loads(one).get("content", "") for one in data)


def text_of_model(said: Sequence[bytes]) -> str:
    chunks = (parse(event.data) for event in Decoder().feed(b"".join(said)))
    return "".join(chunk.content for chunk in chunks if chunk)


@pytest.mark.parametrize(("path", "headers"), ASKS)
def test_a_stream_is_chunks_with_one_end_and_nothing_behind_it(relaying: Server, path: str, headers: str) -> None:
    with Client(relaying) as client:
        said = client.ask(request(path, headers + "Connection: close\r\n"))
        assert said["transfer-encoding"] == "chunked" and "content-length" not in said
        raw = client.to_the_end()
    assert raw.endswith(b"\r\n0\r\n\r\n") and raw.count(b"\r\n0\r\n") == 1
    framing = Chunked()
    check_whole(path, framing.feed(raw))
    assert framing.ended and framing.clean


@pytest.mark.parametrize(("path", "headers"), ASKS)
def test_a_kept_connection_serves_one_request_after_the_other(relaying: Server, path: str, headers: str) -> None:
    with Client(relaying) as client:
        for _ in range(5):
            client.ask(request(path, headers))
            check_whole(path, client.chunked_body())
        client.sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.to_the_end().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("path", "headers"), ASKS)
def test_an_http_1_0_client_gets_a_body_without_frames(relaying: Server, path: str, headers: str) -> None:
    with Client(relaying) as client:
        said = client.ask(request(path, headers, "1.0"))
        assert "transfer-encoding" not in said
        check_whole(path, client.to_the_end())


# The relay makes its model wait for the reader; an answer goes on, and drops a reader whose buffer is full.
@pytest.mark.parametrize(("ask", "buffer"), [(ASKS[0], "16384"), (ASKS[1], "16000000")])
def test_a_reader_that_pauses_in_the_middle_gets_every_byte_in_order(
    upstream: MisbehavingServer, tmp_path: Path, ask: tuple[str, str], buffer: str
) -> None:
    path, headers = ask
    settings = {
        "TALKABOUT_UPSTREAM_URL": f"{upstream.url}/long",
        "TALKABOUT_MODEL": "mock",
        "TALKABOUT_MAX_ANSWER_CHARS": "10000000",
        "TALKABOUT_READER_BUFFER_BYTES": buffer,
    }
    with Server(tmp_path, **settings) as server, Client(server, buffer_bytes=65536) as client:
        client.ask(request(path, headers))
        for _ in range(3):
            time.sleep(0.3)
            for _ in range(10):
                client.rest += client.sock.recv(4096)
        check_whole(path, client.chunked_body(), long_events())


def test_a_client_that_reads_nothing_is_let_go_and_its_answer_goes_on(
    upstream: MisbehavingServer, tmp_path: Path
) -> None:
    settings = {
        "TALKABOUT_UPSTREAM_URL": f"{upstream.url}/long",
        "TALKABOUT_MODEL": "mock",
        "TALKABOUT_MAX_ANSWER_CHARS": "10000000",
        "TALKABOUT_READER_TIMEOUT_S": "1",
    }
    with Server(tmp_path, **settings) as server, Client(server, buffer_bytes=4096) as client:
        path, headers = ASKS[1]
        shown = f"{server.url}/api/answers/{client.ask(request(path, headers))['x-answer-id']}"
        assert server.holds([client.sock]) == 1
        until(lambda: requests.get(shown, timeout=10).json()["state"] == "complete")
        until(lambda: not server.holds([client.sock]))


@pytest.fixture
def with_tls(
    upstream: MisbehavingServer, tmp_path: Path, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """Run a server that has a certificate itself."""
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    server = Server(
        tmp_path,
        TALKABOUT_UPSTREAM_URL=f"{upstream.url}/trickle",
        TALKABOUT_MODEL="mock",
        GUNICORN_CMD_ARGS=f"--certfile {tmp_path}/both.pem --keyfile {tmp_path}/both.pem",
    )
    server.url = f"https://localhost:{server.port}"
    with server:
        yield server


def test_a_client_with_tls_is_left_to_the_server(with_tls: Server, ca_file: str) -> None:
    with Client(with_tls) as client:
        client.sock = ssl.create_default_context(cafile=ca_file).wrap_socket(client.sock, server_hostname="localhost")
        for path, headers in ASKS * 2:
            client.ask(request(path, headers))
            check_whole(path, client.chunked_body())


# Each is what port scanners, balancers that only connect, and clients without the authority do all day.
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_tls_handshake_that_fails_is_one_line_of_the_log(with_tls: Server, said: bytes) -> None:
    with Client(with_tls) as client:
        client.sock.sendall(said)
    until(lambda: "a connection has failed: " in with_tls.log.read_text())
    assert with_tls.answers()
