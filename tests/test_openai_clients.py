"""Other clients of OpenAI's API against the real server, each in a process of its own: tests/clients/."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT
from tests.servers import ROOT, Server

CLIENTS = ROOT / "tests/clients"
LITELLM = ROOT / ".make/clients/venv/bin/python"


def run(program: Path | str, script: str, *arguments: str) -> Any:
    """Run a client to its end; give what it says."""
    assert program != LITELLM or LITELLM.exists(), "litellm is missing; see `scripts/setup.sh clients`"
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [program, CLIENTS / script, *arguments], capture_output=True, text=True, timeout=120, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def was_left(openai_upstream: MisbehavingServer) -> bool:
    """Tell if the client that went has let the upstream go."""
    asked = [request for request in openai_upstream.requests if request.body and request.json["model"] == "endless"]
    return asked[-1].closed.wait(10)


def test_openai_s_node_package_works(openai_server: Server, openai_upstream: MisbehavingServer) -> None:
    assert run("node", "openai.mjs", openai_server.url, "429-once") == {
        "models": True,
        "whole": TEXT,
        "streamed": TEXT,
        "heartbeats": TEXT,
        "called": '{"city": "Köln"}',
        "raw": [200, "application/json", 3],
        "retried": TEXT,
        "errors": ["model_not_found", "0", "upstream_broken"],
        "durable": TEXT,
        "again": True,
    }
    assert was_left(openai_upstream)


def test_vercel_s_ai_sdk_works(openai_server: Server, openai_upstream: MisbehavingServer) -> None:
    assert run("node", "ai_sdk.mjs", openai_server.url) == {
        "whole": TEXT,
        "streamed": TEXT,
        "usage": 3,
        "reasoning": "Hm.",
        "called": "Köln",
        "failed": [400, "bad thing"],
        "broken": 1,
    }
    assert was_left(openai_upstream)


def test_litellm_works(openai_server: Server, openai_upstream: MisbehavingServer) -> None:
    assert run(LITELLM, "litellm_client.py", openai_server.url, "503-once") == {
        "whole": TEXT,
        "streamed": TEXT,
        "async": TEXT,
        "called": '{"city": "Köln"}',
        "reasoning": "Hm.",
        "usage": 3,
        "retried": TEXT,
        "errors": ["BadRequestError", "RateLimitError", "NotFoundError", "MidStreamFallbackError"],
        "durable": TEXT,
    }
    assert was_left(openai_upstream)


def test_curl_works(openai_server: Server) -> None:
    body = json.dumps({"model": "openai", "messages": [{"role": "user", "content": "hello"}], "stream": True})
    command = [
        "curl",
        "-sSN",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        f"{openai_server.url}/v1/chat/completions",
    ]
    said = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    assert said.count(b"data: ") > 5 and said.endswith(b"data: [DONE]\n\n")
