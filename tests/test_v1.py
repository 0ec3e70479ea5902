"""OpenAI's API, byte for byte: what goes through it, and what its errors look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from relay.settings import Settings
from relay.sse import Decoder
from tests.apps import client
from tests.misbehaving import MisbehavingServer
from tests.waiting import until

PATH = "/v1/chat/completions"
HELLO = {"model": "mock", "messages": [{"role": "user", "content": "hello"}]}
STREAMED = ["openai", "tools", "reasoning", "logprobs", "two", "crlf", "cr", "thinking", "cut-utf8", "role-ping"]
WHOLE = ["openai", "tools", "reasoning", "logprobs", "parsed"]


def ask(upstream: MisbehavingServer, data: Path, behaviour: str, body: Any = HELLO, **options: Any) -> TestResponse:
    """Ask an application whose upstream behaves so."""
    url = f"{upstream.url}/{behaviour}"
    known = Settings(
        data_dir=data, upstream_url=url, model="mock", upstream_retries=0, upstream_key="sk-secret", **options
    )
    with client(known) as asking:
        response = asking.post(PATH, json=body)
        response.get_data()
        response.close()
    return response


def direct(upstream: MisbehavingServer, behaviour: str, body: Any) -> requests.Response:
    """Ask the upstream itself."""
    return requests.post(f"{upstream.url}/{behaviour}{PATH}", json=body, timeout=30)


def error(response: TestResponse) -> dict[str, Any]:
    """Read an error of OpenAI's shape."""
    assert response.mimetype == "application/json"
    assert set(response.json) == {"error"}
    assert set(response.json["error"]) >= {"message", "type", "param", "code"}
    return dict(response.json["error"])


@pytest.mark.parametrize("behaviour", STREAMED)
def test_a_stream_goes_through_byte_for_byte(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    body = {**HELLO, "stream": True}
    response = ask(upstream_server, tmp_path, behaviour, body)
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    assert response.data == direct(upstream_server, behaviour, body).content


@pytest.mark.parametrize("behaviour", WHOLE)
def test_a_reply_that_is_no_stream_goes_through_byte_for_byte(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.data == direct(upstream_server, behaviour, HELLO).content


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_every_field_reaches_the_upstream_as_it_was(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/echo"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock")) as asking:

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.dictionaries(st.text().filter(lambda name: name not in ("stream", "model")), JSON, max_size=5))
        def goes_through(fields: dict[str, Any]) -> None:
            sent = json.dumps({**fields, "model": "mock"})
            asking.post(PATH, data=sent, content_type="application/json").get_data()
            assert upstream_server.completions[-1].json == json.loads(sent)

        goes_through()


def test_only_the_model_s_name_is_filled_in(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    asked = {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "stream_options": {"include_usage": True},
        "n": 2,
        "logprobs": True,
        "seed": 12345678901234567890123,
        "vendor": {"half": "\ud83d", "temperature": 0.1},
    }
    ask(upstream_server, tmp_path, "echo", asked)
    assert upstream_server.completions[-1].json == {**asked, "model": "mock"}


def test_nesting_that_nobody_can_write_is_refused(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/echo"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock")) as asking:
        for depth in (300, *range(800, 1000), 100_000):
            sent = '{"x": ' + "[" * depth + "]" * depth + "}"
            status = asking.post(PATH, data=sent, content_type="application/json").status_code
            assert status == (200 if depth == 300 else status) and status in (200, 400)
        assert status == 400


# What is refused


@pytest.mark.parametrize(
    ("body", "kind", "status", "param"),
    [
        (b"{", "application/json", 400, None),
        (b"[]", "application/json", 400, None),
        (b'{"x": NaN}', "application/json", 400, None),
        (b'{"x": 1e999}', "application/json", 400, None),
        (b"\xff", "application/json", 400, None),
        (b"{}", "text/plain", 415, None),
        (b" " * 70_000, "application/json", 413, None),
        (b'{"model": 5}', "application/json", 422, "model"),
        (b'{"stream": "yes"}', "application/json", 422, "stream"),
        (b'{"model": "unknown"}', "application/json", 404, "model"),
    ],
)
def test_a_request_that_is_wrong_is_told_so_in_openais_shape(
    tmp_path: Path, body: bytes, kind: str, status: int, param: str | None
) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False, max_body_bytes=65_536)) as asking:
        response = asking.post(PATH, data=body, content_type=kind)
    assert (response.status_code, error(response)["param"]) == (status, param)
    assert response.json["error"]["type"] == "invalid_request_error"


