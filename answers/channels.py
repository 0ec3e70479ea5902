"""Channels: each user's own event stream, kept in the journal, so that a reader can come back for what it missed."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
import uuid
from collections.abc import Callable

from answers.follow import Follower
from answers.journal import Journal, News
from relay.emitter import terminal_data
from relay.errors import BadUserId, TalkaboutError
from relay.pipe import Pipe
from relay.settings import Settings
from relay.sse import RETRY_MS, encode

_CURSOR = re.compile(r"[0-9]{1,18}")


class Channels:
    """Publish to and follow the channels of all users; `tell` is the writer's."""

    def __init__(self, journal: Journal, follower: Follower, settings: Settings, tell: Callable[[News], bool]) -> None:
        self._journal = journal
        self._follower = follower
        self._keep = settings.channel_keep_events
        self._tell = tell
        self._told = map(f"{uuid.uuid4().hex}:{{}}".format, itertools.count())

    def publish(self, user: str, data_json: str, event: str | None = None) -> str:
        """Publish an event to a user's channel, on every worker, and return its id.

        Raises BadUserId, BadEventField for an event that no stream can carry, and JournalError.
        """
        return str(self._publish(_channel(user), _maker(data_json, event)))

    def tell(self, user: str, data_json: str, event: str) -> None:
        """Publish as `publish` does, but with what the writer commits next, and only then: no id, and no wait for it.

        Raises BadUserId and BadEventField, and JournalError where the writer takes nothing.
        """
        stream = _channel(user)
        make_block = _maker(data_json, event)
        if not self._tell(News(stream, make_block, self._keep, next(self._told))):
            self._publish(stream, make_block)

    def announce(self, stream: str, text: str) -> None:
        """Tell every listener of a stream a text, on every worker; no user can read or write there."""
        self._publish(stream, lambda _seq: text.encode())

    def subscribe(self, user: str, last_event_id: str | None) -> Pipe:
        """Follow a user's channel: `open`, what came after the id `last_event_id`, then everything as it comes.

        Who resumes gets its own id back with `open`. An id that cannot be honoured gets `reset` with the first seq that
        is still kept, and goes on from there. Who takes the pipe must abandon it when nobody reads it any more. Raises
        BadUserId, JournalError and Draining.
        """
        stream = _channel(user)
        kept_from, last = self._journal.bounds(stream)
        cursor = _cursor(last_event_id, last)
        # With the cursor as its id, a connection that is cut right behind `open` comes back for the same events.
        seq = last if cursor is None else max(cursor, 0)
        opening = encode(json.dumps({"user": user}), "open", str(seq), RETRY_MS)
        if cursor is not None and cursor < kept_from - 1:
            opening, seq = opening + _reset(kept_from - 1), kept_from - 1
        return self._follower.follow(stream, seq, opening, _reset, _farewell)

    def last(self, user: str) -> str:
        """Give the id of the last event of a user's channel, to resume from. Raises BadUserId and JournalError."""
        return str(self._journal.bounds(_channel(user))[1])

    def _publish(self, stream: str, make_block: Callable[[int], bytes]) -> int:
        seq = self._journal.publish(stream, make_block, self._keep)
        self._follower.look(stream)
        return seq


def _channel(user: str) -> str:
    """Name the journal's stream of a user's channel."""
    # What can be printed has none of either, and is told within a tenth of the time.
    has_controls = not user.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in user)
    if not 1 <= len(user) <= 128 or has_controls:
        raise BadUserId(f"expected 1 to 128 characters without control characters, got {user[:160]!r}")
    return f"channel:{user}"


def _maker(data_json: str, event: str | None) -> Callable[[int], bytes]:
    """Encode an event but for its id, which is known only when it is written; raises BadEventField here, not there."""
    lines = encode(data_json, event)[:-1]
    return lambda seq: b"%bid: %d\n\n" % (lines, seq)


def _cursor(last_event_id: str | None, last: int) -> int | None:
    """Return the seq that a reader has seen; None if it names none, -1 if it names one that never was."""
    if not last_event_id:
        return None
    seq = int(last_event_id) if _CURSOR.fullmatch(last_event_id) else -1
    return seq if seq <= last else -1


def _reset(upto: int) -> bytes:
    """Tell that nothing up to a seq is kept any more."""
    return encode(json.dumps({"from": upto + 1}), "reset", str(upto))


def _farewell(reason: TalkaboutError) -> bytes:
    """Tell why the channel ends; without an id, since only the reader knows how far it has got."""
    return encode(terminal_data("interrupted", reason), "done")
