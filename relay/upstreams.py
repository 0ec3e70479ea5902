"""The upstreams of one server, as its settings name them."""

from __future__ import annotations

from relay import demo_model, embedded_model
from relay.catalog import Catalog, Entry
from relay.continuation import PREFILL
from relay.settings import Settings
from relay.upstream import Timeouts, Upstream

EMBEDDED_PATIENCE_S = 30.0


def catalog(settings: Settings, embedded_url: str) -> Catalog:
    """List the upstreams: the configured one or else the embedded model, and the poem, which is always there."""
    timeouts = Timeouts(
        settings.connect_timeout_s, settings.first_byte_timeout_s, settings.idle_timeout_s, settings.total_timeout_s
    )
    entries = []
    if settings.upstream_url:
        configured = Upstream(
            "upstream",
            settings.upstream_url,
            key=settings.upstream_key,
            timeouts=timeouts,
            retries=settings.upstream_retries,
            proxy=settings.upstream_proxy,
            ca=settings.upstream_ca,
            continues=settings.upstream_continues,
        )
        entries.append(Entry(configured))
    if embedded_url:
        embedded = Upstream(
            "embedded", embedded_url, timeouts=timeouts, patience_s=EMBEDDED_PATIENCE_S, continues=PREFILL
        )
        entries.append(Entry(embedded, (embedded_model.MODEL,)))
    recital = demo_model.DemoModel(settings.poem_delay_ms / 1000)
    poem = Upstream("poem", demo_model.BASE_URL, timeouts=timeouts, continues=PREFILL, adapter=recital)
    entries.append(Entry(poem, (demo_model.MODEL,)))
    return Catalog(entries, settings.model, settings.image_models)
