"""The upstreams of one server, as its settings name them."""

from __future__ import annotations

import math
from typing import Any

from relay import demo_model, embedded_model
from relay.catalog import Catalog
from relay.continuation import PREFILL
from relay.entry import Entry
from relay.gate import Gate
from relay.settings import Settings
from relay.upstream import Timeouts, Upstream

EMBEDDED_PATIENCE_S = 30.0


def catalog(settings: Settings, embedded_url: str, configured: dict[str, dict[str, Any]]) -> Catalog:
    """List the upstreams: the configured ones or else the embedded model, and the poem, which is always there.

    `configured` is what relay.upstream_file has read.
    """
    entries = [_entry(name, given, settings) for name, given in configured.items()]
    timeouts = _timeouts({}, settings)
    if embedded_url:
        embedded = Upstream(
            "embedded", embedded_url, timeouts=timeouts, patience_s=EMBEDDED_PATIENCE_S, continues=PREFILL
        )
        entries.append(Entry(embedded, (embedded_model.MODEL,)))
    recital = demo_model.DemoModel(settings.poem_delay_ms / 1000)
    poem = Upstream("poem", demo_model.BASE_URL, timeouts=timeouts, continues=PREFILL, adapter=recital)
    entries.append(Entry(poem, (demo_model.MODEL,), spare=True))
    return Catalog(entries, settings.model, Gate(settings.upstream_queue, settings.upstream_queue_wait_s))


def _entry(name: str, given: dict[str, Any], settings: Settings) -> Entry:
    upstream = Upstream(
        name,
        given["url"],
        key=given.get("key", ""),
        timeouts=_timeouts(given, settings),
        retries=settings.upstream_retries,
        proxy=given.get("proxy", ""),
        ca=given.get("ca", ""),
        continues=given.get("continues", "auto"),
    )
    most = given.get("max_concurrent")
    return Entry(
        upstream,
        tuple(given["models"]) if "models" in given else None,
        given.get("aliases", {}),
        frozenset(given.get("image_models", settings.image_models.split())),
        given.get("weight", 1.0),
        math.ceil(most / settings.web_concurrency) if most else math.inf,  # each worker counts for itself
        given.get("context", 0),
    )


def _timeouts(given: dict[str, Any], settings: Settings) -> Timeouts:
    names = ("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s", "total_timeout_s")
    return Timeouts(*(given.get(name, getattr(settings, name)) for name in names))
