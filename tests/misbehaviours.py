"""What the misbehaving server does, by name.

Each function answers one request, and gives True to keep the connection.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

MODEL = "mock"
TOKENS = ["Silence", " is", " golden", ", 沉默", "是金", " 🥇."]
TEXT = "".join(TOKENS)
LIST = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "tests"}]}
XINFERENCE_LIST = {"data": [{"id": MODEL, "owned_by": "xinference"}]}


class ClientGone(Exception):
    """The client has closed its connection, or the server is being stopped."""


class Exchange:
    """One request's connection, for the behaviours to write to."""

    def __init__(
        self, sock: socket.socket, released: threading.Event, stopping: threading.Event, note_closed: Callable[[], None]
    ) -> None:
        self.sock = sock
        self.turn = 1  # counts the requests for the same path
        self.body = b""
        self._released = released
        self._stopping = stopping
        self._note_closed = note_closed

    @property
    def asked(self) -> Any:
        """Parse the request's body."""
        return json.loads(self.body)

    def head(self, status: str = "200 OK", kind: str = "text/event-stream", **headers: str | int) -> None:
        """Send a head; underscores in the headers' names stand for hyphens."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *lines, "", ""]).encode())

    def chunked(self, *pieces: bytes, end: bool = False) -> None:
        """Send each piece as a chunk, then the last chunk if that is the end."""
        for piece in pieces:
            self.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if end:
            self.send(b"0\r\n\r\n")

    def whole(self, status: str, body: bytes, kind: str = "application/json", **headers: str | int) -> bool:
        """Send a whole answer that is no stream."""
        self.head(status, kind, Content_Length=len(body), **headers)
        self.send(body)
        return True

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.sock.sendall(data)
        except OSError as exc:
            self._note_closed()
            raise ClientGone from exc

    def wait(self) -> None:
        """Wait until the test releases it; notice meanwhile that the client goes."""
        while not self._released.is_set():
            self.rest(0.01)

    def rest(self, seconds: float) -> None:
        """Sleep, unless the client goes."""
        if self._stopping.is_set():
            raise ClientGone
        if select.select([self.sock], [], [], seconds)[0]:
            self._look()

    def _look(self) -> None:
        try:
            gone = not self.sock.recv(1)
        except OSError:
            gone = True
        if gone:
            self._note_closed()
            raise ClientGone

    def reset(self) -> None:
        """Break the connection off with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def event(delta: dict[str, Any] | None, finish: str | None = None, end: str = "\n", **more: Any) -> bytes:
    """Write one chunk of a completion as an event; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices, **more}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}{end}{end}".encode()


def opening(end: str = "\n") -> list[bytes]:
    """Write the role and every token."""
    first = event({"role": "assistant", "content": None}, end=end)
    return [first, *(event({"content": token}, end=end) for token in TOKENS)]


def usage(end: str = "\n") -> bytes:
    """Write the chunk that carries the usage and no choice."""
    counts = {"prompt_tokens": 3, "completion_tokens": len(TOKENS), "total_tokens": 3 + len(TOKENS)}
    return event(None, end=end, usage=counts)


def done(end: str = "\n") -> bytes:
    """Write the end that OpenAI's format has."""
    return f"data: [DONE]{end}{end}".encode()


def events(end: str = "\n") -> list[bytes]:
    """Write a whole, proper answer."""
    return [*opening(end), event({}, "stop", end=end), usage(end), done(end)]


def long_events() -> list[bytes]:
    """Write an answer that no buffer on its way holds."""
    said = [event({"content": f"{number} {'x' * 900}\n"}) for number in range(4000)]
    return [*said, event({}, "stop"), done()]


def says_done() -> bytes:
    """Write an event whose text has the end marker where the relay's memory of it begins."""
    said = event({"content": "x" * 1000 + "data: [DONE]" + "x" * 5000})
    too_much = len(said) - said.index(b"data: [DONE]") - 4096
    return said.replace(b"x" * too_much + b'"', b'"')


