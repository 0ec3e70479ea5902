from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any

import pytest
import requests

from relay.demo_model import BASE_URL, MODEL, DemoModel
from relay.errors import UpstreamRefused, UpstreamStopped, UpstreamTimeout
from relay.poem import POEM
from relay.upstream import Timeouts, Upstream

HELLO = [{"role": "user", "content": "hello"}]


def poem(delay_s: float = 0.0, **more: Any) -> Upstream:
    return Upstream("poem", BASE_URL, adapter=DemoModel(delay_s), **more)


def ask(messages: list[dict[str, Any]] = HELLO, **more: Any) -> list[dict[str, Any]]:
    """Give the chunks of one answer; it must end with [DONE]."""
    call = poem().call({"model": MODEL, "messages": messages, "stream": True, **more})
    call.open()
    *chunks, last = b"".join(call).decode().removesuffix("\n\n").split("\n\n")
    call.close()
    assert last == "data: [DONE]"
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]


def contents(chunks: list[dict[str, Any]]) -> list[str]:
    return [
        choice["delta"]["content"] for chunk in chunks for choice in chunk["choices"] if choice["delta"].get("content")
    ]


def finish(chunks: list[dict[str, Any]]) -> list[str]:
    return [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]


def plain(method: str, path: str, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.mount("poem://", DemoModel(0.0))
        return session.request(method, BASE_URL + path, **more)


def test_the_poem_is_the_article_s_letter_for_letter() -> None:
    assert (len(POEM), POEM.count("\n"), len(POEM.split())) == (188, 12, 11)
    assert POEM.startswith("       什么是愛而不得? \n東邊日出西邊雨,") and POEM.endswith("此恨綿綿無絕期。\n\n")
    digest = hashlib.sha256(POEM.encode()).hexdigest()
    assert digest == "ec76f6f38ebae276c24565c35a135018aa85d8372f0e0a860e8817b1c4b6abf8"


def test_it_recites_one_character_a_chunk() -> None:
    chunks = ask()
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert contents(chunks) == list(POEM)
    assert finish(chunks) == ["stop"]


def test_every_chunk_is_in_openai_s_shape() -> None:
    chunks = ask()
    assert {(chunk["object"], chunk["model"]) for chunk in chunks} == {("chat.completion.chunk", "poem")}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(isinstance(chunk["created"], int) and "usage" not in chunk for chunk in chunks)


def test_usage_is_told_if_asked_for() -> None:
    last = ask(stream_options={"include_usage": True})[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 188, "total_tokens": 193}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_it_ends_where_it_is_told_to(name: str) -> None:
    chunks = ask(**{name: 10})
    assert contents(chunks) == list(POEM[:10])
    assert finish(chunks) == ["length"]


def test_a_limit_that_is_not_reached_is_no_limit() -> None:
    assert finish(ask(max_tokens=188)) == ["stop"]


@pytest.mark.parametrize("begun", ["", POEM[:50], POEM])
def test_it_goes_on_from_its_own_beginning(begun: str) -> None:
    chunks = ask([*HELLO, {"role": "assistant", "content": begun}])
    assert "".join(contents(chunks)) == POEM[len(begun) :]
    assert finish(chunks) == ["stop"]


def test_another_s_words_are_no_beginning() -> None:
    assert "".join(contents(ask([*HELLO, {"role": "assistant", "content": "Well,"}]))) == POEM
    assert "".join(contents(ask([{"role": "user", "content": POEM[:9]}]))) == POEM


def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": POEM[:5]}, {"type": "image_url"}, {"type": "text", "text": POEM[5:9]}]
    assert "".join(contents(ask([*HELLO, {"role": "assistant", "content": parts}]))) == POEM[9:]


def test_each_piece_comes_when_it_is_said() -> None:
    began = time.monotonic()
    call = poem(delay_s=0.05).call({"model": MODEL, "messages": HELLO, "stream": True})
    call.open()
    pieces = iter(call)
    moments = [
        time.monotonic() - began for _, piece in zip(range(4), pieces, strict=False) if piece.count(b"data:") == 1
    ]
    call.close()
    assert len(moments) == 4
    assert moments[3] - moments[0] >= 0.12


def test_without_stream_it_answers_at_once() -> None:
    answer = plain("POST", "/v1/chat/completions", json={"model": MODEL, "messages": HELLO}).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": POEM}, "finish_reason": "stop"}
    ]
    assert answer["usage"]["completion_tokens"] == 188


def test_it_can_be_read_to_the_end_in_one_go() -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True, "max_tokens": 3}
    response = plain("POST", "/v1/chat/completions", json=body)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.content.endswith(b"data: [DONE]\n\n")


def test_it_lists_itself() -> None:
    assert poem().models() == ["poem"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"", 400, None),
        (b"{}", 404, "model"),
        (b'{"model": "gpt", "messages": [{}]}', 404, "model"),
        (b'{"model": "poem"}', 400, "messages"),
        (b'{"model": "poem", "messages": []}', 400, "messages"),
        (b'{"model": "poem", "messages": ["hi"]}', 400, "messages"),
        (b'{"model": "poem", "messages": [{}], "max_tokens": "5"}', 400, "max_tokens"),
        (b'{"model": "poem", "messages": [{}], "max_tokens": -1}', 400, "max_tokens"),
        (b'{"model": "poem", "messages": [{}], "max_tokens": 0}', 400, "max_tokens"),
        (b'{"model": "poem", "messages": [{}], "max_tokens": true}', 400, "max_tokens"),
    ],
)
def test_bad_input_is_refused_in_openai_s_shape(body: bytes, status: int, param: str | None) -> None:
    response = plain("POST", "/v1/chat/completions", data=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert error["message"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/chat/completions"), ("POST", "/v1/models"), ("GET", "/")])
def test_another_path_is_not_found(method: str, path: str) -> None:
    response = plain(method, path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_a_refusal_reaches_whoever_called() -> None:
    with pytest.raises(UpstreamRefused, match="404"):
        poem().call({"model": "gpt", "messages": HELLO, "stream": True}).open()


def test_it_can_be_stopped_while_it_waits() -> None:
    call = poem(delay_s=60).call({"model": MODEL, "messages": HELLO, "stream": True})
    call.open()
    pieces = iter(call)
    next(pieces)
    threading.Timer(0.05, call.stop).start()
    began = time.monotonic()
    with pytest.raises(UpstreamStopped):
        next(pieces)
    assert time.monotonic() - began < 5


def test_it_keeps_to_the_total_time() -> None:
    call = poem(delay_s=0.02, timeouts=Timeouts(total=0.2)).call({"model": MODEL, "messages": HELLO, "stream": True})
    call.open()
    with pytest.raises(UpstreamTimeout, match="total"):
        list(call)
