"""Read event streams in tests, with the project's own decoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import requests

from relay.sse import Decoder, Event


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