def test_routes_that_are_not_there_are_told_so_in_openais_shape(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as asking:
        for method, path, status in (
            ("GET", "/v1", 404),
            ("GET", "/v1/nothing", 404),
            ("GET", "/v1/models/unknown", 404),
            ("GET", PATH, 405),
            ("DELETE", "/v1/models", 405),
        ):
            response = asking.open(path, method=method, headers={"Accept": "text/html"})
            assert response.status_code == status
            assert error(response)["type"] == "invalid_request_error"
        assert asking.get(PATH).headers["Allow"]


@pytest.mark.parametrize(
    ("behaviour", "status", "message"),
    [
        ("400-own", 400, "bad thing"),
        ("400-short", 400, "no messages"),
        ("400-text", 400, "The model server refused the request (status 400)."),
        ("400-secret", 400, "The model server refused the request (status 400)."),
        ("422-own", 422, "wrong"),
        ("too-long-openai", 400, "context_length_exceeded"),
        ("404", 404, "no"),
        ("401", 502, "The model server refused the request (status 401)."),
        ("429-always", 429, "no"),
        ("500", 502, "The model server refused the request (status 500)."),
        ("503-always", 503, "no"),
        ("redirect", 502, "The model server refused the request (status 307)."),
        ("no-answer", 502, "The model server broke off before the end of the answer."),
        ("html", 502, "The model server did not answer with JSON."),
        ("whole-text", 502, "The model server did not answer with JSON."),
        ("cut-whole", 502, "The model server broke off before the end of the answer."),
        ("endless-whole", 502, "The model server's reply is longer than allowed."),
    ],
)
def test_what_the_model_server_refuses_is_passed_on_without_its_secrets(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str, status: int, message: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, max_reply_bytes=100_000)
    assert (response.status_code, error(response)["message"]) == (status, message)
    assert not any(secret in response.text for secret in ("sk-secret", "127.0.0.1", "10.1.2.3"))


def test_what_an_error_of_the_model_server_says_more_is_kept(
    upstream_server: MisbehavingServer, tmp_path: Path
) -> None:
    response = ask(upstream_server, tmp_path, "400-short")
    assert error(response) == {"message": "no messages", "type": "mine", "param": None, "code": 400}


@pytest.mark.parametrize(("behaviour", "seconds"), [("429-long", "60"), ("429-always", "0"), ("503-always", "2")])
def test_who_may_come_back_is_told_when(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str, seconds: str
) -> None:
    assert ask(upstream_server, tmp_path, behaviour).headers["Retry-After"] == seconds


def test_an_upstream_that_takes_too_long_is_a_504(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    response = ask(upstream_server, tmp_path, "slow-whole", total_timeout_s=0.2)
    assert (response.status_code, error(response)["code"]) == (504, "upstream_timeout")


def test_a_reply_that_is_written_for_long_is_waited_for(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    """The wait for the first byte is that for the whole reply, where it is no stream."""
    upstream_server.release()
    assert ask(upstream_server, tmp_path, "slow-whole", first_byte_timeout_s=0.05).status_code == 200


@pytest.mark.parametrize("behaviour", ["cut-clean", "cut-mid-chunk", "cut-in-line"])
def test_a_stream_that_was_cut_ends_with_an_error_of_openais_shape(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, {**HELLO, "stream": True})
    assert json.loads(Decoder().feed(response.data)[-1].data) == {
        "error": {
            "message": "The model server broke off before the end of the answer.",
            "type": "upstream_error",
            "param": None,
            "code": "upstream_broken",
        }
    }


@pytest.mark.parametrize("behaviour", ["error-object", "xinference-error"])
def test_an_error_that_the_upstream_tells_in_its_stream_is_the_only_one(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, {**HELLO, "stream": True})
    assert response.data.count(b'"error"') == 1


def test_without_a_token_nobody_gets_in(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False, auth="token", tokens="ada=secret")) as asking:
        refused = asking.post(PATH, json=HELLO, headers={"Authorization": "Bearer sk-no"})
        assert (refused.status_code, error(refused)["code"]) == (401, "invalid_api_key")
        foreign = asking.post(PATH, json=HELLO, headers={"Origin": "https://elsewhere.example"})
        assert (foreign.status_code, error(foreign)["type"]) == (403, "permission_error")
        assert asking.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_no_other_site_may_read_it(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, embedded_model=False)) as asking:
        response = asking.get("/v1/models", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


def test_the_models_are_listed_and_shown(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/list-slash"
    with client(Settings(data_dir=tmp_path, upstream_url=url)) as asking:
        listed = asking.get("/v1/models").json
        assert (listed["object"], [one["id"] for one in listed["data"]]) == ("list", ["meta/llama:8b", "poem"])
        assert asking.get("/v1/models/meta%2Fllama:8b").json == listed["data"][0]
        assert asking.get("/v1/models/poem").json["object"] == "model"


def test_one_user_has_only_so_many_at_once(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/endless"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock", max_readers_per_user=1)) as asking:
        with asking.post(PATH, json={**HELLO, "stream": True}, buffered=False):
            refused = asking.post(PATH, json=HELLO)
        assert (refused.status_code, error(refused)["code"]) == (429, "too_many_readers")
        assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize("headers", [{}, {"Talkabout-Durable": "true"}])
def test_a_server_that_writes_on_is_told_to_give_up(
    upstream_server: MisbehavingServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    url = f"{upstream_server.url}/xinference"
    with client(Settings(data_dir=tmp_path, upstream_url=url, abandon_after_s=0.1)) as asking:
        asking.get("/v1/models")
        with asking.post(PATH, json={**HELLO, "stream": True}, headers=headers, buffered=False) as response:
            next(response.response)
        path = f"/xinference/v1/models/mock/requests/{upstream_server.completions[0].json['request_id']}/abort"
        until(lambda: path in [request.path for request in upstream_server.requests], "the server to be told")