Behaviour = Callable[[Exchange], bool | None]


def stream(*pieces: bytes, **headers: str | int) -> Behaviour:
    """Answer with these chunks and a clean end."""

    def answer(x: Exchange) -> bool:
        x.head(Transfer_Encoding="chunked", **headers)
        x.chunked(*pieces, end=True)
        return True

    return answer


normal = stream(*events())


def refusal(status: str, message: str = "no", **headers: str | int) -> Behaviour:
    """Answer with an error in OpenAI's shape."""
    body = json.dumps({"error": {"message": message, "type": message, "param": None, "code": message}}).encode()
    return lambda x: x.whole(status, body, **headers)


not_found = refusal("404 Not Found")


def once(bad: Behaviour, then: Behaviour = normal) -> Behaviour:
    """Misbehave at the first request for a path only."""
    return lambda x: (bad if x.turn == 1 else then)(x)


def slow_headers(x: Exchange) -> bool | None:
    x.wait()
    return normal(x)


def trickled_headers(x: Exchange) -> None:
    x.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        x.send(b"x")
        x.rest(0.01)


def slow_first_token(x: Exchange) -> bool:
    x.head(Transfer_Encoding="chunked")
    x.wait()
    x.chunked(*events(), end=True)
    return True


def silent(x: Exchange) -> bool:
    """Say two tokens, then nothing until it is released."""
    x.head(Transfer_Encoding="chunked")
    x.chunked(*events()[:3])
    x.wait()
    x.chunked(*events()[3:], end=True)
    return True


def no_end(x: Exchange) -> None:
    x.head(Transfer_Encoding="chunked")
    x.chunked(*events())
    while True:
        x.chunked(b": still here\n")
        x.rest(0.05)


def trickle(x: Exchange) -> bool:
    x.head(Transfer_Encoding="chunked")
    for byte in b"".join(events()):
        x.chunked(bytes([byte]))
    x.chunked(end=True)
    return True


def endless(x: Exchange) -> None:
    """Say tokens until the client goes."""
    x.head(Transfer_Encoding="chunked")
    while True:
        x.chunked(event({"content": "on and "}))
        x.rest(0.01)


def busy(x: Exchange) -> None:
    """Write on and on, and leave whoever asks it to give that up without an answer."""
    if x.asked:
        endless(x)
    x.wait()


def flood(x: Exchange) -> None:
    """Say as much as the connection takes, until the client goes."""
    x.head(Transfer_Encoding="chunked")
    while True:
        x.chunked(event({"content": "on and " * 2000}))


def endless_chunk_size(x: Exchange) -> None:
    """Trickle one chunk's size for ever: bytes come, but nothing of the body."""
    x.head(Transfer_Encoding="chunked")
    while True:
        x.send(b"0")
        x.rest(0.01)


def never_ending_line(x: Exchange) -> None:
    x.head(Transfer_Encoding="chunked")
    x.chunked(b"data: ")
    while True:
        x.chunked(b"x" * 16_384)
        x.rest(0.001)


def cut_utf8(x: Exchange) -> bool:
    """Cut every chunk inside a character."""
    body = b"".join(events())
    cuts = [i for i in range(1, len(body)) if body[i] & 0xC0 == 0x80]
    edges = [0, *cuts, len(body)]
    return bool(stream(*(body[a:b] for a, b in pairwise(edges)))(x))


def close_delimited(x: Exchange) -> None:
    x.head(Connection="close")
    for piece in events():
        x.send(piece)
        x.rest(0.002)


def content_length(x: Exchange) -> bool:
    x.head(Content_Length=sum(map(len, events())))
    for piece in events():
        x.send(piece)
        x.rest(0.002)
    return True


def gzip(x: Exchange) -> bool:
    """Compress although nobody asked for it, flushing each event."""
    x.head(Transfer_Encoding="chunked", Content_Encoding="gzip")
    x.chunked(*_gzipped(events()), end=True)
    return True


