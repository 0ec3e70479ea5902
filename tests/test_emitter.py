"""SseEmitter: the article's class, and every way in which its stream can end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from relay.emitter import SseEmitter
from relay.errors import (
    BadEventField,
    Draining,
    Overloaded,
    ReaderGone,
    ReaderTooSlow,
    StreamEnded,
    StreamTimeout,
    TalkaboutError,
)
from relay.sse import Decoder, Event


def events(emitter: SseEmitter) -> list[Event]:
    return Decoder().feed(b"".join(emitter.pipe))


def last_word(emitter: SseEmitter) -> dict[str, object]:
    event, data = (last := events(emitter)[-1]).event, json.loads(last.data)
    return {"event": event, "state": data["state"], **data["error"]}


def listened(emitter: SseEmitter) -> list[object]:
    """Register all three callbacks, the last first, and give the list of what they were called with."""
    calls: list[object] = []
    emitter.on_completion(lambda: calls.append("completion"))
    emitter.on_timeout(lambda: calls.append("timeout"))
    emitter.on_error(calls.append)
    return calls


def poem(emitter: SseEmitter) -> Callable[[], None]:
    def produce() -> None:
        for letter in "愛而不得":
            emitter.send(letter)
        emitter.send("stop")
        emitter.complete()

    return produce


def test_a_producer_in_a_thread_reaches_the_reader() -> None:
    emitter = SseEmitter()
    threading.Thread(target=poem(emitter)).start()
    assert [event.data for event in events(emitter)] == ["愛", "而", "不", "得", "stop"]


def test_an_event_goes_out_with_its_name_and_its_id() -> None:
    emitter = SseEmitter()
    emitter.send("a\nb", event="note", id="7")
    emitter.complete()
    assert events(emitter) == [Event("a\nb", "note", "7")]


def test_the_reconnection_time_stands_in_the_first_block_only() -> None:
    emitter = SseEmitter()
    emitter.send("1")
    emitter.send("2")
    emitter.complete()
    assert b"".join(emitter.pipe) == b"retry: 2000\ndata: 1\n\ndata: 2\n\n"


def test_a_refused_event_leaves_the_stream_as_it_was() -> None:
    emitter = SseEmitter()
    with pytest.raises(BadEventField):
        emitter.send("x", event="two\nlines")
    emitter.send("1")
    emitter.complete()
    assert b"".join(emitter.pipe) == b"retry: 2000\ndata: 1\n\n"


def test_silence_is_filled_with_comments() -> None:
    reader = iter(SseEmitter(heartbeat_s=0.01).pipe)
    assert next(reader) == b": ping\n"


def test_completion_calls_back_once() -> None:
    emitter = SseEmitter()
    calls = listened(emitter)
    emitter.complete()
    emitter.complete()
    emitter.complete_with_error(Overloaded())
    assert calls == ["completion"]


def test_nothing_can_be_sent_after_completion() -> None:
    emitter = SseEmitter()
    emitter.complete()
    with pytest.raises(StreamEnded):
        emitter.send("late")


def test_an_error_ends_the_stream_with_what_a_user_may_read() -> None:
    emitter = SseEmitter()
    emitter.send("1")
    emitter.complete_with_error(Overloaded("500 streams on 10.0.0.7"))
    assert last_word(emitter) == {
        "event": "done",
        "state": "failed",
        "message": Overloaded.public,
        "retriable": True,
    }


def test_a_foreign_error_is_logged_and_its_text_never_sent(caplog: pytest.LogCaptureFixture) -> None:
    emitter = SseEmitter()
    emitter.complete_with_error(ValueError("sk-secret"))
    sent = b"".join(emitter.pipe)
    assert b"secret" not in sent and TalkaboutError.public.encode() in sent
    assert sent.startswith(b"retry: 2000\nevent: done\n")
    assert "sk-secret" in caplog.text


def test_an_error_calls_back_with_it_and_completion_comes_last() -> None:
    emitter = SseEmitter()
    calls = listened(emitter)
    emitter.complete_with_error(error := Overloaded())
    assert calls == [error, "completion"]


def test_the_timeout_ends_the_stream_with_a_terminal_event() -> None:
    emitter = SseEmitter(timeout_s=0.05)
    calls = listened(emitter)
    emitter.send("1")
    assert last_word(emitter)["message"] == StreamTimeout.public
    assert calls == ["timeout", "completion"]
    with pytest.raises(StreamTimeout):
        emitter.send("late")


def test_a_gone_reader_stops_the_producer() -> None:
    emitter = SseEmitter()
    calls = listened(emitter)
    emitter.pipe.abandon(gone := ReaderGone())
    with pytest.raises(ReaderGone):
        emitter.send("to nobody")
    emitter.complete()
    assert calls == [gone, "completion"]


def test_a_reader_that_takes_nothing_stops_the_producer() -> None:
    emitter = SseEmitter(max_bytes=20, reader_timeout_s=0.02)
    calls = listened(emitter)
    emitter.send("1")
    with pytest.raises(ReaderTooSlow):
        emitter.send("2")
    assert [type(calls[0]), calls[1]] == [ReaderTooSlow, "completion"]


def test_a_reader_that_may_linger_gets_the_reason_as_terminal_event() -> None:
    emitter = SseEmitter()
    emitter.send("1")
    emitter.pipe.abandon(Draining(), linger_s=5)
    assert last_word(emitter)["message"] == Draining.public


def test_a_callback_that_raises_breaks_neither_the_stream_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    emitter = SseEmitter()
    emitter.on_error(lambda error: 1 / 0)
    calls = listened(emitter)
    emitter.complete_with_error(error := Overloaded())
    assert calls == [error, "completion"] and last_word(emitter)["retriable"] is True
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_callbacks_that_come_late_are_called_at_once() -> None:
    emitter = SseEmitter()
    emitter.complete_with_error(error := Overloaded())
    assert listened(emitter) == ["completion", error]
