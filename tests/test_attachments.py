"""What a model is given of files, what they cost, and which models take images."""

from __future__ import annotations

import pytest

from relay.abilities import takes_images
from relay.attachments import Attached, estimate, joined, with_files
from relay.replies import model_list

NOTES = Attached("notes.md", "text/markdown", "# Notes", None)
CAT = Attached("cat.png", "image/png", None, b"cat")
CAT_URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,Y2F0"}}


def test_texts_stand_named_before_the_question() -> None:
    csv = Attached("a.csv", "text/csv", "x,y", None)
    assert with_files("Why?", [NOTES, csv]) == "File: notes.md\n```\n# Notes\n```\n\nFile: a.csv\n```\nx,y\n```\n\nWhy?"


@pytest.mark.parametrize(("text", "fence"), [("a `b` ``", "```"), ("```js\n```", "````"), ("x `````` y", "```````")])
def test_nothing_in_a_text_can_close_its_fence(text: str, fence: str) -> None:
    assert with_files("?", [NOTES._replace(text=text)]) == f"File: notes.md\n{fence}\n{text}\n{fence}\n\n?"


def test_an_image_goes_along_as_a_part() -> None:
    said = "File: notes.md\n```\n# Notes\n```\n\nImage: cat.png\n\nWhat is it?"
    assert with_files("What is it?", [NOTES, CAT]) == [CAT_URL, {"type": "text", "text": said}]


def test_a_model_that_sees_nothing_is_told_that_there_was_an_image() -> None:
    assert with_files("What?", [CAT._replace(data=None)]) == "Image: cat.png (not shown to this model)\n\nWhat?"


def test_messages_are_joined_whatever_they_consist_of() -> None:
    part = {"type": "text", "text": "a"}
    assert joined("a", "b") == "a\n\nb"
    assert joined("a", [CAT_URL]) == [part, CAT_URL] and joined([CAT_URL], "a") == [CAT_URL, part]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("four", 1), ("fours", 2), ("日出西邊雨", 5), ("かな 한국", 5), ("a 雨", 2), ("🏔️", 2)],
)
def test_tokens_are_estimated(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


SEEING = {
    "Xinference": {"id": "m", "model_type": "LLM", "model_ability": ["chat", "vision"], "owned_by": "xinference"},
    "OpenRouter": {"id": "m", "architecture": {"modality": "text+image->text", "input_modalities": ["text", "image"]}},
    "OpenRouter, once": {"id": "m", "architecture": {"modality": "text+image->text", "tokenizer": "GPT"}},
    "LM Studio": {"id": "m", "object": "model", "type": "vlm", "publisher": "x", "state": "loaded"},
    "LM Studio, v1": {"key": "m", "type": "llm", "capabilities": {"vision": True, "trained_for_tool_use": True}},
    "Mistral": {"id": "m", "capabilities": {"completion_chat": True, "vision": True}},
    "GitHub": {"id": "m", "capabilities": {"type": "chat", "supports": {"vision": True}}},
    "Ollama": {"model": "m", "capabilities": ["completion", "vision", "tools"]},
    "VLM Run": {"id": "m", "capabilities": {"supported_input_types": ["text", "image_url"]}},
    "others": {"id": "m", "modalities": {"input": ["text", "image"], "output": ["text"]}},
}
BLIND = [
    {"id": "m", "object": "model", "owned_by": "vllm", "max_model_len": 4096},
    {"id": "m", "model_type": "LLM", "model_ability": ["chat", "tools"]},
    {"id": "m", "model_type": "image", "model_ability": ["text2image"]},
    {
        "id": "m",
        "architecture": {"modality": "text->image", "input_modalities": ["text"], "output_modalities": ["image"]},
    },
    {"id": "m", "type": "llm", "capabilities": {"vision": False, "completion_chat": True}},
    {"id": "m", "type": "image"},
    {"id": "m", "capabilities": 7, "architecture": ["image"], "modalities": {"input": {"image": {"image": True}}}},
    {"id": "m", "modalities": {"output": ["image"]}},
]


@pytest.mark.parametrize("server", SEEING)
def test_a_server_s_word_for_images_is_understood(server: str) -> None:
    assert takes_images(SEEING[server])


@pytest.mark.parametrize("item", BLIND)
def test_a_model_that_says_nothing_of_images_takes_none(item: dict[str, object]) -> None:
    assert not takes_images(item)


def test_llama_cpp_says_it_in_its_second_list() -> None:
    body = b"""{"models": [{"name": "qwen.gguf", "model": "qwen.gguf", "capabilities": ["completion", "multimodal"]}],
        "object": "list", "data": [{"id": "qwen.gguf", "owned_by": "llamacpp", "meta": {"n_vocab": 248320}}]}"""
    assert model_list(body) == (["qwen.gguf"], "llamacpp", {"qwen.gguf"}, {})
