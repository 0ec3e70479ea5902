"""A further request to the same server, past requests and half of urllib3.

The first request is theirs, and so are the connections, with their names and TLS, and the pool. For each further one
they would do the same work again, which is a third of what a short answer costs; what it takes is these lines.
"""

from __future__ import annotations

import re
import socket

import requests

from relay import request_id
from relay.body import Reply, SocketBody
from relay.framing import Chunked, Counted, Framing, FramingError, UntilClosed
from relay.line import Line
from relay.wire import Connection

MAX_HEAD_BYTES = 65_536
_RECV_BYTES = 16_384
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n(?![ \t])")  # http.client reads lines that end in a bare LF, and folded ones, too


class Template:
    """A request that is sent again and again, with another body each time; its key is shown nowhere."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        self._request = request
        self._head = _written(request)

    def whole(self, body: bytes) -> requests.PreparedRequest:
        """Make the request that requests sends; preparing one anew would cost as much as sending it."""
        copy = self._request.copy()
        copy.body = body
        copy.headers["Content-Length"] = str(len(body))
        copy.headers.update(request_id.current.get().headers())
        return copy

    def written(self, body: bytes) -> bytes:
        """Write the request as it goes over the wire."""
        named = "".join(f"{name}: {value}\r\n" for name, value in request_id.current.get().headers().items()).encode()
        return b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (self._head, named, len(body), body)


def exchange(connection: Connection, request: bytes, line: Line) -> Reply:
    """Send a request and wait for the headers of its response. Raises OSError and FramingError."""
    sock = connection.open_for(line)
    sock.sendall(request)
    said, rest = _head(sock, line)
    status, headers, keeps = _parse(said)
    if headers.get("content-encoding", "identity") != "identity":
        raise FramingError("the body is compressed, which nobody has asked for")
    framing = _framing(status, headers)
    framing.clean = keeps
    content = SocketBody(sock, framing, rest, line, connection.release)
    return Reply(status, headers, content, connection.close)


def _written(request: requests.PreparedRequest) -> bytes:
    host = (request.url or "").split("/")[2].rpartition("@")[2]
    lines = [f"{request.method} {request.path_url} HTTP/1.1", f"Host: {host}"]
    for name, value in request.headers.items():
        if name.lower() != "content-length":
            lines.append(f"{name}: {value.decode('latin-1') if isinstance(value, bytes) else value}")
    return "\r\n".join(lines).encode("latin-1")


def _head(sock: socket.socket, line: Line) -> tuple[bytes, bytes]:
    """Read up to the end of the headers; what has come of the body follows."""
    said = b""
    while not (blank := _BLANK_LINE.search(said)) or said.startswith(b"HTTP/1.1 1"):
        if blank:
            said = said[blank.end() :]  # an interim response
            continue
        if len(said) > MAX_HEAD_BYTES:
            raise FramingError("the headers are too long")
        sock.settimeout(line.left())
        data = sock.recv(_RECV_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed before the headers were whole")
        line.heard = True
        said += data
    return said[: blank.start()], said[blank.end() :]


def _parse(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Read the status, the headers by their names in lower case, and if the connection is kept."""
    first, *lines = _LINE_END.split(head.decode("latin-1"))
    version, _, said = first.partition(" ")
    if not version.startswith("HTTP/1.") or not said[:3].isdigit():
        raise FramingError(f"expected a status line, got {first[:100]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    keeps = version != "HTTP/1.0" and "close" not in headers.get("connection", "").lower()
    return int(said[:3]), headers, keeps


def _framing(status: int, headers: dict[str, str]) -> Framing:
    """Choose how the body ends: RFC 9112, section 6.3."""
    if status in (204, 304):
        return Counted(0)
    if coding := headers.get("transfer-encoding"):
        return Chunked() if coding.lower().rpartition(",")[2].strip() == "chunked" else UntilClosed()
    if length := headers.get("content-length"):
        if not length.isdigit():
            raise FramingError(f"expected a length, got {length[:40]!r}")
        return Counted(int(length))
    return UntilClosed()
