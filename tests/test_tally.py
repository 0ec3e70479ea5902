"""How much a completion was, told by its end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from answers.usage import today
from relay import passthrough, tally
from relay.pipe import Pipe
from relay.settings import Settings
from relay.upstream import Upstream
from tests.apps import client, here
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import MODEL, TEXT, event, whole_reply

BODY = {"model": MODEL, "messages": [], "stream": True}


def told(server: MisbehavingServer, behaviour: str) -> tuple[int | None, int | None, int]:
    """Relay a stream to its end; give what is told of it."""
    said: list[tuple[int | None, int | None, int]] = []
    call = Upstream("test", f"{server.url}/{behaviour}").call(BODY)
    call.open()
    pipe = Pipe(max_bytes=1 << 24, reader_timeout_s=5, heartbeat_s=5)
    passthrough.relay(call, pipe, 1 << 20, on_end=lambda *counts: said.append(counts[:3]))
    return said[0]


def test_the_upstream_s_own_count_is_told(upstream_server: MisbehavingServer) -> None:
    assert told(upstream_server, "normal") == (3, 6, len(TEXT))


def test_without_a_count_the_characters_are(upstream_server: MisbehavingServer) -> None:
    assert told(upstream_server, "cut-clean") == (None, None, len(TEXT))


def test_of_a_long_stream_they_are_estimated_by_its_end(upstream_server: MisbehavingServer) -> None:
    chars = sum(len(f"{number} {'x' * 900}\n") for number in range(4000))
    prompt, completion, about = told(upstream_server, "long")
    assert (prompt, completion) == (None, None)
    assert abs(about - chars) < chars / 20


def test_what_a_stream_says_without_text_does_not_make_the_estimate_less() -> None:
    text, silent = event({"content": "x" * 100}), event({}, "stop")
    assert tally.of_stream([text, silent, silent], 50 * len(text) + 2 * len(silent))[2] == pytest.approx(5000, rel=0.01)


def test_a_text_that_speaks_of_usage_is_no_count() -> None:
    said = event({"content": 'data: {"usage": {"prompt_tokens": 9}}'})
    assert tally.of_stream([said], len(said))[:2] == (None, None)


@pytest.mark.parametrize("usage", [None, 5, {"prompt_tokens": -1}, {"prompt_tokens": True}, {"prompt_tokens": "3"}])
def test_a_count_that_makes_no_sense_is_none(usage: Any) -> None:
    said = event({"content": "x"}, usage=usage)
    assert tally.of_stream([said], len(said)) == (None, None, 1)


def test_a_reply_that_is_no_stream_tells_it_too() -> None:
    called = [{"function": {"name": "f", "arguments": "{}"}}, {"function": 5}, 7]
    assert tally.of_reply(whole_reply({"content": TEXT, "tool_calls": called})) == (3, 6, len(TEXT) + 2)
    for odd in (b"{}", b'{"choices": [null, {"message": 5}]}', b'{"choices": {"usage": 1}}', b"{", b"\xff"):
        assert tally.of_reply(odd) == (None, None, 0)
    indented = json.dumps(json.loads(whole_reply({"content": TEXT})), indent=2).encode()
    assert tally.of_reply(indented) == (3, 6, len(TEXT))


def test_a_stream_that_is_told_in_tiny_pieces_tells_the_same(upstream_server: MisbehavingServer) -> None:
    assert told(upstream_server, "trickle")[:2] == (3, 6)


def test_what_has_ended_is_counted(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/openai"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock")) as asking:
        ways = [({}, False), ({}, True), ({"Talkabout-Durable": "true"}, True)]
        for headers, streamed in ways:
            with asking.post("/v1/chat/completions", json={**BODY, "stream": streamed}, headers=headers) as response:
                response.get_data()
        for _ in range(200):
            if (now := here(asking).usage.rows(today(), today(), ("model",), 9)) == [(("mock",), 3, 3 * 3, 3 * 6, 0)]:
                return
            threading.Event().wait(0.02)
        raise AssertionError(now)