def _gzipped(pieces: list[bytes]) -> Iterator[bytes]:
    pack = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield pack.compress(piece) + pack.flush(zlib.Z_SYNC_FLUSH)
    yield pack.flush()


def broken_gzip(x: Exchange) -> bool:
    return bool(stream(b"this is not gzip at all", Content_Encoding="gzip")(x))


def cut_mid_chunk(x: Exchange) -> None:
    x.head(Transfer_Encoding="chunked")
    x.chunked(*events()[:3])
    x.send(b"ff\r\ndata: {")


def cut_close_delimited(x: Exchange) -> None:
    x.head(Connection="close")
    x.send(b"".join(events()[:3]))


def cut_content_length(x: Exchange) -> None:
    x.head(Content_Length=100_000)
    x.send(b"".join(events()[:3]))


def reset(x: Exchange) -> None:
    """Break off with a RST, after the client has had two tokens."""
    x.head(Transfer_Encoding="chunked")
    x.chunked(*events()[:3])
    x.wait()
    x.reset()


def no_answer(_: Exchange) -> None:
    """Close without a byte."""


def headers_alone(x: Exchange) -> None:
    """Begin an event stream and close without a byte of it."""
    x.head(Transfer_Encoding="chunked")


def leaves(x: Exchange) -> None:
    """Close the connection after the answer without having said so."""
    normal(x)


def drops_second(x: Exchange) -> bool | None:
    """Take the second request, on the kept connection, and close without a byte."""
    return no_answer(x) if x.turn == 2 else normal(x)


def endless_error(x: Exchange) -> None:
    x.head("500 Internal Server Error", "application/json", Connection="close")
    while True:
        x.send(b" " * 16_384)


def silent_error(x: Exchange) -> None:
    x.head("500 Internal Server Error", "application/json", Content_Length=10)
    x.wait()


def endless_redirect(x: Exchange) -> None:
    x.head("302 Found", "text/html", Location="/normal/v1/chat/completions", Connection="close")
    while True:
        x.send(b" " * 16_384)


def endless_list(x: Exchange) -> None:
    x.head(kind="application/json", Connection="close")
    x.send(b'{"data": [')
    while True:
        x.send(b" " * 16_384)


def whole_reply(message: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    """Write a completion that is no stream."""
    counts = {"prompt_tokens": 3, "completion_tokens": len(TOKENS), "total_tokens": 3 + len(TOKENS)}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": None}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": f"/cache/{MODEL}.gguf"}
    # With blanks and raw UTF-8, as Xinference writes it: whoever parses and writes it anew gives another text.
    return json.dumps({**head, "choices": [choice], "usage": counts, **more}, ensure_ascii=False).encode()


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}], "refusal": None}


def asked_for(streamed: Behaviour, whole: bytes) -> Behaviour:
    """Answer as a stream or not, as the request wants it."""
    return lambda x: streamed(x) if x.asked.get("stream") else x.whole("200 OK", whole)


