"""A model server that needs nothing: it recites the poem, in OpenAI's format, whatever it is asked.

It is a transport adapter for requests, so that everything above the socket is the same as with a real model server. One
character is one token.
"""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from relay.poem import POEM

BASE_URL = "poem://demo"
MODEL = "poem"
CREATED = 1_704_067_200  # OpenAI's clients want a date of a model; the first of January 2024 is as good as any


class _BadRequest(Exception):
    def __init__(self, message: str, param: str | None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code},
        }


class DemoModel(BaseAdapter):
    """Answer requests under `poem://`; `delay_s` seconds lie between two characters."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Answer one request; the caller closes the response."""
        try:
            body = self._answer(request)
        except _BadRequest as refusal:
            return _response(request, refusal.status, "application/json", _at_once(refusal.body))
        kind = "text/event-stream" if isinstance(body, _Recital) else "application/json"
        return _response(request, 200, kind, body)

    def close(self) -> None:
        """Release nothing: there is no connection."""

    def _answer(self, request: requests.PreparedRequest) -> _Body:
        path = urlsplit(str(request.url)).path
        if request.method == "GET" and path.endswith("/v1/models"):
            model = {"id": MODEL, "object": "model", "created": CREATED, "owned_by": "talkabout"}
            return _at_once({"object": "list", "data": [model]})
        if request.method == "POST" and path.endswith("/v1/chat/completions"):
            return self._complete(_parse(request.body))
        raise _BadRequest(f"no such route: {request.method} {path}", None, 404, "not_found")

    def _complete(self, asked: dict[str, Any]) -> _Body:
        text, finish_reason = _text(asked)
        usage = _usage(asked["messages"], text)
        if not asked.get("stream"):
            return _at_once(_whole(text, finish_reason, usage))
        options = asked.get("stream_options")
        wanted = isinstance(options, dict) and options.get("include_usage")
        return _Recital(_chunks(text, finish_reason, usage if wanted else None), self.delay_s)


class _Recital:
    """The body of a stream: a file that hands out one event at a time and can be shut down from any thread."""

    def __init__(self, events: Iterator[bytes], delay_s: float) -> None:
        self.closed = False
        self._events = events
        self._delay_s = delay_s
        self._begun = False
        self._rest = b""
        self._stopped = threading.Event()

    def read1(self, amount: int = -1) -> bytes:
        """Wait for the next event; b"" at the end and after `shutdown`."""
        if not self._rest:
            pause, self._begun = self._delay_s if self._begun else 0, True
            self._rest = b"" if self._stopped.wait(pause) else next(self._events, b"")
        amount = len(self._rest) if amount < 0 else amount
        piece, self._rest = self._rest[:amount], self._rest[amount:]
        return piece

    def read(self, amount: int = -1) -> bytes:
        """Wait for the whole rest, or for `amount` bytes of it."""
        pieces, size = [], 0
        while (amount < 0 or size < amount) and (piece := self.read1(amount - size if amount >= 0 else -1)):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def shutdown(self, _how: int) -> None:
        """End it at once; whoever waits in `read1` wakes up."""
        self._stopped.set()

    def close(self) -> None:
        """Give the events up."""
        self.closed = True
        self._stopped.set()


_Body = io.BytesIO | _Recital


def _at_once(answer: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(orjson.dumps(answer))


def _response(request: requests.PreparedRequest, status: int, kind: str, body: _Body) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers = CaseInsensitiveDict({"Content-Type": kind})
    response.url = str(request.url)
    response.request = request
    file = cast(Any, body)
    # urllib3 shuts down only what has a connection; here the body is all there is of one.
    response.raw = HTTPResponse(
        file,
        response.headers,
        status,
        preload_content=False,
        connection=file,
        sock_shutdown=getattr(body, "shutdown", None),
    )
    return response


def _parse(body: object) -> dict[str, Any]:
    try:
        asked = orjson.loads(body if isinstance(body, (bytes, str)) else b"")
    except orjson.JSONDecodeError as exc:
        raise _BadRequest(f"the body is no JSON: {exc}", None) from exc
    if not isinstance(asked, dict):
        raise _BadRequest("the body is no JSON object", None)
    if asked.get("model") != MODEL:
        raise _BadRequest(f"the only model here is {MODEL!r}", "model", 404, "model_not_found")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise _BadRequest("messages: expected a list of objects, not empty", "messages")
    return asked


def _text(asked: dict[str, Any]) -> tuple[str, str]:
    """What is left of the poem after the assistant's own beginning, cut at max_tokens, and the finish_reason."""
    last = asked["messages"][-1]
    begun = _content(last) if last.get("role") == "assistant" else ""
    text = POEM.removeprefix(begun)
    limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if limit is None:
        return text, "stop"
    if type(limit) is not int or limit < 1:
        raise _BadRequest(f"max_tokens: expected a whole number of at least 1, got {limit!r}", "max_tokens")
    return text[:limit], "stop" if len(text) <= limit else "length"


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(messages: list[dict[str, Any]], text: str) -> dict[str, int]:
    prompt = sum(len(_content(message)) for message in messages)
    return {"prompt_tokens": prompt, "completion_tokens": len(text), "total_tokens": prompt + len(text)}


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _whole(text: str, finish_reason: str, usage: dict[str, int]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {**_head("chat.completion"), "choices": [choice], "usage": usage}


def _chunks(text: str, finish_reason: str, usage: dict[str, int] | None) -> Iterator[bytes]:
    head = _head("chat.completion.chunk")
    for delta in [{"role": "assistant", "content": ""}, *({"content": character} for character in text)]:
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    if usage:
        last += _event({**head, "choices": [], "usage": usage})
    yield last + b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
