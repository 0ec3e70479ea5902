"""OpenAI's own Python package against the real server: what it can do with OpenAI, it can do here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT
from tests.servers import Server

SOON_S = 1.5
ASKED = [{"role": "user", "content": "hello"}]


class Person(BaseModel):
    """What a parsed answer holds."""

    name: str
    age: int


@pytest.fixture
def ai(openai_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{openai_server.url}/v1", api_key="sk-none", max_retries=0) as client:
        yield client


def closed(openai_upstream: MisbehavingServer, since: float) -> None:
    """Check that the upstream's last request was closed soon after a moment."""
    last = openai_upstream.completions[-1]
    assert last.closed.wait(10)
    assert last.closed_at - since < SOON_S


def test_it_lists_models_and_shows_one(ai: OpenAI) -> None:
    listed = ai.models.list().data
    assert {"openai", "poem"} <= {each.id for each in listed}
    assert ai.models.retrieve("poem").id == "poem"


def test_it_reads_a_whole_answer_with_its_usage(ai: OpenAI) -> None:
    answer = ai.chat.completions.create(model="openai", messages=ASKED)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage and answer.usage.prompt_tokens == 3


def test_it_reads_a_stream_with_its_usage(ai: OpenAI) -> None:
    chunks = list(ai.chat.completions.create(model="openai", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 6


def test_it_reads_a_stream_between_whose_tokens_there_are_heartbeats(
    ai: OpenAI, openai_upstream: MisbehavingServer
) -> None:
    with ai.chat.completions.create(model="pausing", messages=ASKED, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == TEXT
    with ai.chat.completions.with_streaming_response.create(model="pausing", messages=ASKED, stream=True) as raw:
        assert b": ping\n" in raw.read()


def test_its_stream_helper_puts_a_call_of_a_tool_together(ai: OpenAI) -> None:
    with ai.chat.completions.stream(model="tools", messages=ASKED) as stream:
        events = [event.type for event in stream]
        called = stream.get_final_completion().choices[0].message.tool_calls
    assert "tool_calls.function.arguments.delta" in events
    assert called and called[0].function.arguments == '{"city": "Köln"}'


def test_it_reads_calls_of_tools_reasoning_logprobs_and_two_choices(ai: OpenAI) -> None:
    called = ai.chat.completions.create(model="tools", messages=ASKED).choices[0]
    assert called.finish_reason == "tool_calls" and called.message.tool_calls
    thought = ai.chat.completions.create(model="reasoning", messages=ASKED).choices[0].message
    assert thought.to_dict()["reasoning_content"] == "Hm."
    likely = next(iter(ai.chat.completions.create(model="logprobs", messages=ASKED, logprobs=True, stream=True)))
    assert likely.choices[0].logprobs and likely.choices[0].logprobs.content[0].logprob == -0.25
    both = [chunk.choices[0] for chunk in ai.chat.completions.create(model="two", messages=ASKED, n=2, stream=True)]
    assert [each.delta.content for each in both if each.index == 1] == ["a", "b", None]


def test_it_parses_what_has_a_schema(ai: OpenAI, openai_upstream: MisbehavingServer) -> None:
    parsed = ai.chat.completions.parse(model="parsed", messages=ASKED, response_format=Person)
    assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)
    assert openai_upstream.completions[-1].json["response_format"]["json_schema"]["name"] == "Person"
    with ai.chat.completions.stream(model="parsed", messages=ASKED, response_format=Person) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="Ada", age=36)


def test_it_sees_status_and_headers(ai: OpenAI) -> None:
    raw = ai.chat.completions.with_raw_response.create(model="openai", messages=ASKED)
    assert (raw.status_code, raw.headers["content-type"]) == (200, "application/json")
    assert raw.parse().choices[0].message.content == TEXT


def test_it_does_all_that_without_blocking(openai_server: Server) -> None:
    async def ask() -> tuple[str, str, str]:
        async with AsyncOpenAI(base_url=f"{openai_server.url}/v1", api_key="sk-none", max_retries=0) as ai:
            whole = await ai.chat.completions.create(model="openai", messages=ASKED)
            stream = await ai.chat.completions.create(model="openai", messages=ASKED, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            async with ai.chat.completions.stream(model="openai", messages=ASKED) as helped:
                final = await helped.get_final_completion()
            return whole.choices[0].message.content or "", "".join(parts), final.choices[0].message.content or ""

    assert asyncio.run(ask()) == (TEXT, TEXT, TEXT)


@pytest.mark.parametrize("model", ["endless", "silent", "slow-first-token"])
def test_closing_a_stream_closes_the_upstream(ai: OpenAI, openai_upstream: MisbehavingServer, model: str) -> None:
    stream = ai.chat.completions.create(model=model, messages=ASKED, stream=True)
    if model != "slow-first-token":
        next(iter(stream))
    left = time.monotonic()
    stream.close()
    closed(openai_upstream, left)


@pytest.mark.parametrize("streamed", [True, False])
def test_giving_up_before_the_answer_closes_the_upstream(
    openai_server: Server, openai_upstream: MisbehavingServer, streamed: bool
) -> None:
    ai = OpenAI(base_url=f"{openai_server.url}/v1", api_key="sk-none", max_retries=0, timeout=0.3)
    model = "slow-headers" if streamed else "slow-whole"
    with pytest.raises(openai.APITimeoutError):
        ai.chat.completions.create(model=model, messages=ASKED, stream=streamed)
    closed(openai_upstream, time.monotonic())


def test_a_cancelled_task_closes_the_upstream(openai_server: Server, openai_upstream: MisbehavingServer) -> None:
    async def begin_and_cancel() -> float:
        async with AsyncOpenAI(base_url=f"{openai_server.url}/v1", api_key="sk-none", max_retries=0) as ai:
            asked = len(openai_upstream.completions)
            task = asyncio.create_task(ai.chat.completions.create(model="slow-whole", messages=ASKED))
            await asyncio.to_thread(openai_upstream.wait_for_completions, asked + 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return time.monotonic()

    closed(openai_upstream, asyncio.run(begin_and_cancel()))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("400-own", openai.BadRequestError),
        ("404", openai.NotFoundError),
        ("422-own", openai.UnprocessableEntityError),
        ("429-always", openai.RateLimitError),
        ("503-always", openai.InternalServerError),
        ("nobody", openai.NotFoundError),
    ],
)
def test_it_raises_its_own_errors(ai: OpenAI, model: str, kind: type[openai.APIStatusError]) -> None:
    for streamed in (False, True):
        with pytest.raises(kind) as raised:
            ai.chat.completions.create(model=model, messages=ASKED, stream=streamed)
        assert isinstance(raised.value.body, dict) and raised.value.body["message"]


@pytest.mark.parametrize("model", ["429-once", "503-once"])
def test_it_tries_again_when_it_is_told_to(
    openai_server: Server, openai_upstream: MisbehavingServer, model: str
) -> None:
    ai = OpenAI(base_url=f"{openai_server.url}/v1", api_key="sk-none", max_retries=1)
    asked = len(openai_upstream.completions)
    assert ai.chat.completions.create(model=model, messages=ASKED).choices[0].message.content == TEXT
    assert len(openai_upstream.completions) == asked + 2


def test_it_raises_what_breaks_a_stream_off(ai: OpenAI) -> None:
    with pytest.raises(openai.APIError, match="broke off") as raised:
        list(ai.chat.completions.create(model="cut-clean", messages=ASKED, stream=True))
    assert raised.value.code == "upstream_broken"