def choice(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Write one chunk of any choice."""
    both = [{"index": index, "delta": delta, "finish_reason": finish, **more}]
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": both}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def call_parts() -> list[bytes]:
    """Write a call of a tool whose arguments come in pieces."""
    first = {**CALL, "function": {"name": "weather", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in ('{"city"', ': "Köln"}')]
    calls = [{"role": "assistant", "content": None, "tool_calls": [{"index": 0, **first}]}]
    calls += [{"tool_calls": [part]} for part in rest]
    return [*map(event, calls), event({}, "tool_calls"), usage(), done()]


def echo(x: Exchange) -> bool:
    """Answer with the very request that came."""
    return x.whole("200 OK", whole_reply({"content": x.body.decode()}))


def slow_whole(x: Exchange) -> bool:
    """Say nothing, not even a header, until it is released."""
    x.wait()
    return x.whole("200 OK", whole_reply({"content": TEXT}))


def pausing(x: Exchange) -> bool:
    """Rest within an event, and behind it, for longer than it takes until a heartbeat."""
    x.head(Transfer_Encoding="chunked")
    for piece in events():
        half = len(piece) // 2
        x.chunked(piece[:half])
        x.chunked(piece[half:-1])
        x.rest(0.15)
        x.chunked(piece[-1:])
    x.chunked(end=True)
    return True


def endless_whole(x: Exchange) -> None:
    x.head(kind="application/json", Connection="close")
    while True:
        x.send(b" " * 16_384)


OPENAI: dict[str, Behaviour] = {
    "openai": asked_for(normal, whole_reply({"content": TEXT})),
    "tools": asked_for(stream(*call_parts()), whole_reply({"content": None, "tool_calls": [CALL]}, "tool_calls")),
    "reasoning": asked_for(
        stream(event({"role": "assistant", "reasoning_content": "Hm."}), *events()),
        whole_reply({"content": TEXT, "reasoning_content": "Hm."}),
    ),
    "logprobs": asked_for(
        stream(choice(0, {"role": "assistant", "content": "Hi"}, "stop", logprobs=LOGPROBS), done()),
        whole_reply({"content": "Hi"}, system_fingerprint="fp", timings={"predicted_ms": 1.5}),
    ),
    "two": stream(
        *(choice(index, {"content": text}) for text in ("a", "b") for index in (0, 1)),
        *(choice(index, {}, "stop") for index in (0, 1)),
        done(),
    ),
    "parsed": asked_for(
        stream(*(event({"content": part}) for part in ('{"name": "Ad', 'a", "age": 36}')), event({}, "stop"), done()),
        whole_reply({"content": '{"name": "Ada", "age": 36}'}),
    ),
    "echo": echo,
    "slow-whole": slow_whole,
    "endless-whole": endless_whole,
    "cut-whole": lambda x: x.head(kind="application/json", Connection="close") or x.send(b'{"choices": [{"mess'),
    "whole-text": lambda x: x.whole("200 OK", b"Hello", "text/plain"),
    "400-own": refusal("400 Bad Request", "bad thing"),
    "400-short": lambda x: x.whole("400 Bad Request", b'{"error":{"code":400,"message":"no messages","type":"mine"}}'),
    "400-text": lambda x: x.whole("400 Bad Request", b"Internal: [address=10.1.2.3:4000] no", "text/plain"),
    "400-secret": refusal("400 Bad Request", "at http://10.1.2.3:9/ the key sk-secret"),
    "422-own": refusal("422 Unprocessable Entity", "wrong"),
    "xinference-error": stream(b'data: {"error": "The chat completion request failed."}\n\n'),
    "pausing": pausing,
    "finished": stream(*opening(), event({}, "stop")),
    "503-once": once(
        refusal("503 Service Unavailable", Retry_After="0"), asked_for(normal, whole_reply({"content": TEXT}))
    ),
    "429-once": once(
        refusal("429 Too Many Requests", Retry_After="0"), asked_for(normal, whole_reply({"content": TEXT}))
    ),
    "role-ping": stream(b": ping\r\n", *events("\r\n")),
}

BEHAVIOURS: dict[str, Behaviour] = {
    **OPENAI,
    "normal": normal,
    "slow-headers": slow_headers,
    "trickled-headers": trickled_headers,
    "slow-first-token": slow_first_token,
    "silent": silent,
    "no-end": no_end,
    "trickle": trickle,
    "endless": endless,
    "xinference": endless,
    "busy-xinference": busy,
    "flood": flood,
    "long": stream(*long_events()),
    "endless-chunk-size": endless_chunk_size,
    "never-ending-line": never_ending_line,
    "cut-utf8": cut_utf8,
    "crlf": stream(*events("\r\n")),
    "cr": stream(*events("\r")),
    "close-delimited": close_delimited,
    "content-length": content_length,
    "gzip": gzip,
    "broken-gzip": broken_gzip,
    "closing": stream(*events(), Connection="close"),
    "thinking": stream(event({"role": "assistant", "reasoning_content": "Hm."}), *events()),
    "cookies": stream(*events(), Set_Cookie="user=alice; Path=/"),
    "cut-mid-chunk": cut_mid_chunk,
    "cut-clean": stream(*opening()),
    "cut-behind-a-word": stream(says_done()),
    "cut-in-line": stream(*opening(), b'data: {"choices": [{"ind'),
    "finish-empty": stream(*opening(), event({}, "")),
    "cut-close-delimited": cut_close_delimited,
    "cut-content-length": cut_content_length,
    "reset": reset,
    "no-answer": no_answer,
    "headers-alone": headers_alone,
    "leaves": leaves,
    "drops-second": drops_second,
    "empty": stream(),
    "error-string": stream(*events()[:3], b'data: {"error": "out of memory"}\n\n'),
    "error-object": stream(*events()[:3], b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
    "key-in-error": stream(*events()[:3], b'data: {"error": {"message": "no: key-of-the-upstream"}}\n\n'),
    "finish-null": stream(*opening(), event({}, None), done()),
    "usage-only": stream(usage(), *opening(), usage(), event({}, "stop"), usage(), done()),
    "comments": stream(b": ping\n\n", b":\n\n", b": pong\r\n\r\n"),
    "html": lambda x: x.whole("200 OK", b"<!doctype html><title>Welcome</title>", "text/html"),
    "json": lambda x: x.whole("200 OK", b'{"error": "no stream"}'),
    "no-json": lambda x: x.whole("200 OK", b"data: this is no JSON\n\n", "text/event-stream"),
    "redirect": refusal("307 Temporary Redirect", Location="/normal/v1/chat/completions"),
    "endless-redirect": endless_redirect,
    "401": refusal("401 Unauthorized", "invalid_api_key"),
    "404": not_found,
    "429": once(refusal("429 Too Many Requests", Retry_After="0.05")),
    "429-always": refusal("429 Too Many Requests", Retry_After="0"),
    "429-long": refusal("429 Too Many Requests", Retry_After="60"),
    "500": refusal("500 Internal Server Error"),
    "503": once(refusal("503 Service Unavailable")),
    "503-always": refusal("503 Service Unavailable"),
    "endless-error": endless_error,
    "silent-error": silent_error,
    "too-long": refusal("400 Bad Request", "exceed_context_size_error"),
    "too-long-openai": refusal("400 Bad Request", "context_length_exceeded"),
}


def model_list(answer: Any) -> Behaviour:
    """Answer GET /v1/models with that."""
    return lambda x: x.whole("200 OK", json.dumps(answer).encode())


def slow_list(x: Exchange) -> bool | None:
    x.wait()
    return model_list(LIST)(x)


# Who misbehaves in the middle of an answer lists its models properly; these do there what they do elsewhere.
ALIKE = (
    "slow-headers",
    "trickled-headers",
    "no-answer",
    "html",
    "json",
    "redirect",
    "401",
    "404",
    "500",
    "silent-error",
)

LISTS: dict[str, Behaviour] = {
    **{name: model_list(LIST) for name in BEHAVIOURS if name not in ALIKE},
    "any": model_list({"data": [{"id": name, "owned_by": "tests"} for name in BEHAVIOURS]}),
    "v1": model_list(LIST),  # the server's root, without a name
    "xinference": model_list(XINFERENCE_LIST),
    "busy-xinference": model_list(XINFERENCE_LIST),
    "list-llama": model_list({"models": [{"name": MODEL, "model": MODEL}], **LIST}),
    "list-ollama": model_list({"models": [{"name": "mock:latest", "model": "mock:latest"}]}),
    "list-slash": model_list({"data": [{"id": "meta/llama:8b"}]}),
    "list-bare": model_list([{"id": MODEL}]),
    "list-empty": model_list({"object": "list", "data": []}),
    "list-odd": model_list({"data": [{"id": 5}, "text", None, {"id": MODEL}]}),
    "list-number": model_list(5),
    "list-endless": endless_list,
    "slow-list": slow_list,
}
