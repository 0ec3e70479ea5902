"""Read event streams in tests, with the project's own decoder."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import requests

from relay.sse import Decoder, Event
from tests.misbehaving import MisbehavingServer


@contextlib.contextmanager
def opened(method: str, url: str, **more: Any) -> Iterator[requests.Response]:
    """Open a streaming request that is closed at the end of the block."""
    with requests.request(method, url, stream=True, timeout=30, **more) as response:
        yield response


def events(response: requests.Response) -> Iterator[Event]:
    """Yield the events of a response as they arrive."""
    decoder = Decoder()
    while chunk := response.raw.read1(65536):
        yield from decoder.feed(chunk)


def read_events(method: str, url: str, **more: Any) -> list[Event]:
    """Read a whole event stream."""
    with opened(method, url, **more) as response:
        assert response.status_code == 200, response.text
        return list(events(response))


def ask_and_leave(
    port: int,
    path: str,
    body: dict[str, str],
    headers: dict[str, str],
    upstream: MisbehavingServer,
    tls: ssl.SSLContext | None = None,
) -> float:
    """Send a request, leave once it is with the upstream, and say when."""
    data = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    asked = len(upstream.completions)
    with contextlib.ExitStack() as connection:
        client = connection.enter_context(socket.create_connection(("127.0.0.1", port)))
        if tls:
            client = connection.enter_context(tls.wrap_socket(client, server_hostname="localhost"))
        client.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        upstream.wait_for_completions(asked + 1)
        return time.monotonic()
