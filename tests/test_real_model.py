"""The whole way with a real model: gunicorn, our relay, llama.cpp, SmolLM2."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openai import APITimeoutError, BadRequestError, OpenAI

from tests.servers import Server
from tests.streams import events, opened, read_events

EVENTS = {"Accept": "text/event-stream"}
LONG = "Write a long story about the sea, with many chapters."
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server with the embedded model, which writes one answer at a time."""
    more = {"TALKABOUT_EMBEDDED_MODEL": "on", "TALKABOUT_EMBEDDED_PARALLEL": "1", "TALKABOUT_MAX_TOKENS": "1500"}
    with Server(tmp_path_factory.mktemp("chatting"), workers=2, **more) as server:
        yield server


def test_the_model_is_the_default_and_listed_with_the_poem(chatting: Server) -> None:
    page = requests.get(chatting.url, timeout=PATIENCE_S).text
    assert re.findall(r"<option( selected)?>(.+)</option>", page) == [(" selected", "smollm2-135m"), ("", "poem")]


def test_the_relay_passes_the_models_stream_on_to_its_end(chatting: Server) -> None:
    got = read_events("POST", f"{chatting.url}/talkeAbout", json={"prompt": "Say hello."})
    chunks = [json.loads(event.data) for event in got[:-1]]
    assert got[-1].data == "[DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def test_stream_writes_the_models_answer_as_text(chatting: Server) -> None:
    text = requests.post(f"{chatting.url}/stream", json={"name": "Say hello."}, timeout=60).text
    assert text.strip()


def test_an_answer_comes_token_by_token_with_the_models_own_count(chatting: Server) -> None:
    got = read_events("POST", f"{chatting.url}/stream", json={"name": "Say hello."}, headers=EVENTS)
    done = json.loads(got[-1].data)
    tokens = [event for event in got if event.event == "message"]
    assert done["state"] == "complete" and done["finish_reason"] in ("stop", "length")
    assert len(tokens) > 1 and done["usage"]["completion_tokens"] > 1


def test_a_client_that_leaves_the_relay_makes_the_model_stop_writing(chatting: Server) -> None:
    with opened("POST", f"{chatting.url}/talkeAbout", json={"prompt": LONG}) as response:
        while b"content" not in (chunk := response.raw.read1(65536)):
            assert chunk
    chatting.wait_until_the_model_rests()


def test_stop_makes_the_model_stop_writing(chatting: Server) -> None:
    with opened("POST", f"{chatting.url}/api/answers", json={"prompt": LONG}, headers=EVENTS) as response:
        answer = response.headers["X-Answer-Id"]
        next(event for event in events(response) if event.event == "message")
        receipt = requests.post(f"{chatting.url}/api/answers/{answer}/stop", timeout=30).json()
        done = json.loads(list(events(response))[-1].data)
    assert receipt["state"] == done["state"] == "stopped"
    chatting.wait_until_the_model_rests()


def test_the_model_goes_on_where_a_killed_worker_left_it(chatting: Server) -> None:
    with opened("POST", f"{chatting.url}/api/answers", json={"prompt": LONG}, headers=EVENTS) as response:
        answer = response.headers["X-Answer-Id"]
        some = events(response)
        seen = [next(event for event in some if event.event == "message") for _ in range(5)]
    for pid in chatting.workers():
        os.kill(pid, signal.SIGKILL)
    url = f"{chatting.url}/api/answers/{answer}"
    while len((shown := get(url))["content"]) < 100 and shown["state"] == "running":
        time.sleep(0.1)
    requests.post(f"{url}/stop", timeout=30)
    got = read_events("GET", f"{url}/events")
    text = "".join(json.loads(event.data).get("content", "") for event in got if event.event == "message")
    assert text == get(url)["content"] and text.startswith("".join(json.loads(event.data)["content"] for event in seen))
    assert {"phase": "recovering"} in [json.loads(event.data) for event in got]


def get(url: str) -> dict[str, Any]:
    """Show an answer, as soon as a worker is there."""
    while True:
        try:
            shown: dict[str, Any] = requests.get(url, timeout=PATIENCE_S).json()
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return shown


def test_openai_s_client_talks_to_the_model_in_every_way(chatting: Server) -> None:
    asked: Any = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    with OpenAI(base_url=f"{chatting.url}/v1", api_key="sk-none", max_retries=0) as ai:
        assert [model.id for model in ai.models.list()] == ["smollm2-135m", "poem"]
        whole = ai.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
        likely = whole.choices[0].logprobs
        assert whole.usage and whole.usage.completion_tokens <= 8 and likely and likely.content
        chunks = list(ai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        assert chunks[-1].usage and not chunks[-1].choices
        with pytest.raises(BadRequestError, match="'n'"):  # in the model server's own words
            ai.chat.completions.create(**asked, n=2)


def test_a_client_that_does_not_wait_for_a_whole_reply_makes_the_model_stop(chatting: Server) -> None:
    with OpenAI(base_url=f"{chatting.url}/v1", api_key="sk-none", max_retries=0, timeout=1) as ai:
        with pytest.raises(APITimeoutError):
            ai.chat.completions.create(
                model="smollm2-135m", messages=[{"role": "user", "content": LONG}], max_tokens=1500
            )
        chatting.wait_until_the_model_rests()
