"""A conversation as a Markdown document: the prompts and answers of its current branch, in order."""

from __future__ import annotations

from typing import Any

from answers.tree import branch


def as_markdown(title: str, messages: list[dict[str, Any]]) -> str:
    """Write the branch that ends in the newest message; texts stand as they are, since models write Markdown."""
    parts = [f"# {' '.join(title.split())}"]
    for message in branch(messages, messages[-1]["id"] if messages else None):
        who = "You" if message["role"] == "user" else message["model"]
        parts += [f"**{who}:**", message["content"]]
        if files := message.get("files"):
            parts += [f"Files: {', '.join(file['name'] for file in files)}"]
    return "\n\n".join(parts) + "\n"
