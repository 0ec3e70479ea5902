"""The settings of traces, under OpenTelemetry's own names, as rows of relay/settings.py; web/otel.py uses them.

Where nothing says that traces are to go anywhere, none of them is looked at: what is set for a whole machine or cluster
need not fit this server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from relay.errors import SettingError
from relay.setting_values import row

PREFIX = "OTEL_"
ENDPOINT, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SAMPLERS = ("always_on", "always_off", "traceidratio")
_DISABLED, _EXPORTER = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """Where traces go, and which."""

    otel_endpoint: str = row(
        "", "URL", "Send traces there, over HTTP ([seeing.md](seeing.md)); empty: none.", url=True, env=ENDPOINT
    )
    otel_traces_endpoint: str = row(
        "", "URL", "The same, as the whole address, which else ends in `/v1/traces`.", url=True, env=OF_TRACES
    )
    otel_headers: str = row(
        "",
        "secret",
        "What the collector is to be told: `name=value` pairs, separated by commas.",
        secret=True,
        env=_HEADERS,
    )
    otel_protocol: str = row(
        "http/protobuf", "way", "How they are sent.", choices=("http/protobuf",), env="OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    otel_timeout_s: float = row(
        10.0,
        "seconds",
        "How long that may take, as the Python library counts.",
        low=0.1,
        high=120,
        env="OTEL_EXPORTER_OTLP_TIMEOUT",
    )
    otel_exporter: str = row("otlp", "way", "`none`: no traces.", choices=("otlp", "none"), env=_EXPORTER)
    otel_disabled: str = row("false", "true/false", "`true`: no traces.", choices=("true", "false"), env=_DISABLED)
    otel_service_name: str = row("talkabout", "name", "What this server is called in traces.", env="OTEL_SERVICE_NAME")
    otel_sampler: str = row(
        "parentbased_always_on",
        "rule",
        "Which requests are traced.",
        choices=(*_SAMPLERS, *(f"parentbased_{name}" for name in _SAMPLERS)),
        env="OTEL_TRACES_SAMPLER",
    )
    otel_sampler_arg: float = row(
        1.0, "share", "How many, with a sampler by `traceidratio`.", low=0, high=1, env="OTEL_TRACES_SAMPLER_ARG"
    )
    otel_delay_ms: int = row(
        5000, "milliseconds", "How long a span waits to be sent.", low=10, high=600_000, env="OTEL_BSP_SCHEDULE_DELAY"
    )
    otel_batch: int = row(
        64,
        "spans",
        "How many are sent at once: streams stand still while they are written down.",
        low=1,
        high=10_000,
        env="OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    )
    otel_queue: int = row(
        2048, "spans", "How many may wait; more are lost.", low=1, high=1_000_000, env="OTEL_BSP_MAX_QUEUE_SIZE"
    )

    @property
    def traces_url(self) -> str:
        """The address that traces go to; empty for none."""
        base = self.otel_endpoint.rstrip("/")
        return self.otel_traces_endpoint or (base and f"{base}/v1/traces")


def as_far_as_used(found: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out what is set of traces where they go nowhere."""
    said = {name: found.get(name, "").strip().lower() for name in (ENDPOINT, OF_TRACES, _DISABLED, _EXPORTER)}
    if (said[ENDPOINT] or said[OF_TRACES]) and said[_DISABLED] != "true" and said[_EXPORTER] != "none":
        return found
    return {name: value for name, value in found.items() if not name.startswith(PREFIX)}


def check_traces(settings: TraceSettings) -> None:
    """Raise SettingError if what is set does not fit together."""
    headers(settings)
    if settings.otel_batch > settings.otel_queue:
        raise SettingError(
            f"OTEL_BSP_MAX_EXPORT_BATCH_SIZE: expected no more than OTEL_BSP_MAX_QUEUE_SIZE, got {settings.otel_batch}"
        )


def headers(settings: TraceSettings) -> dict[str, str]:
    """Read the headers for the collector. Raises SettingError if there is something else."""
    pairs = [pair.partition("=") for pair in settings.otel_headers.split(",") if pair.strip()]
    read = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    if not all(_HEADER_NAME.fullmatch(name) and value and value.isprintable() for name, value in read.items()):
        raise SettingError(f"{_HEADERS}: expected name=value pairs, separated by commas")
    return read
