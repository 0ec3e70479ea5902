"""A model server in a process of its own that does what the question says: `python -m tests.attacks.model PORT`.

`flood` is answered with 4 MB, `wait` with nothing until the asker goes, and anything else is said again.
"""

from __future__ import annotations

import json
import re
import select
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "echo"
FLOOD = "".join(f"{number} {'x' * 990}\n" for number in range(4000))
GIVES_UP_S = 60.0


class Echo(ThreadingHTTPServer):
    """The server."""

    request_queue_size = 1024
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    """One request; a body ends with its connection."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the model."""
        self._begin("application/json")
        models = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "talkabout"}]}
        self.wfile.write(json.dumps(models).encode())

    def do_POST(self) -> None:
        """Answer the last message."""
        messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        begun = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
        asked = messages[-1]["content"]
        try:
            self._begin("text/event-stream")
            if asked == "wait":
                select.select([self.connection], [], [], GIVES_UP_S)
                return
            whole = FLOOD if asked == "flood" else asked
            for text in re.findall(".{1,1000}", whole.removeprefix(begun), re.DOTALL):
                self.wfile.write(_event({"delta": {"content": text}, "finish_reason": None}))
            self.wfile.write(_event({"delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n")
        except OSError:  # the client has gone
            self.close_connection = True

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"object": "chat.completion.chunk", "model": MODEL, "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


if __name__ == "__main__":
    Echo(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
