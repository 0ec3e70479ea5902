"""What makes spans, imported only where traces are wanted: by the master first, so that all its workers share it."""

from __future__ import annotations

import importlib
from typing import Any

from relay.errors import SettingError
from relay.settings import Settings
from relay.trace_settings import ENDPOINT, OF_TRACES


def tracer(settings: Settings) -> Any:
    """Give the class of web/otel.py, or None where no traces are wanted. Raises SettingError if it cannot be had."""
    if not settings.traces_url:
        return None
    try:
        return importlib.import_module("web.otel").Traces
    except ImportError as exc:
        name = OF_TRACES if settings.otel_traces_endpoint else ENDPOINT
        raise SettingError(f"{name}: traces need the packages of requirements-traces.txt, got no {exc.name}") from exc
