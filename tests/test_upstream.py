from __future__ import annotations

import http.client
import inspect
import logging
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter

from relay import upstream as module
from relay.body import READ_BYTES
from relay.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamNotAStream,
    UpstreamRefused,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.upstream import Call, Timeouts, Upstream
from tests.calls import whole
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import MODEL, events

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
SOON_S = 2.0  # far above the milliseconds that it takes, far below every limit that could end it instead
KEY = "sk-secret-7531"


def make(server: MisbehavingServer, name: str, **more: Any) -> Upstream:
    return Upstream("test", f"{server.url}/{name}", **more)


def read(upstream: Upstream) -> bytes:
    return whole(upstream.call(BODY))


def refused(upstream: Upstream) -> UpstreamRefused:
    with pytest.raises(UpstreamRefused) as caught:
        read(upstream)
    return caught.value


class Reading(threading.Thread):
    """A call that is being read in another thread; `pieces` is what came, `error` how it ended."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__()
        self.call = upstream.call(BODY)
        self.pieces: list[bytes] = []
        self.error: UpstreamError | None = None
        self.some = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.call.open()
            for piece in self.call:
                self.pieces.append(piece)
                self.some.set()
        except UpstreamError as error:
            self.error = error
        finally:
            self.call.close()

    def stop(self) -> float:
        """Stop the call; give the seconds until its reader had noticed."""
        began = time.monotonic()
        self.call.stop()
        self.join(10)
        return time.monotonic() - began


# Reading


@pytest.mark.parametrize(
    "name", ["normal", "trickle", "cut-utf8", "close-delimited", "content-length", "gzip", "closing", "cookies"]
)
def test_every_framing_gives_the_same_bytes(upstream_server: MisbehavingServer, name: str) -> None:
    assert read(make(upstream_server, name)) == b"".join(events())


@pytest.mark.parametrize("name", ["normal", "content-length", "gzip"])
def test_a_connection_is_used_again_after_a_clean_end(upstream_server: MisbehavingServer, name: str) -> None:
    upstream = make(upstream_server, name)
    for _ in range(3):
        read(upstream)
    assert upstream_server.connections == 1


def test_bytes_come_as_they_arrive(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "silent").call(BODY)
    call.open()
    pieces = iter(call)
    first = b""
    while len(first) < len(b"".join(events()[:3])):
        first += next(pieces)
    upstream_server.release()
    assert first == b"".join(events()[:3])
    assert first + b"".join(pieces) == b"".join(events())


@pytest.mark.parametrize(
    "name", ["crlf", "comments", "error-string", "error-object", "finish-null", "usage-only", "empty"]
)
def test_what_the_bytes_mean_is_left_to_others(upstream_server: MisbehavingServer, name: str) -> None:
    assert isinstance(read(make(upstream_server, name)), bytes)


@pytest.mark.parametrize("name", ["cut-mid-chunk", "cut-content-length", "broken-gzip", "no-answer"])
def test_a_cut_that_the_framing_shows_is_a_broken_stream(upstream_server: MisbehavingServer, name: str) -> None:
    with pytest.raises(UpstreamBroken):
        read(make(upstream_server, name))


def test_a_reset_in_mid_body_is_a_broken_stream(upstream_server: MisbehavingServer) -> None:
    reading = Reading(make(upstream_server, "reset"))
    assert reading.some.wait(SOON_S)
    upstream_server.release()
    reading.join(10)
    assert isinstance(reading.error, UpstreamBroken)


@pytest.mark.parametrize("name", ["cut-clean", "cut-close-delimited"])
def test_a_cut_that_the_framing_hides_is_a_clean_end(upstream_server: MisbehavingServer, name: str) -> None:
    assert b"[DONE]" not in read(make(upstream_server, name))


def test_closing_early_closes_the_socket(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "endless").call(BODY)
    call.open()
    next(iter(call))
    call.close()
    assert upstream_server.wait_for_closed()


def test_a_never_ending_line_comes_in_bounded_pieces(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "never-ending-line").call(BODY)
    call.open()
    sizes = [len(piece) for piece, _ in zip(call, range(20), strict=False)]
    call.close()
    assert max(sizes) <= READ_BYTES


# The request


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "///"])
def test_a_base_may_end_as_it_likes(upstream_server: MisbehavingServer, end: str) -> None:
    read(Upstream("test", f"{upstream_server.url}/normal/deep/prefix{end}"))
    assert upstream_server.requests[0].path == "/normal/deep/prefix/v1/chat/completions"


def test_the_request_is_a_plain_json_post(upstream_server: MisbehavingServer) -> None:
    read(make(upstream_server, "normal", key=KEY))
    request = upstream_server.requests[0]
    assert (request.method, request.json) == ("POST", BODY)
    wanted = {"accept": "text/event-stream", "accept-encoding": "identity", "authorization": f"Bearer {KEY}"}
    assert wanted.items() <= request.headers.items()


def test_without_a_key_no_authorization_is_sent(upstream_server: MisbehavingServer) -> None:
    read(make(upstream_server, "normal"))
    assert "authorization" not in upstream_server.requests[0].headers


def test_cookies_are_not_kept(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "cookies")
    read(upstream)
    read(upstream)
    assert "cookie" not in upstream_server.requests[1].headers


def test_netrc_does_not_replace_the_key(
    upstream_server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    read(make(upstream_server, "normal", key=KEY))
    assert upstream_server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_proxies_of_the_environment_are_not_used(
    upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert read(make(upstream_server, "normal")) == b"".join(events())


def test_a_proxy_by_setting_is_used(upstream_server: MisbehavingServer) -> None:
    proxied = Upstream("test", "http://model.invalid/normal", proxy=upstream_server.url, retries=0)
    assert refused(proxied).status == 404
    assert upstream_server.requests[0].path == "http://model.invalid/normal/v1/chat/completions"


# Refusals


@pytest.mark.parametrize(
    ("name", "status"), [("401", 401), ("404", 404), ("500", 500), ("429-always", 429), ("redirect", 307)]
)
def test_another_status_is_a_refusal(upstream_server: MisbehavingServer, name: str, status: int) -> None:
    error = refused(make(upstream_server, name, retries=0))
    assert (error.status, error.retriable) == (status, status == 429)


@pytest.mark.parametrize("name", ["redirect", "endless-redirect"])
def test_a_redirect_is_not_followed(upstream_server: MisbehavingServer, name: str) -> None:
    refused(make(upstream_server, name, timeouts=Timeouts(first_byte=1, total=2)))
    assert len(upstream_server.requests) == 1


@pytest.mark.parametrize("name", ["too-long", "too-long-openai"])
def test_a_prompt_that_is_too_long_is_told_apart(upstream_server: MisbehavingServer, name: str) -> None:
    assert "longer than the model can take" in refused(make(upstream_server, name)).public


@pytest.mark.parametrize("name", ["endless-error", "silent-error"])
def test_the_body_of_an_error_is_bounded(
    upstream_server: MisbehavingServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORT_S", 0.2)
    assert refused(make(upstream_server, name)).status == 500
    assert upstream_server.wait_for_closed()


@pytest.mark.parametrize("name", ["html", "json"])
def test_a_200_that_is_no_event_stream_is_said_so(upstream_server: MisbehavingServer, name: str) -> None:
    with pytest.raises(UpstreamNotAStream, match="expected text/event-stream, got"):
        read(make(upstream_server, name))


# Trying again


@pytest.mark.parametrize("name", ["429", "503"])
def test_a_passing_refusal_is_tried_again(upstream_server: MisbehavingServer, name: str) -> None:
    assert read(make(upstream_server, name)) == b"".join(events())
    assert len(upstream_server.requests) == 2


def test_the_tries_are_counted(upstream_server: MisbehavingServer) -> None:
    assert refused(make(upstream_server, "429-always", retries=2)).status == 429
    assert len(upstream_server.requests) == 3


@pytest.mark.parametrize("name", ["429-long", "500", "401", "no-answer"])
def test_what_trying_again_does_not_help_is_asked_once(upstream_server: MisbehavingServer, name: str) -> None:
    with pytest.raises(UpstreamError):
        read(make(upstream_server, name))
    assert len(upstream_server.requests) == 1


def test_a_long_retry_after_is_told(upstream_server: MisbehavingServer) -> None:
    assert refused(make(upstream_server, "429-long")).retry_after == 60


def test_nothing_is_tried_again_once_a_byte_has_come(upstream_server: MisbehavingServer) -> None:
    with pytest.raises(UpstreamBroken):
        read(make(upstream_server, "cut-mid-chunk"))
    assert len(upstream_server.requests) == 1


@pytest.mark.parametrize("name", ["leaves", "drops-second"])
def test_a_kept_connection_that_the_server_has_closed_is_replaced(
    upstream_server: MisbehavingServer, name: str
) -> None:
    upstream = make(upstream_server, name, retries=0)
    assert read(upstream) == read(upstream) == b"".join(events())
    assert upstream_server.connections == 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(UpstreamUnreachable):
        read(Upstream("test", f"http://127.0.0.1:{free_port()}", retries=0))


def test_a_name_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(UpstreamUnreachable):
        read(Upstream("test", "http://no-such-host.invalid", retries=0))


def test_with_patience_a_server_may_come_up_late(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "503-always", retries=0, patience_s=30)
    reading = Reading(upstream)
    upstream_server.wait_for_requests(3)
    assert reading.stop() < SOON_S
    assert isinstance(reading.error, UpstreamStopped)


def test_patience_ends() -> None:
    upstream = Upstream("test", f"http://127.0.0.1:{free_port()}", retries=0, patience_s=0.3)
    began = time.monotonic()
    with pytest.raises(UpstreamUnreachable):
        read(upstream)
    assert time.monotonic() - began >= 0.25


# Limits


def timed_out(upstream: Upstream) -> str:
    with pytest.raises(UpstreamTimeout) as caught:
        read(upstream)
    return caught.value.limit


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("slow-headers", "first_byte"),
        ("trickled-headers", "first_byte"),
        ("slow-first-token", "first_byte"),
        ("endless-chunk-size", "first_byte"),
        ("silent", "idle"),
    ],
)
def test_a_limit_that_is_over_is_named(upstream_server: MisbehavingServer, name: str, limit: str) -> None:
    assert timed_out(make(upstream_server, name, timeouts=Timeouts(first_byte=0.3, idle=0.3))) == limit
    assert upstream_server.wait_for_closed()


@pytest.mark.parametrize("name", ["slow-headers", "trickled-headers", "silent", "endless", "endless-chunk-size"])
def test_nothing_evades_the_total(upstream_server: MisbehavingServer, name: str) -> None:
    assert timed_out(make(upstream_server, name, timeouts=Timeouts(total=0.3))) == "total"
    assert upstream_server.wait_for_closed()


def test_a_reader_that_takes_its_time_is_not_the_server_s_silence(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "normal", timeouts=Timeouts(idle=0.1)).call(BODY)
    call.open()
    pieces = iter(call)
    begun = next(pieces)
    time.sleep(0.2)
    assert begun + b"".join(pieces) == b"".join(events())


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Listen without ever answering, with so little room that further connections hang."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1]
        for filler in fillers:
            filler.close()


def test_a_connection_that_does_not_come_about_times_out(deaf_port: int) -> None:
    upstream = Upstream("test", f"http://127.0.0.1:{deaf_port}", timeouts=Timeouts(connect=0.3), retries=1)
    assert timed_out(upstream) == "connect"


def test_a_handshake_that_does_not_come_about_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        assert timed_out(Upstream("test", url, timeouts=Timeouts(connect=0.3), retries=0)) == "connect"


# Stopping


def stopped(reading: Reading) -> bool:
    return reading.stop() < SOON_S and isinstance(reading.error, UpstreamStopped)


@pytest.mark.parametrize(
    "name", ["slow-headers", "slow-first-token", "silent", "silent-error", "endless", "trickled-headers"]
)
def test_a_stop_closes_the_connection_wherever_it_is(upstream_server: MisbehavingServer, name: str) -> None:
    reading = Reading(make(upstream_server, name))
    upstream_server.wait_for_requests()
    if name in ("silent", "endless"):
        assert reading.some.wait(SOON_S)
    assert stopped(reading)
    assert upstream_server.wait_for_closed()


def test_a_stop_on_a_kept_connection_while_it_waits_for_headers(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "silent")
    upstream_server.release()
    read(upstream)
    upstream_server.released.clear()
    reading = Reading(upstream)
    upstream_server.wait_for_requests(2)
    assert stopped(reading)
    assert upstream_server.connections == 1


def test_a_stop_while_it_connects(deaf_port: int) -> None:
    reading = Reading(Upstream("test", f"http://127.0.0.1:{deaf_port}", timeouts=Timeouts(connect=60)))
    time.sleep(0.1)
    assert stopped(reading)


def test_a_stop_while_it_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reading = Reading(
            Upstream("test", f"https://127.0.0.1:{listener.getsockname()[1]}", timeouts=Timeouts(connect=60))
        )
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(1)
            assert stopped(reading)
            while accepted.recv(65_536):
                pass


class Resolver:
    """The resolver of names, made to wait."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        self._lookup = socket.getaddrinfo

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.set()
        self.answer.wait(30)
        return self._lookup(*args, **kwargs)


