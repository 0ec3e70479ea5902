"""The relay that every tutorial shows: Flask, requests, iter_lines, a yield for each line."""

import os
from collections.abc import Iterator

import requests
from flask import Flask, Response, request, stream_with_context

app = Flask(__name__)


@app.post("/v1/chat/completions")
def completions() -> Response:
    """Ask the model server the same, and pass its lines on."""
    asked = request.get_json()

    def lines() -> Iterator[str]:
        with requests.post(f"{os.environ['UPSTREAM']}/v1/chat/completions", json=asked, stream=True) as answer:
            for line in answer.iter_lines():
                if line:
                    yield line.decode() + "\n\n"

    return Response(stream_with_context(lines()), mimetype="text/event-stream")
