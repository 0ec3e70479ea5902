"""`flask --app wsgi doctor URL`: say what stands in the way of streams, and the line that mends it; docs/seeing.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from flask import Flask

from relay.settings import Settings
from web.probing import NOTICED_WITHIN_S, NoProbe, Probing, Seen

PROXIES = ("nginx", "Caddy", "HAProxy", "Apache", "Cloudflare")

# One line each, in the order of PROXIES; of what a proxy never does, there is nothing to say.
_MENDS = {
    "buffers": (
        "proxy_buffering off;",
        "reverse_proxy … { flush_interval -1 }",
        "no option http-buffer-request, and no `filter compression`",
        "ProxyPass / http://127.0.0.1:8000/ flushpackets=on",
        "leave Cache-Control: no-transform and X-Accel-Buffering alone; for tunnels use a named one",
    ),
    "compresses": (
        "gzip off;",
        "encode { match { not header Content-Type text/event-stream* } }",
        "compression type text/html text/css application/javascript",
        "SetEnv no-gzip 1",
        "a Compression Rule that disables it for text/event-stream",
    ),
    "closes": (
        "proxy_read_timeout 75s;",
        "reverse_proxy … { transport http { read_timeout 75s } }",
        "timeout server 75s",
        "ProxyPass / http://127.0.0.1:8000/ timeout=75",
        "TALKABOUT_HEARTBEAT_S=10, since it closes after 100 s of silence",
    ),
    "ignores": (
        "proxy_ignore_client_abort off;",
        "",
        "option abortonclose",
        "TALKABOUT_HEARTBEAT_S=5, since it notices at its next write",
        "",
    ),
    "old": ("proxy_http_version 1.1;", "", "", "remove `SetEnv force-proxy-request-1.0 1`", ""),
}


class Finding(NamedTuple):
    """Hold one thing that was looked at; `fault` is a key of the lines that mend it, empty if all is well."""

    says: str
    fault: str = ""


def init_app(app: Flask, settings: Settings) -> None:
    """Add the command."""

    @app.cli.command("doctor")
    @click.argument("url")
    @click.option("--token-file", type=click.Path(exists=True, path_type=Path), help="Where a token stands.")
    @click.option("--silence", type=click.FloatRange(1, 120), help="Seconds without a token; else two heartbeats.")
    def doctor(url: str, token_file: Path | None, silence: float | None) -> None:
        """Stream through URL, the public address, and say which hop buffers, compresses, closes early or ignores."""
        token = token_file.read_text(encoding="utf-8").strip() if token_file else ""
        silence_s = silence or 2.2 * settings.heartbeat_s
        faults = _look(Probing(url, token), silence_s, url)
        if faults:
            _compare(settings, token, silence_s, url)
        raise SystemExit(1 if faults else 0)


def _look(probing: Probing, silence_s: float, title: str) -> list[str]:
    """Look at one address, and say what is found; the faults, or `no probe` alone."""
    click.echo(f"{title} (about {silence_s + 5:.0f} s)")
    try:
        seen = probing.watch(silence_s)
        found = [*judge(seen, silence_s), _leaving(probing.leave()), _version(probing.speaks())]
    except NoProbe as error:
        click.echo(f"  BAD  {error}")
        return ["no probe"]
    for finding in found:
        click.echo(f"  {'BAD ' if finding.fault else 'ok  '} {finding.says}")
        for line in mends(finding.fault, seen):
            click.echo(f"         {line}")
    return [finding.fault for finding in found if finding.fault]


def _compare(settings: Settings, token: str, silence_s: float, url: str) -> None:
    """Look at the server itself, where it runs on this machine: is it that, or what stands before it?"""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    direct = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    if url.rstrip("/") == direct:
        click.echo("That is the server itself: nothing stands before it.")
        return
    faults = _look(Probing(direct, token), silence_s, f"{direct}, without what stands before it")
    if not faults:
        click.echo("The server streams well: it is what stands before it.")


def judge(seen: Seen, silence_s: float) -> Iterator[Finding]:
    """Say what a probe has shown."""
    coding = seen.headers.get("content-encoding", "identity")
    yield Finding(f"compressed by {coding}", "compresses") if coding != "identity" else Finding("not compressed")
    yield _promptness(seen)
    yield _end(seen, silence_s)
    protocol = str(seen.facts.get("protocol", "HTTP/1.1"))
    yield Finding(f"the server is asked by {protocol}", "old" if protocol == "HTTP/1.0" else "")


def _promptness(seen: Seen) -> Finding:
    if len(seen.came) < 2:
        return Finding(f"{len(seen.came)} of the first events came", "buffers" if seen.whole else "")
    took, spread = seen.came[-1] - seen.came[0], seen.sent[-1] - seen.sent[0]
    if took < spread / 2:
        return Finding(f"buffered: what was sent within {spread:.2f} s came within {took:.2f} s", "buffers")
    late = max(came - sent for came, sent in zip(seen.came, seen.sent, strict=True)) - (seen.came[0] - seen.sent[0])
    return Finding(f"prompt: each event as it is sent, {max(late, 0) * 1000:.0f} ms late at most")


def _end(seen: Seen, silence_s: float) -> Finding:
    if not seen.whole:
        quiet = seen.over - seen.last
        return Finding(f"closed early, after {seen.over:.1f} s, {quiet:.1f} s of it silence at the end", "closes")
    heartbeat_s = float(str(seen.facts.get("heartbeat_s", silence_s)))
    due = int(silence_s / heartbeat_s)
    if due and not seen.pings:
        return Finding(f"none of {due} heartbeats came through", "buffers")
    return Finding(f"{silence_s:.0f} s of silence are survived, {seen.pings} heartbeats came through")


def _leaving(noticed_s: float | None) -> Finding:
    if noticed_s is None:
        return Finding(f"a client that leaves is not noticed within {NOTICED_WITHIN_S:.0f} s", "ignores")
    return Finding(f"a client that leaves is noticed within {noticed_s:.1f} s")


def _version(speaks: str) -> Finding:
    if speaks == "h2":
        return Finding("HTTP/2: all streams of a browser share one connection")
    return Finding("HTTP/1.1: a browser opens six streams at most; HTTP/2 at the proxy lifts that")


def mends(fault: str, seen: Seen) -> list[str]:
    """List the lines that mend a fault, for the proxy that says its name, else for each."""
    said = " ".join(seen.headers.get(name, "") for name in ("server", "via")).lower()
    named = {"Cloudflare"} if "cf-ray" in seen.headers else {name for name in PROXIES if name.lower() in said}
    lines = zip(PROXIES, _MENDS.get(fault, ()), strict=False)
    return [f"{name}: {line}" for name, line in lines if line and (not named or name in named)]