def test_a_stop_while_the_name_is_looked_up(
    upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    by_name = upstream_server.url.replace("127.0.0.1", "localhost")
    reading = Reading(Upstream("test", f"{by_name}/normal", timeouts=Timeouts(connect=60)))
    assert resolver.asked.wait(SOON_S)
    assert stopped(reading)
    resolver.answer.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "connect"]:
        thread.join(10)
    assert upstream_server.requests == []


def test_an_address_is_not_looked_up(upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert read(make(upstream_server, "normal"))
    assert not resolver.asked.is_set()


def test_a_stop_while_it_waits_to_try_again(
    upstream_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.retries.MAX_RETRY_AFTER_S", 100)
    reading = Reading(make(upstream_server, "429-long"))
    upstream_server.wait_for_requests()
    assert stopped(reading)


def test_a_stop_before_it_is_opened_sends_nothing(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "normal").call(BODY)
    call.stop()
    with pytest.raises(UpstreamStopped):
        call.open()
    assert upstream_server.connections == 0


def test_a_stop_after_the_end_leaves_the_connection_to_others(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "normal")
    call = upstream.call(BODY)
    call.open()
    list(call)
    call.stop()
    call.stop()
    read(upstream)
    assert upstream_server.connections == 1


def test_a_stop_between_two_reads_gives_nothing_more(upstream_server: MisbehavingServer) -> None:
    call = make(upstream_server, "endless").call(BODY)
    call.open()
    pieces = iter(call)
    next(pieces)
    call.stop()
    assert upstream_server.wait_for_closed()
    with pytest.raises(UpstreamStopped):
        next(pieces)
    call.close()


def test_a_stop_of_one_call_leaves_twenty_others_alone(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "silent")
    readings = [Reading(upstream) for _ in range(20)]
    assert all(reading.some.wait(10) for reading in readings)
    assert stopped(readings[7])
    assert len(upstream_server.wait_for_closed()) == 1
    upstream_server.release()
    for reading in readings:
        reading.join(10)
    assert [number for number, reading in enumerate(readings) if reading.error] == [7]


def test_stops_that_race_with_the_end_harm_no_other_call(upstream_server: MisbehavingServer) -> None:
    upstream = make(upstream_server, "normal")
    for turn in range(40):
        reading = Reading(upstream)
        time.sleep(turn * 0.00005)
        reading.call.stop()
        reading.join(10)
        assert reading.error is None or isinstance(reading.error, UpstreamStopped)
        assert read(upstream) == b"".join(events())


# TLS


def test_a_private_authority_is_trusted_by_setting(tls_upstream_server: MisbehavingServer, ca_file: str) -> None:
    upstream = make(tls_upstream_server, "normal", ca=ca_file)
    assert read(upstream) == read(upstream) == b"".join(events())
    assert tls_upstream_server.connections == 1


@pytest.mark.parametrize("name", ["slow-headers", "silent", "endless"])
def test_a_stop_reaches_through_tls(tls_upstream_server: MisbehavingServer, ca_file: str, name: str) -> None:
    reading = Reading(make(tls_upstream_server, name, ca=ca_file))
    tls_upstream_server.wait_for_requests()
    if name != "slow-headers":
        assert reading.some.wait(SOON_S)
    assert stopped(reading)
    assert tls_upstream_server.wait_for_closed()


def test_an_unknown_authority_is_unreachable(tls_upstream_server: MisbehavingServer) -> None:
    with pytest.raises(UpstreamUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        read(make(tls_upstream_server, "normal", retries=0))


def test_authorities_of_the_environment_are_not_trusted(
    tls_upstream_server: MisbehavingServer, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, ca_file)
    with pytest.raises(UpstreamUnreachable):
        read(make(tls_upstream_server, "normal", retries=0))


# Models


@pytest.mark.parametrize("name", ["normal", "list-llama", "list-bare", "list-odd"])
def test_models_are_listed_from_every_shape(upstream_server: MisbehavingServer, name: str) -> None:
    assert make(upstream_server, name).models() == [MODEL]


def test_a_list_of_models_may_be_another_s_or_empty(upstream_server: MisbehavingServer) -> None:
    assert make(upstream_server, "list-ollama").models() == ["mock:latest"]
    assert make(upstream_server, "list-empty").models() == []


@pytest.mark.parametrize("name", ["html", "json-text", "list-number", "list-endless"])
def test_what_is_no_list_of_models_is_said_so(upstream_server: MisbehavingServer, name: str) -> None:
    with pytest.raises(UpstreamNotAStream if name != "json-text" else UpstreamRefused):
        make(upstream_server, name).models()


def test_a_refused_list_of_models_is_a_refusal(upstream_server: MisbehavingServer) -> None:
    with pytest.raises(UpstreamRefused, match="401"):
        make(upstream_server, "401", key=KEY).models()


@pytest.mark.parametrize("name", ["slow-headers", "trickled-headers"])
def test_a_slow_list_of_models_is_given_up(
    upstream_server: MisbehavingServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORT_S", 0.2)
    with pytest.raises(UpstreamTimeout):
        make(upstream_server, name).models()


# Errors


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for sub in kind.__subclasses__():
        yield from subclasses(sub)


def raised_below() -> list[type[BaseException]]:
    """List every exception of the libraries between us and the wire, and those of the system."""
    modules = (requests.exceptions, urllib3.exceptions, http.client, ssl, socket)
    found = {
        kind for lib in modules for _, kind in inspect.getmembers(lib, inspect.isclass) if issubclass(kind, Exception)
    }
    found |= set(subclasses(requests.RequestException)) | set(subclasses(urllib3.exceptions.HTTPError))
    found |= set(subclasses(http.client.HTTPException)) | set(subclasses(OSError)) | {UnicodeError, ValueError}
    found = {kind for kind in found if not issubclass(kind, Warning) and not kind.__name__.startswith("_")}
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__name__}")


@pytest.mark.parametrize("kind", raised_below(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_foreign_exception_is_missed(kind: type[Exception]) -> None:
    # Their constructors want the oddest things; their class is all that matters.
    error = type(kind.__name__, (kind,), {"__init__": lambda _: None, "__str__": lambda _: "odd"})()
    for fail in (failing_to_send(error), failing_to_read(error)):
        with pytest.raises(UpstreamError) as caught:
            read(Upstream("test", "odd://server", adapter=fail, retries=0))
        assert caught.value.__cause__ is error


class Adapter(BaseAdapter):
    """Carry requests by a function."""

    def __init__(self, send: Callable[..., requests.Response]) -> None:
        super().__init__()
        self.send = send  # type: ignore[method-assign]


def failing_to_send(error: Exception) -> Adapter:
    def send(*_: object, **__: object) -> requests.Response:
        raise error

    return Adapter(send)


def failing_to_read(error: Exception) -> Adapter:
    class Body:
        closed = False

        def read1(self, _: int) -> bytes:
            raise error

        read = read1

        def close(self) -> None:
            pass

    class Raw(urllib3.HTTPResponse):
        def read1(self, *_: object, **__: object) -> bytes:
            raise error

    def send(*_: object, **__: object) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response.headers["Content-Type"] = "text/event-stream"
        response.raw = Raw(Body(), preload_content=False)
        return response

    return Adapter(send)


@pytest.mark.parametrize("name", ["401", "no-answer", "html", "cut-mid-chunk", "slow-headers"])
def test_the_key_is_in_no_error_no_log_and_no_repr(
    upstream_server: MisbehavingServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream = make(upstream_server, name, key=KEY, timeouts=Timeouts(first_byte=0.2))
    with pytest.raises(UpstreamError) as caught:
        read(upstream)
    told = "".join(traceback.format_exception(caught.value)) + caught.value.public
    assert KEY not in told + caplog.text + repr(upstream) + repr(upstream.call(BODY)) + str(vars(upstream))


def test_a_call_that_is_not_open_cannot_be_read(upstream_server: MisbehavingServer) -> None:
    call: Call = make(upstream_server, "normal").call(BODY)
    call.close()
    with pytest.raises(RuntimeError):
        next(iter(call))
