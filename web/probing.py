"""The doctor's eyes: read the probe of a deployment through its public address, and note when what came."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from relay.errors import TalkaboutError
from relay.sse import PING, Decoder, Event

PATIENCE_S = 20.0  # beside the silence that was asked for
NOTICED_WITHIN_S = 6.0
SILENT_S = 60  # more than that, so that nothing else ends it
LEFT_AFTER_S = 2.0

_LOOK_S = 0.3
_CONNECT_S = 10.0
_MAX_BYTES = 1 << 20


class NoProbe(TalkaboutError):
    """There is no probe at that address; the text says what is there."""


@dataclass
class Seen:
    """What came of one probe; times in seconds since the request was sent."""

    headers: dict[str, str]  # by their names in lower case
    facts: dict[str, object] = field(default_factory=dict)
    sent: list[float] = field(default_factory=list)  # by the server's clock, from the first event
    came: list[float] = field(default_factory=list)
    pings: int = 0
    whole: bool = False
    last: float = 0.0  # when the last byte came
    over: float = 0.0  # when the stream ended


class Probing:
    """A deployment, by its public address; `token` where one is needed."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate", "User-Agent": "talkabout"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def watch(self, silence_s: float) -> Seen:
        """Read a probe with so long a silence to its end, whatever becomes of it. Raises NoProbe."""
        began = time.monotonic()
        with self._open(f"/api/probe/{secrets.token_hex(8)}?silence={silence_s}", silence_s + PATIENCE_S) as response:
            seen = Seen({name.lower(): value for name, value in response.headers.items()})
            decoder, total = Decoder(), 0
            try:
                while total < _MAX_BYTES and (piece := response.read1(decode_content=True)):
                    seen.last = time.monotonic() - began
                    seen.pings += piece.count(PING)
                    total += len(piece)
                    for event in decoder.feed(piece):
                        _note(event, seen)
            except (HTTPError, OSError):
                pass  # it was cut, which `whole` says
            seen.over = time.monotonic() - began
        return seen

    def leave(self) -> float | None:
        """Leave a probe in its middle; give the seconds until the server has noticed, None if it has not in time."""
        key = secrets.token_hex(8)
        with suppress(NoProbe):  # what takes everything in first does not even answer: that is left just so
            self._open(f"/api/probe/{key}?silence={SILENT_S}", LEFT_AFTER_S).close()
        left_at = time.monotonic()
        while time.monotonic() - left_at < NOTICED_WITHIN_S:
            answer = self._get(f"/api/probe/{key}/gone", PATIENCE_S)
            if answer.status == 200 and orjson.loads(answer.data).get("gone"):
                return time.monotonic() - left_at
            time.sleep(_LOOK_S)
        return None

    def speaks(self) -> str:
        """Name the newest HTTP that is spoken there: by TLS' own agreement, `h2` or `http/1.1`."""
        parts = urlsplit(self.url)
        if parts.scheme != "https":
            return "http/1.1"
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            with (
                socket.create_connection((parts.hostname or "", parts.port or 443), _CONNECT_S) as plain,
                context.wrap_socket(plain, server_hostname=parts.hostname) as sock,
            ):
                return sock.selected_alpn_protocol() or "http/1.1"
        except OSError:
            return "http/1.1"

    def _open(self, path: str, read_s: float) -> urllib3.BaseHTTPResponse:
        response = self._get(path, read_s)
        kind = response.headers.get("Content-Type", "")
        if response.status == 200 and kind.startswith("text/event-stream"):
            return response
        response.close()
        hint = "a token is needed: --token-file" if response.status == 401 else "this is no talkabout, or an older one"
        raise NoProbe(f"status {response.status}, {kind or 'no type'}: {hint}")

    def _get(self, path: str, read_s: float) -> urllib3.BaseHTTPResponse:
        # A pool of its own: a connection that is kept would hide what a new one meets, and closing is what is tried.
        pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s))
        try:
            return pool.request(
                "GET", self.url + path, headers=self._headers, preload_content=path.endswith("gone"), redirect=False
            )
        except (HTTPError, OSError, ValueError) as exc:
            raise NoProbe(f"no answer: {type(exc).__name__}") from exc


def _note(event: Event, seen: Seen) -> None:
    if event.event == "open":
        seen.facts = orjson.loads(event.data)
    elif event.event == "done":
        seen.whole = True
    else:
        seen.sent.append(orjson.loads(event.data)["s"])
        seen.came.append(seen.last)
