"""Thousands of generated requests: nothing brings a 5xx or a traceback (the server fixture fails on one in its log)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import Server

PATHS = [
    "/stream",
    "/talkeAbout",
    "/talkeAbouttestSseEmitter",
    "/talkeAbouttestEvent",
    "/sse/send/me",
    "/",
    "/nowhere",
    "/playground/cut",
    "/api/conversations",
    "/api/conversations/import",
    "/api/conversations/{conversation}",
    "/api/conversations/{conversation}/share",
    "/api/conversations/{conversation}/restore",
    "/api/conversations/{conversation}/export",
    "/answers/{answer}/stop",
    "/c/{conversation}",
    "/conversations",
    "/s/{token}",
    "/v1/chat/completions",
    "/v1/models/{conversation}",
    "/usage",
    "/login",
    "/api/probe/{token}",
]
FIELDS = [
    "prompt",
    "name",
    "model",
    "data",
    "event",
    "cut",
    "token",
    "lang",
    "title",
    "pinned",
    "system",
    "temperature",
]
FIELDS += ["max_tokens", "leaf", "conversation", "parent", "messages", "q", "before", "limit", "created", "format"]
MESSAGE = ["id", "parent", "role", "content", "model", "state", "usage", "created", "error", "reasoning", "ttft_ms"]
KNOWN = st.sampled_from(
    ["{conversation}", "{answer}", "{prompt}", "user", "assistant", "complete", "running", "a", "b"]
)
VALUES = (
    KNOWN
    | st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.just("")
)
JSON_VALUES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=4).map(orjson.dumps),
    st.lists(st.dictionaries(st.sampled_from(MESSAGE), VALUES), max_size=3).map(
        lambda some: orjson.dumps({"messages": some})
    ),
    JSON_VALUES.map(orjson.dumps),
    st.binary(max_size=60),
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "a/b",
    ]
)
HEADER_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
EXTRA = st.dictionaries(
    st.sampled_from(["Accept", "Accept-Language", "Last-Event-ID", "Origin", "Authorization", "Cookie", "X-A"]),
    HEADER_TEXT,
    max_size=3,
)
MANY = settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))

SESSION = requests.Session()
SESSION.trust_env = False


@pytest.fixture(scope="module")
def known(server: Server) -> dict[str, str]:
    """Keep a conversation that the requests can mean, and a link to it; name its parts."""
    SESSION.get(server.url, timeout=30)  # whose user it belongs to
    api, asked = f"{server.url}/api", {"prompt": "x", "model": "poem"}
    begun = SESSION.post(f"{api}/answers", json=asked, timeout=30).json()
    here = f"{api}/conversations/{begun['conversation']}"
    token = SESSION.post(f"{here}/share", json={}, timeout=30).json()["path"].removeprefix("/s/")
    prompt = SESSION.get(here, timeout=30).json()["messages"][0]["id"]
    return {"conversation": begun["conversation"], "answer": begun["answer"], "prompt": prompt, "token": token}


def named(known: dict[str, str], text: str) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def check(method: str, url: str, **more: Any) -> None:
    with SESSION.request(method, url, timeout=30, allow_redirects=False, **more) as response:
        assert response.status_code < 500, (response.status_code, response.text)
        assert b"Traceback" not in response.content


@MANY
@given(path=st.sampled_from(PATHS), body=BODIES, kind=TYPES, extra=EXTRA)
def test_thousands_of_generated_bodies(
    server: Server, known: dict[str, str], path: str, body: bytes, kind: str, extra: dict[str, str]
) -> None:
    data = named(known, body.decode("latin-1")).encode("latin-1")
    check("POST", server.url + named(known, path), data=data, headers={**extra, "Content-Type": kind})


@MANY
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]),
    path=st.sampled_from([*PATHS, "/healthz", "/login", "/static/"])
    | st.text(max_size=20).map(lambda text: "/" + text),
    query=st.dictionaries(st.sampled_from([*FIELDS, "last_event_id"]), KNOWN | st.text(max_size=20), max_size=3),
    extra=EXTRA,
)
def test_thousands_of_generated_urls(
    server: Server, known: dict[str, str], method: str, path: str, query: dict[str, str], extra: dict[str, str]
) -> None:
    asked = {name: named(known, value) for name, value in query.items()}
    check(method, server.url + named(known, path), params=asked, headers=extra)
