"""What Xinference, Ollama and vLLM send, and where it leads a request.

Xinference 4.1 was recorded; the other two are as their users' reports show them, since they do not run here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from relay.catalog import Catalog, UnknownModel
from relay.chat import Delta
from relay.completion import Completion
from relay.continuation import CONTINUE_FINAL_MESSAGE, NONE, PREFILL
from relay.entry import Entry
from relay.errors import UpstreamError, UpstreamFailed, UpstreamRefused
from relay.health import CLOSED
from relay.upstream import Upstream
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import BEHAVIOURS, LISTS, TEXT, Behaviour, model_list, normal, stream

XINFERENCE_MODEL = {
    "id": "smollm2-135m",
    "object": "model",
    "created": 0,
    "owned_by": "xinference",
    "model_type": "LLM",
    "address": "127.0.0.1:44085",
    "accelerators": [],
    "model_name": "smollm2-135m-local",
    "model_lang": ["en"],
    "model_ability": ["chat"],
    "model_description": "SmolLM2-135M-Instruct Q4_1",
    "model_format": "ggufv2",
    "model_size_in_billions": "0_135",
    "model_family": "gemma-3-1b-it",
    "quantization": "Q4_1",
    "multimodal_projector": None,
    "model_hub": "huggingface",
    "revision": None,
    "context_length": 4096,
    "strict_system_first": False,
    "model_engine": "llama.cpp",
    "replica": 1,
}
XINFERENCE_LIST = {
    "object": "list",
    "data": [
        XINFERENCE_MODEL,
        {**XINFERENCE_MODEL, "id": "hf", "model_format": "pytorch", "model_engine": "transformers"},
    ],
}
OLLAMA_LIST = {
    "object": "list",
    "data": [{"id": "qwen3:4b", "object": "model", "created": 1763800000, "owned_by": "library"}],
}
VLLM_MODEL = {
    "id": "Qwen/Qwen3-8B",
    "object": "model",
    "created": 1763800000,
    "owned_by": "vllm",
    "root": "/models/qwen3-8b",
    "parent": None,
    "max_model_len": 1024,
    "permission": [{"id": "modelperm-1", "object": "model_permission", "organization": "*", "group": None}],
}
VLLM_LIST = {
    "object": "list",
    "data": [VLLM_MODEL, {**VLLM_MODEL, "id": "sql-lora", "root": "/loras/sql", "parent": "Qwen/Qwen3-8B"}],
}

PATH = "/var/lib/xinference/cache/v2/smollm2-135m-local-ggufv2-0_135b-Q4_1/SmolLM2-135M-Instruct.Q4_1.gguf"
XINFERENCE_FAILED = "The chat completion request failed. Check the server logs for details."


def xinference_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1763800000,
        "model": PATH,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n".encode()


VLLM_CHUNK = (
    b'data: {"id":"chatcmpl-9245e877914d2424","object":"chat.completion.chunk","created":1795416339,'
    b'"model":"Qwen/Qwen3-8B","choices":[%b}\n\n'
)
VLLM_SAID = [
    VLLM_CHUNK % choice
    for choice in (
        b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],'
        b'"prompt_token_ids":null,"prompt_text":null',
        b'{"index":0,"delta":{"content":"I"},"logprobs":null,"finish_reason":null,"token_ids":null}]',
        b'{"index":0,"delta":{"content":"\'m"},"logprobs":null,"finish_reason":null,"token_ids":null}]',
    )
]
VLLM_ANSWER = [
    *VLLM_SAID,
    VLLM_CHUNK % b'{"index":0,"delta":{"content":" glad"},"logprobs":null,"finish_reason":"length","stop_reason":null,'
    b'"token_ids":null}]',
    VLLM_CHUNK % b'],"usage":{"prompt_tokens":32,"total_tokens":35,"completion_tokens":3},'
    b'"system_fingerprint":"vllm-0.32.0-ba06770d"',
    b"data: [DONE]\n\n",
]
XINFERENCE_ANSWER = [
    xinference_chunk({"role": "assistant", "content": None}),
    b": ping - 2026-11-22 11:54:43.374035+00:00\r\n\r\n",
    xinference_chunk({"content": "Silence é"}),
    xinference_chunk({"content": " 沉默"}),
    xinference_chunk({"content": ""}, "length"),
    b"data: [DONE]\r\n\r\n",
]


def whole(status: str, body: object, kind: str = "application/json") -> Behaviour:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return lambda x: x.whole(status, content, kind)


def vllm_error(code: int, kind: str, message: str) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


XINFERENCE_GONE = "[address=127.0.0.1:36217, pid=80] Model not found in the model list, uid: smollm2-135m. "
XINFERENCE_GONE_STILL = "Model not found in the model list, uid: smollm2-135m (cached, retry after 10.0s)"
OLLAMA_GONE = {"error": {"message": 'model "qwen3:4b" not found, try pulling it first', "type": "api_error"}}
VLLM_GONE_OLD = vllm_error(404, "NotFoundError", "The model `Qwen/Qwen3-8B` does not exist.")
VLLM_GONE = {
    "message": "The model `Qwen/Qwen3-8B` does not exist. Valid aliases: Qwen/Qwen3-4B.",
    "type": "NotFoundError",
    "param": "model",
    "code": 404,
}
VLLM_LONG_OLD = "This model's maximum context length is 4096 tokens. However, you requested 5120 tokens."
VLLM_LONG = {
    "message": "This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 input "
    "tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. "
    "(parameter=input_tokens, value=1025)",
    "type": "BadRequestError",
    "param": "input_tokens",
    "code": 400,
}
VLLM_DEAD = {
    "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "type": "InternalServerError",
    "param": None,
    "code": 500,
}

WIRES: dict[str, Behaviour] = {
    "xinference-answers": stream(*XINFERENCE_ANSWER),
    "xinference-unloaded": whole("404 Not Found", {"detail": XINFERENCE_GONE}),
    "xinference-unloaded-still": whole("404 Not Found", {"detail": XINFERENCE_GONE_STILL}),
    "xinference-no-images": whole("500 Internal Server Error", {"detail": XINFERENCE_FAILED}),
    "xinference-stopping": whole("500 Internal Server Error", {"detail": "Model is in stopping state"}),
    "xinference-overflow": stream(f'data: {{"error": "{XINFERENCE_FAILED}"}}\r\n\r\n'.encode()),
    "xinference-bad": whole("500 Internal Server Error", "Internal Server Error: 2 validation errors", "text/plain"),
    "ollama-unloaded": whole("404 Not Found", OLLAMA_GONE),
    "vllm-unloaded-old": whole("404 Not Found", VLLM_GONE_OLD),
    "vllm-unloaded": whole("404 Not Found", {"error": VLLM_GONE}),
    "vllm-long-old": whole("400 Bad Request", vllm_error(400, "BadRequestError", VLLM_LONG_OLD)),
    "vllm-long": whole("400 Bad Request", {"error": VLLM_LONG}),
    "vllm-answers": stream(*VLLM_ANSWER),
    "vllm-dies": stream(*VLLM_SAID, f'data: {json.dumps({"error": VLLM_DEAD})}\n\n'.encode(), b"data: [DONE]\n\n"),
    "vllm-dead": whole("500 Internal Server Error", {"error": VLLM_DEAD}),
}  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MisbehavingServer]:
    """Run a server whose paths behave as these do."""
    for name, behaviour in WIRES.items():
        monkeypatch.setitem(BEHAVIOURS, name, behaviour)
    for name, listed in (("xinference", XINFERENCE_LIST), ("ollama", OLLAMA_LIST), ("vllm", VLLM_LIST)):
        monkeypatch.setitem(BEHAVIOURS, name, normal)
        monkeypatch.setitem(LISTS, name, model_list(listed))
    with MisbehavingServer() as running:
        yield running


def entry(server: MisbehavingServer, path: str, *models: str, **more: Any) -> Entry:
    return Entry(Upstream(path, f"{server.url}/{path}", retries=0), models or None, **more)


def answer(catalog: Catalog, model: str) -> str:
    """Ask for a model as an answer's producer does, and give the text."""
    route, name = catalog.find(model)
    completion, said = Completion(1 << 20), list[Delta]()
    call = route.call(
        {"model": name, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "stream": True}
    )
    try:
        call.open()
        while not completion.done and call.read(lambda piece: bool(completion.feed(piece, said)) or completion.done):
            pass
        assert completion.is_whole
    finally:
        call.close()
    return "".join(delta.content for delta in said)


