"""Going on from a text that a model has begun: how each kind of model server is asked, and a seam without a fault.

A server that knows neither way would begin anew, so that what it says could not be joined; it is not asked.
"""

from __future__ import annotations

from typing import Any

PREFILL = "prefill"  # llama.cpp, Ollama, the poem: a last message of the assistant is gone on with
CONTINUE_FINAL_MESSAGE = "continue_final_message"  # vLLM: the same, if it is told so
NONE = "none"
STYLES = ("auto", PREFILL, CONTINUE_FINAL_MESSAGE, NONE)

# Who says in its list of models that it owns them, and what it understands.
_BY_OWNER = {"llamacpp": PREFILL, "library": PREFILL, "talkabout": PREFILL, "vllm": CONTINUE_FINAL_MESSAGE}


# What Xinference says its models run on (`model_engine`); its others begin anew behind the begun text.
_BY_ENGINE = {"llama.cpp": PREFILL}


def style_of(owner: str, engine: str = "") -> str:
    """Tell how a model goes on, by the owner that its server names for its models (`owned_by`), or by its engine."""
    return _BY_ENGINE.get(engine) or _BY_OWNER.get(owner, NONE)


def continued(body: dict[str, Any], kept: str, style: str) -> dict[str, Any]:
    """Ask for the rest of a text that begins with `kept`; without a text it is the question itself."""
    begun = kept.rstrip()
    if not begun:
        return body
    more = {**body, "messages": [*body["messages"], {"role": "assistant", "content": begun}]}
    if style == CONTINUE_FINAL_MESSAGE:
        more |= {"continue_final_message": True, "add_generation_prompt": False}
    return more


class Seam:
    """Join what comes to the text that was kept.

    White space at the end of the kept text is not sent, since a model that is made to go on behind it loses its thread
    (a token begins with its blank). The model writes it again; what of it was shown already is dropped here.
    """

    def __init__(self, kept: str) -> None:
        self.left = kept[len(kept.rstrip()) :]  # what may still have to be dropped

    def join(self, text: str) -> str:
        """Return what of a piece of new text is to be shown."""
        while self.left and text:
            if text[0] != self.left[0]:
                self.left = ""
                break
            text, self.left = text[1:], self.left[1:]
        return text
