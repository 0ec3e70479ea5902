"""A collector of OpenTelemetry's traces in a thread: it takes OTLP over HTTP, and reads the spans out of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

KINDS = {1: "internal", 2: "server", 3: "client"}
ERROR = 2


@dataclass
class Span:
    """What one span says, ids as W3C Trace Context writes them; `who` are the attributes of whoever sent it."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    facts: dict[str, Any]
    events: list[str]
    failed: bool
    seconds: float
    who: dict[str, Any] = field(repr=False)


class Collector:
    """Take traces at `url`; `status` is what it answers, unless it `hangs`."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.hangs = False
        self.asked = threading.Event()
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Collector:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, trace: str) -> list[Span]:
        """List the spans of one trace, by when they ended."""
        return [span for span in self.spans if span.trace == trace]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Take what somebody sends; say with which status that is answered."""
        self.asked.set()
        if self.hangs:
            self._stopping.wait()
        if path != "/v1/traces" or headers.get("content-type") != "application/x-protobuf":
            return 404
        self.bodies.append(body)
        self.headers.append(headers)
        self.spans += _read(body)
        return self.status


def _read(body: bytes) -> list[Span]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        _span(span, _facts(each.resource.attributes))
        for each in message.resource_spans
        for scope in each.scope_spans
        for span in scope.spans
    ]


def _span(span: Any, who: dict[str, Any]) -> Span:
    return Span(
        span.name,
        KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _facts(span.attributes),
        [event.name for event in span.events],
        span.status.code == ERROR,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        who,
    )


def _facts(pairs: list[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(collector.take(self.path, headers, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
