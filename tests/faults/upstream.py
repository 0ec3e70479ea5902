"""A model server in a process of its own: recites one text, from where the assistant's beginning ends.

`python -m tests.faults.upstream PORT RECORD DELAY_MS`: every completion that is asked for adds its question, a line, to
the file RECORD, which outlives the process. An event goes out in two halves, so that most kills fall into one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "recital"
PIECE = 2  # characters a token
# Numbered, so that no two places are alike; ended by blanks, since the seam has to get those right.
TEXT = "".join(f"{line:02}. 床前明月光，疑是地上霜 🌙 line {line} of it all  \n" for line in range(1, 12))


class Recital(ThreadingHTTPServer):
    """The server; `delay_s` seconds a character."""

    request_queue_size = 128

    def __init__(self, port: int, record: str, delay_s: float) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.delay_s = delay_s


class Handler(BaseHTTPRequestHandler):
    """One request; a body ends with its connection, so that a kill looks like an end."""

    server: Recital

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the model; `owned_by` says that it can be continued."""
        models = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "talkabout"}]}
        self._begin("application/json")
        self.wfile.write(json.dumps(models).encode())

    def do_POST(self) -> None:
        """Recite."""
        messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        os.write(self.server.record, messages[0]["content"].encode() + b"\n")
        last = messages[-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        try:
            self._begin("text/event-stream")
            for half in _halves(TEXT.removeprefix(begun)):
                self.wfile.write(half)
                time.sleep(self.server.delay_s * PIECE / 2)
        except OSError:  # the client has gone
            self.close_connection = True

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()


def _halves(text: str) -> Iterator[bytes]:
    for at in range(0, len(text), PIECE):
        event = _event({"delta": {"content": text[at : at + PIECE]}, "finish_reason": None})
        middle = event.index(b'"content"') + len(b'"content": "') + 1  # inside a character, if it is not ASCII
        yield event[:middle]
        yield event[middle:]
    yield _event({"delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"object": "chat.completion.chunk", "model": MODEL, "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


if __name__ == "__main__":
    Recital(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000).serve_forever()
