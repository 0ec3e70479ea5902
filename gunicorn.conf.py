"""How gunicorn runs talkabout: `gunicorn -c gunicorn.conf.py wsgi:app`. docs/operating.md explains the values."""

from gevent import get_hub, monkey

monkey.patch_all()

import json
import os
import resource
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from typing import Any

from gunicorn import glogging

from answers.migrate import migrate
from relay import embedded_model
from relay.errors import DatabaseError, SettingError
from relay.settings import load, prepare_data_dir
from relay.upstream_file import configured, secrets_in
from web import logs, startup

try:
    settings = load()
    data_dir = prepare_data_dir(settings)
except SettingError as error:
    sys.exit(f"talkabout: {error}")

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "gevent"
reuse_port = True  # without it the kernel gives most connections to one worker
worker_connections = 2 * settings.max_streams + 1000  # the cap is ours, with a 503; past gunicorn's own, requests hang
timeout = 30
graceful_timeout = int(settings.drain_s) + 10
keepalive = 5  # 0 would lift the time limit on reading request headers
limit_request_line = 8190  # the most there is: a prompt may stand in a query
forwarder_headers = ""  # else a header SCRIPT_NAME or PATH_INFO, which proxies pass on, would move the pages
control_socket_disable = True  # one fixed path a user: a second server would take it over
max_requests = 0  # a worker that ends by count refuses connections while its streams run


class Logger(glogging.Logger):
    """gunicorn's words, written as all others are."""

    def setup(self, cfg: Any) -> None:
        """Take gunicorn's own handlers away."""
        super().setup(cfg)
        logs.take_over(self.error_log)


logs.init(settings)
logger_class = Logger

metrics_dir = data_dir / "metrics"
metrics_dir.mkdir(exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_dir)  # read when prometheus_client is imported, so before that

from prometheus_client import Counter

from web import metric_files
from web.tracer import tracer


def _raise_descriptor_limit() -> None:
    """Let a worker have as many descriptors as its streams need: each has one to its client and one to its upstream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = worker_connections + settings.max_streams + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))


def on_starting(server: Any) -> None:
    """Prepare what all workers share, before the first is forked."""
    _refuse_taken_port()
    _raise_descriptor_limit()
    try:
        server.upstreams = configured(settings)
        logs.hide(secrets_in(server.upstreams))
        tracer(settings)
        migrate(settings)
    except (SettingError, DatabaseError) as error:
        sys.exit(f"talkabout: {error}")
    shutil.rmtree(metrics_dir, ignore_errors=True)
    metrics_dir.mkdir()
    server.exits = Counter("talkabout_worker_exits", "Workers that have ended, for whatever reason.")
    server.embedded = embedded_model.start(settings)
    if server.embedded:
        os.environ["_TALKABOUT_EMBEDDED_URL"] = server.embedded.base_url


def on_reload(server: Any) -> None:
    """Read the upstreams anew, and bring the database up to the code of the next workers.

    Upstreams that cannot be read stay as they were; while the database is not up, workers say that they are not ready.
    """
    try:
        server.upstreams = configured(settings)
        logs.hide(secrets_in(server.upstreams))
    except SettingError as error:
        server.log.error("the upstreams stay as they are: %s", error)
    try:
        migrate(settings)
    except DatabaseError as error:
        server.log.error("the database stays as it is: %s", error)
    # gunicorn opens a socket in the master when PORT has changed; with reuse_port nobody would accept there.
    for listener in server.LISTENERS:
        listener.close()
    server.LISTENERS = []


def _refuse_taken_port() -> None:
    """Stop if something listens there: with reuse_port the kernel would let two servers share the port in silence."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(f"talkabout: HOST and PORT: cannot listen on {bind}: {error.strerror}")


def when_ready(server: Any) -> None:
    """Say where the server listens and what it talks to."""
    startup.announce(settings, server.upstreams, server.embedded.base_url if server.embedded else "")


def post_fork(server: Any, worker: Any) -> None:
    """Let the worker import our modules anew: those that this file has imported would survive a reload by SIGHUP.

    The upstreams come from here, so that a file that was broken since keeps no worker from starting.
    """
    os.environ["_TALKABOUT_UPSTREAMS"] = json.dumps(server.upstreams)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("relay", "answers", "web", "app")]:
        del sys.modules[name]


def look_up_once(config: Any) -> None:
    """Keep gunicorn's settings as plain attributes: it reads 28 a request, by two calls each, and none changes."""
    settings, own = config.settings.items(), dir(config)
    config.__dict__ |= {name: setting.get() for name, setting in settings if name not in own}


def tell_failed_handshakes(worker: Any) -> None:
    """Log a TLS handshake that fails in one line: for gevent it is a traceback, and any port scan makes some."""
    hub = get_hub()
    tell_error = hub.handle_error

    def handle_error(context: Any, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, (ssl.SSLError, ConnectionError)):
            worker.log.info("a connection has failed: %s", error)
        else:
            tell_error(context, kind, error, trace)

    hub.handle_error = handle_error


def post_worker_init(worker: Any) -> None:
    """Drain the worker's streams as soon as it is told to end: gunicorn itself would only wait, then kill."""
    # A terminal's Ctrl-C reaches the workers too; the master's word is enough, and a second one leaves tracebacks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    look_up_once(worker.cfg)
    if worker.cfg.is_ssl:
        tell_failed_handshakes(worker)
    services = worker.wsgi.extensions["talkabout"]
    services.recovery.start()
    worker.wsgi.extensions["talkabout_report"].start()
    worker.leaving = threading.Event()

    def watch() -> None:
        # gunicorn goes on accepting for a second; whoever resumes must not meet the worker that has ended its stream.
        while worker.alive:
            time.sleep(0.1)
        services.recovery.retire()
        while not worker.leaving.is_set() and any(listener.fileno() != -1 for listener in worker.sockets):
            time.sleep(0.1)
        services.drain()

    worker.drain = threading.Thread(target=watch, daemon=True)
    worker.drain.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Wait until the worker has handed its answers over: gunicorn itself waits for connections alone."""
    if not worker.alive and hasattr(worker, "drain"):
        worker.leaving.set()  # at SIGINT and SIGQUIT it leaves with its listeners open
        worker.drain.join(graceful_timeout)
        worker.wsgi.extensions["talkabout_report"].end()
        if sent := worker.wsgi.extensions["talkabout_traces"]:
            sent.end()


def child_exit(server: Any, worker: Any) -> None:
    """Keep what a dead worker has counted, without its files."""
    try:
        server.exits.inc()
        metric_files.fold(metrics_dir, worker.pid)
    except Exception:  # whatever comes out here ends the master, and with it every stream
        server.log.exception("what worker %s has counted is lost", worker.pid)


def on_exit(server: Any) -> None:
    """Stop what was started."""
    if getattr(server, "embedded", None):
        server.embedded.stop()
