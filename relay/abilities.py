"""Which of a server's models take images, as its list of models says; OpenAI's own format has no word for it.

| server | in an item of the list |
|---|---|
| Xinference | `"model_ability": ["chat", "vision"]` |
| OpenRouter, llama.cpp's router, Hugging Face | `"architecture": {"input_modalities": ["text", "image"]}` |
| llama.cpp | `"capabilities": ["completion", "multimodal"]`, in a second list under `models` |
| LM Studio | `"type": "vlm"`, `"capabilities": {"vision": true}` |
| Mistral, GitHub | `"capabilities": {"vision": true}`, `{"supports": {"vision": true}}` |
| others | `"modalities"` or `"input_modalities"`, as a list or as `{"input": [...]}` |

Others say nothing (vLLM, Ollama, OpenAI itself): there the operator can, with TALKABOUT_IMAGE_MODELS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_WORDS = {"vision", "image", "images", "image_url", "multimodal"}
_PLACES = ("model_ability", "capabilities", "input_modalities", "modalities", "modality")
_WITHIN = ("input", "supports", "supported_input_types")


def takes_images(item: dict[str, Any]) -> bool:
    """Tell if a model's item in a list of models says that it takes images."""
    architecture = item.get("architecture")
    holders = [item, architecture] if isinstance(architecture, dict) else [item]
    said = {word for holder in holders for name in _PLACES for word in _words(holder.get(name))}
    return item.get("type") == "vlm" or not said.isdisjoint(_WORDS)


def _words(value: object) -> Iterator[str]:
    yield from _listed(value)
    if isinstance(value, dict):
        for name in _WITHIN:
            yield from _listed(value.get(name))


def _listed(value: object) -> Iterator[str]:
    """Give the words of a list, what is true of an object, or what goes into `text+image->text`."""
    if isinstance(value, str):
        yield from value.partition("->")[0].split("+")
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))
    elif isinstance(value, dict):
        yield from (name for name, is_so in value.items() if is_so is True)
