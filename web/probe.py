"""A stream of known timing, with which `flask doctor` sees what stands between a client and this server."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from functools import partial

import orjson
from flask import Blueprint, Response, jsonify, request

from answers.journal import Journal
from relay.emitter import SseEmitter
from relay.errors import Draining, JournalError, ReaderError
from relay.loop import spawn
from relay.pipe import fill
from web.fields import FieldError
from web.services import services
from web.users import current_user

probe = Blueprint("probe", __name__)

EVENTS = 5
APART_S = 0.2
MAX_SILENCE_S = 120.0

_NOTES = "probes"  # the journal's stream of probes whose reader has gone
_NOTES_KEPT = 100
_KEY = re.compile(r"[0-9a-f]{16}")


@probe.get("/api/probe/<key>")
def stream(key: str) -> Response:
    """Send `open`, some events at known times, then nothing but heartbeats for `silence` seconds, then `done`."""
    if not _KEY.fullmatch(key):
        raise FieldError("key", "The key must be 16 hexadecimal digits.")
    here = services()
    silence_s = _silence()
    heartbeat_s = here.settings.heartbeat_s
    emitter = SseEmitter(heartbeat_s=heartbeat_s, timeout_s=silence_s + MAX_SILENCE_S)
    admitted = here.streams.admit(emitter.pipe, user=current_user())
    gone = threading.Event()
    emitter.on_completion(gone.set)
    emitter.on_error(lambda _error: spawn(partial(_note, here.journal, key)))
    facts = {"heartbeat_s": heartbeat_s, "protocol": request.environ.get("SERVER_PROTOCOL", "")}
    fill(emitter.pipe, partial(_speak, emitter, facts, gone, silence_s))
    return admitted.response()


@probe.get("/api/probe/<key>/gone")
def gone(key: str) -> Response:
    """Tell if the reader of a probe was seen to leave, by whatever worker had it."""
    journal = services().journal
    last = journal.bounds(_NOTES)[1]
    notes = [entry.block for entry in journal.read(_NOTES, max(0, last - _NOTES_KEPT), _NOTES_KEPT)]
    return jsonify(gone=key.encode() in notes)


def _silence() -> float:
    try:
        seconds = float(request.args.get("silence", "0"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SILENCE_S:
        raise FieldError("silence", f"The silence must be 0 to {MAX_SILENCE_S:g} seconds.")
    return seconds


def _speak(emitter: SseEmitter, facts: dict[str, object], gone: threading.Event, silence_s: float) -> None:
    with suppress(ReaderError, Draining):  # the emitter has ended by itself then
        emitter.send(orjson.dumps(facts).decode(), "open")
        began = time.monotonic()
        for number in range(EVENTS):
            gone.wait(began + number * APART_S - time.monotonic())
            emitter.send(orjson.dumps({"s": time.monotonic() - began}).decode())
        gone.wait(silence_s)
        emitter.send("{}", "done")
        emitter.complete()


def _note(journal: Journal, key: str) -> None:
    with suppress(JournalError):  # then the doctor says that nobody has noticed
        journal.publish(_NOTES, lambda _seq: key.encode(), _NOTES_KEPT)
