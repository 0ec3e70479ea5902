"""The article's servlet: the poem written straight into the response, without a queue or a second thread between."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import orjson

from relay.errors import TalkaboutError
from relay.poem import POEM
from relay.sse import RETRY_MS, encode


class Recital:
    """The poem as the blocks of a response, with a pause after each character."""

    def __init__(self, delay_s: float) -> None:
        self.reason: TalkaboutError | None = None
        self._delay_s = delay_s
        self._abandoned = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield encode("{}", "open", retry=RETRY_MS)
        for character in POEM:
            yield _json_event({"content": character})
            if self._abandoned.wait(self._delay_s):
                break
        yield _json_event({"state": "interrupted" if self.reason else "complete"}, "done")

    def abandon(self, reason: TalkaboutError, linger_s: float = 0.0) -> None:
        """End after the character that is being written."""
        self.reason = self.reason or reason
        self._abandoned.set()


def _json_event(data: dict[str, str], event: str | None = None) -> bytes:
    return encode(orjson.dumps(data).decode(), event)
