"""A conversation as its pages show it: prompts with their answers, and the other versions of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from answers.branches import Message, versions
from web.files import linked
from web.i18n import t
from web.services import services

MOST = 50  # exchanges on a page at first: a thousand would take a browser seconds

_STATES = {
    "running": "live.writing",
    "stopped": "live.stopped",
    "interrupted": "live.interrupted",
    "failed": "live.failed",
}
_OF_THE_ANSWER = ("model", "usage", "ttft_ms", "tokens_per_s")


def begins(way: Sequence[Message], *wanted: str | None) -> int:
    """Tell the place in a branch where its page begins: the last exchanges are on it, and the messages `wanted`."""
    last = max(0, len(way) - 2 * MOST)
    return next((at - at % 2 for at in range(last) if way[at]["id"] in wanted), last)


def exchanges(conversation: str, messages: Sequence[Message], way: Sequence[Message]) -> list[dict[str, Any]]:
    """Show a branch of a conversation, each version with the address of its own branch."""
    below = versions(messages)

    def beside(message: Message) -> list[dict[str, Any]]:
        others = below[message["parent"]]
        return [{"id": id_, "url": f"/c/{conversation}?leaf={id_}", "current": id_ == message["id"]} for id_ in others]

    return [
        exchange(prompt, answer) | {"versions": {"prompts": beside(prompt), "answers": beside(answer)}}
        for prompt, answer in zip(way[::2], way[1::2], strict=True)
    ]


def exchange(prompt: Message, answer: Message) -> dict[str, Any]:
    """Show a prompt and its answer; one that is not complete with the number of the event that its text goes up to."""
    text, seq, state = answer, 0, answer["state"]
    row = services().store.answer(answer["id"]) if state != "complete" else None
    if row is not None:
        so_far = services().readers.so_far(row)
        text, seq = {"content": so_far.content, "reasoning": so_far.reasoning}, so_far.seq
    return {
        "id": answer["id"],
        "leaf": answer["id"],
        "asked": prompt["id"],
        "parent": prompt["parent"] or "",
        "question": prompt["content"],
        "files": [linked(file) for file in prompt["files"]],
        "answer": text["content"],
        "reasoning": text["reasoning"],
        "state": state,
        "seq": seq,
        "error": answer["error"],
        "words": t(_STATES[state]) if state in _STATES else "",
        "stop": answer["id"] if state == "running" else None,
        "unfinished": state not in ("complete", "running"),
        **{name: answer[name] for name in _OF_THE_ANSWER},
    }
