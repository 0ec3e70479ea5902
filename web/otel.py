"""Spans of OpenTelemetry, sent to a collector by OTLP over HTTP: the one module that imports it, and only where wanted.

A worker has its own, made after the fork: a thread of it sends what has ended, some spans at a time. Nobody waits for
that thread; what finds no room in its queue is lost.
"""

from __future__ import annotations

import logging
import platform
import threading
import uuid
from collections import deque
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from relay import spans
from relay.errors import TalkaboutError, UpstreamRefused, UpstreamStopped
from relay.request_id import Origin
from relay.settings import Settings
from relay.trace_settings import headers
from web.version import version

log = logging.getLogger(__name__)

LAST_S = 2.0  # what the spans of a worker that ends get to leave it

_MAX_CHARS = 256
_KINDS = {spans.SERVER: SpanKind.SERVER, spans.ANSWER: SpanKind.INTERNAL, spans.CALL: SpanKind.CLIENT}

# What OpenTelemetry's semantic conventions call what we tell; all else stands under `talkabout.`.
_NAMES = {
    "method": "http.request.method",
    "route": "http.route",
    "scheme": "url.scheme",
    "status": "http.response.status_code",
    "user": "enduser.pseudo.id",
    "model": "gen_ai.request.model",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}
_OF_CALLS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}  # whose wire all of them speak


class Traces:
    """Make spans, and send them; `end` when the worker does."""

    def __init__(self, settings: Settings) -> None:
        # What it says of its own names the collector's address, and repeats headers that it cannot read.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        exporter = OTLPSpanExporter(settings.traces_url, headers=headers(settings), timeout=settings.otel_timeout_s)
        provider = TracerProvider(
            _sampler(settings),
            _resource(settings),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=_MAX_CHARS),
        )
        self._sender = _Sender(exporter, settings)
        provider.add_span_processor(self._sender)
        self._tracer = provider.get_tracer("talkabout", version())

    def __call__(self, kind: str, name: str, origin: Origin, **facts: spans.Fact) -> _Span:
        """Begin a span under what `origin` says; a call's is named as the conventions want it."""
        said = _named(facts)
        if kind != spans.SERVER:
            said[_NAMES["model"]] = name
        if kind == spans.CALL:
            said |= _OF_CALLS
            name = f"chat {name}"
        begun = self._tracer.start_span(
            "answer" if kind == spans.ANSWER else name,
            _context(origin, kind == spans.SERVER),
            _KINDS[kind],
            said,
        )
        return _Span(begun, origin.id, kind)

    def end(self) -> None:
        """Send what is left, as long as that takes no time."""
        self._sender.end()


class _Span:
    """A span as the other rings know it (relay/spans.py)."""

    __slots__ = ("_kind", "_span", "origin")

    def __init__(self, span: OpenTelemetrySpan, request: str, kind: str) -> None:
        known = span.get_span_context()
        trace = f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"
        self.origin = Origin(request, trace)
        self._span = span
        self._kind = kind

    def note(self, event: str, **facts: spans.Fact | None) -> None:
        self._span.add_event(event)
        self.tell(**facts)

    def tell(self, **facts: spans.Fact | None) -> None:
        self._span.set_attributes(_named(facts))
        status = facts.get("status", 0)
        if self._kind == spans.SERVER and isinstance(status, int) and status >= 500:
            self._failed(str(status))

    def fail(self, error: TalkaboutError) -> None:
        """Say what went wrong, by its name alone; what was stopped by us has not failed."""
        if isinstance(error, UpstreamStopped):
            self._span.add_event("stopped")
            return
        if isinstance(error, UpstreamRefused):
            self._span.set_attribute(_NAMES["status"], error.status)
        self._failed(error.code)

    def end(self) -> None:
        self._span.end()

    def _failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


class _Sender(SpanProcessor):
    """Send what has ended, some spans at a time, from a thread; what finds no room is lost, and the log told of it.

    The library's own, BatchSpanProcessor, begins its thread anew in each child that this process forks. Under gevent
    that lets the child run this worker's greenlets, on its clients' sockets, before it becomes another program.
    """

    def __init__(self, exporter: OTLPSpanExporter, settings: Settings) -> None:
        self._exporter = exporter
        self._delay_s = settings.otel_delay_ms / 1000
        self._batch, self._most = settings.otel_batch, settings.otel_queue
        self._waiting: deque[ReadableSpan] = deque()
        self._lost = 0
        self._ended = False
        self._wakes = threading.Event()
        self._thread = threading.Thread(target=self._again_and_again, daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._waiting) >= self._most:
            self._lose(1)
            return
        self._waiting.append(span)
        if len(self._waiting) == self._batch:
            self._wakes.set()

    def end(self) -> None:
        """Send what is left, within LAST_S: nobody holds a worker up that is to end."""
        self._ended = True
        self._wakes.set()
        self._thread.join(LAST_S)

    def _again_and_again(self) -> None:
        while not self._ended:
            self._wakes.wait(self._delay_s)
            self._wakes.clear()
            while self._waiting:
                self._send([self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))])

    def _send(self, some: list[ReadableSpan]) -> None:
        try:
            taken = self._exporter.export(some) is SpanExportResult.SUCCESS
        except Exception:  # the edge of a thread: without it nothing would be sent any more
            log.exception("spans are not sent")
            taken = False
        if not taken:
            self._lose(len(some))
        elif self._lost:
            log.info("the collector takes traces again; %d spans are lost", self._lost)
            self._lost = 0

    def _lose(self, spans: int) -> None:
        if not self._lost:
            log.warning("the collector does not take traces in time; spans are lost")
        self._lost += spans


def _named(facts: Mapping[str, spans.Fact | None]) -> dict[str, spans.Fact]:
    """Name facts as the conventions do; what is not known is left out."""
    return {
        _NAMES.get(name, f"talkabout.{name}"): value
        for name, value in facts.items()
        if value is not None and value != ""
    }


def _context(origin: Origin, is_remote: bool) -> Context:
    if not origin.trace:
        return Context()
    _, trace, span, flags = origin.trace.split("-")
    parent = SpanContext(int(trace, 16), int(span, 16), is_remote, TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _sampler(settings: Settings) -> sampling.Sampler:
    kind = settings.otel_sampler.removeprefix("parentbased_")
    roots: dict[str, sampling.Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(settings.otel_sampler_arg),
    }
    root = roots[kind]
    return root if kind == settings.otel_sampler else sampling.ParentBased(root)


def _resource(settings: Settings) -> Resource:
    """Say who sends: this worker of this server, and what OTEL_RESOURCE_ATTRIBUTES adds."""
    ours = {
        "service.name": settings.otel_service_name,
        "service.version": version(),
        "service.instance.id": str(uuid.uuid4()),
        "process.runtime.version": platform.python_version(),
    }
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())
