"""What stands beside each conversation in the page: the user's other ones."""

from __future__ import annotations

from typing import Any

from answers.conversations import Conversation
from web.news import as_json
from web.services import services
from web.users import current_user


def beside(here: Conversation | None = None) -> dict[str, Any]:
    """Make what a page shows beside a conversation, or beside none: `sidebar`, the open one as `here`, and `user`."""
    user, conversations = current_user(), services().store.conversations
    pinned, others = (conversations.list_(user, pinned=each) for each in (True, False))
    sidebar = {
        "pinned": [_linked(each) for each in pinned.conversations],
        "others": [_linked(each) for each in others.conversations],
        "more": others.before is not None,
        "before": others.before,
    }
    return {"sidebar": sidebar, "here": _linked(here) if here else None, "user": user}


def _linked(conversation: Conversation) -> dict[str, Any]:
    return {**as_json(conversation), "url": f"/c/{conversation.id}"}