def refusal(catalog: Catalog, model: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        answer(catalog, model)
    return caught.value


def test_names_come_from_the_list_as_they_are(server: MisbehavingServer) -> None:
    entries = [entry(server, name) for name in ("xinference", "ollama", "vllm")]
    models = Catalog(entries)
    assert models.models() == ["smollm2-135m", "hf", "qwen3:4b", "Qwen/Qwen3-8B", "sql-lora"]
    ways = [each.continues(model) for each in entries for model in each.models()]
    assert ways == [PREFILL, NONE, PREFILL, CONTINUE_FINAL_MESSAGE, CONTINUE_FINAL_MESSAGE]
    for name in models.models():
        assert answer(models, name) == TEXT
    asked = [request.json["model"] for request in server.requests if request.path.endswith("completions")]
    assert asked == models.models()


def test_a_model_that_was_launched_since_the_last_list_is_found(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.entry._REMEMBER_ALIVE_S", 0.0)
    models = Catalog([entry(server, "xinference")])
    assert "launched" not in models.models()
    new = {"object": "list", "data": [{**XINFERENCE_MODEL, "id": "launched"}]}
    monkeypatch.setitem(LISTS, "xinference", model_list(new))
    assert answer(models, "launched") == TEXT
    with pytest.raises(UnknownModel):
        models.find("never launched")


def test_a_uid_with_odd_characters_is_asked_for_and_given_up_by_its_own_name(server: MisbehavingServer) -> None:
    xinference = entry(server, "xinference", aliases={"fast": "team/qwen:4b?"})
    xinference.models()
    route, name = Catalog([xinference]).find("fast")
    call = route.call({"model": name, "messages": [], "stream": True}, request_id="r/1")
    call.open()
    call.close()
    route.abort(name, "r/1")
    assert (server.requests[-2].json["model"], server.requests[-2].json["request_id"]) == ("team/qwen:4b?", "r/1")
    assert server.requests[-1].path == "/xinference/v1/models/team%2Fqwen%3A4b%3F/requests/r%2F1/abort"


def test_xinference_s_stream_is_read_in_spite_of_crlf_pings_and_the_path_in_it(server: MisbehavingServer) -> None:
    assert answer(Catalog([entry(server, "xinference-answers", "smollm2-135m")]), "smollm2-135m") == "Silence é 沉默"


def test_vllm_s_stream_is_read_to_the_word_that_comes_with_its_end(server: MisbehavingServer) -> None:
    assert answer(Catalog([entry(server, "vllm-answers", "m")]), "m") == "I'm glad"


@pytest.mark.parametrize(
    "path",
    [
        "xinference-unloaded",
        "xinference-unloaded-still",
        "xinference-no-images",
        "xinference-stopping",
        "xinference-bad",
        "ollama-unloaded",
        "vllm-unloaded-old",
        "vllm-unloaded",
        "vllm-dead",
    ],
)
def test_a_server_that_has_lost_its_model_is_passed_over(server: MisbehavingServer, path: str) -> None:
    lost, has = entry(server, path, "m:1/x"), entry(server, "normal", "m:1/x")
    assert answer(Catalog([lost, has]), "m:1/x") == TEXT
    assert lost.health.state == CLOSED  # it may have others


@pytest.mark.parametrize(
    "path",
    ["xinference-unloaded", "xinference-unloaded-still", "ollama-unloaded", "vllm-unloaded", "vllm-unloaded-old"],
)
def test_a_model_that_is_nowhere_is_told_without_what_the_server_says(server: MisbehavingServer, path: str) -> None:
    error = refusal(Catalog([entry(server, path, "m")]), "m")
    assert error.public == "The model server refused the request (status 404)."
    assert not error.retriable and "address" not in str(error)


@pytest.mark.parametrize("path", ["vllm-long", "vllm-long-old"])
def test_a_prompt_that_vllm_finds_too_long_goes_nowhere_else(server: MisbehavingServer, path: str) -> None:
    error = refusal(Catalog([entry(server, path, "m"), entry(server, "normal", "m")]), "m")
    assert isinstance(error, UpstreamRefused) and error.public == "The prompt is longer than the model can take."
    assert len(server.completions) == 1


@pytest.mark.parametrize(("path", "said"), [("xinference-overflow", XINFERENCE_FAILED), ("vllm-dies", "EngineCore")])
def test_an_error_in_an_event_fails_the_answer_whatever_its_shape(
    server: MisbehavingServer, path: str, said: str
) -> None:
    error = refusal(Catalog([entry(server, path, "m"), entry(server, "normal", "m")]), "m")
    assert isinstance(error, UpstreamFailed) and said in str(error)
    assert error.public == "The model server reported an error."
    assert len(server.completions) == 1
