"""What litellm makes of the server at `sys.argv[1]`: one JSON object on the last line."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import litellm

base, retried = sys.argv[1] + "/v1", sys.argv[2]
hello = [{"role": "user", "content": "hello"}]


def options(model: str, **more: Any) -> dict[str, Any]:
    """Ask a model through litellm's provider for OpenAI-compatible servers."""
    known = {"api_base": base, "api_key": "sk-none", "max_retries": 0}
    return {"model": f"openai/{model}", "messages": hello, **known, **more}


def text(chunks: Any) -> str:
    """Join what a stream says."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def without_blocking() -> str:
    """Read a stream with `async for`."""
    stream = await litellm.acompletion(**options("openai", stream=True))
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


def failure(model: str, **more: Any) -> str:
    """Name the exception that it raises."""
    try:
        text(litellm.completion(**options(model, **more)))
    except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
        return type(error).__name__
    return ""


endless = litellm.completion(**options("endless", stream=True))
next(iter(endless))
said = {
    "whole": litellm.completion(**options("openai")).choices[0].message.content,
    "streamed": text(litellm.completion(**options("pausing", stream=True))),
    "async": asyncio.run(without_blocking()),
    "called": litellm.completion(**options("tools")).choices[0].message.tool_calls[0].function.arguments,
    "reasoning": litellm.completion(**options("reasoning")).choices[0].message.reasoning_content,
    "usage": litellm.completion(**options("openai")).usage.prompt_tokens,
    "retried": litellm.completion(**options(retried, max_retries=1)).choices[0].message.content,
    "errors": [failure("400-own"), failure("429-always"), failure("nobody"), failure("cut-clean", stream=True)],
    "durable": text(litellm.completion(**options("openai", stream=True, extra_headers={"Talkabout-Durable": "true"}))),
}
print(json.dumps(said))
