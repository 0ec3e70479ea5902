"""A real redis-server, started, killed, frozen and started again by tests."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.servers import free_port

START_S = 15.0
SLOTS = 16_384


class RedisServer:
    """`redis-server` on a free loopback port with its own folder; a context manager.

    With `persistent` each write is on the disk before it is answered, without it nothing survives the process. With
    `cluster` it is a Redis Cluster of one node, which refuses every command whose keys are not all in one slot. `tls`
    is the folder of its ca.pem, cert.pem and key.pem; it speaks TLS then, and nothing else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        cluster: bool = False,
        password: str = "",
        tls: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        self._folder = folder
        self._cluster = cluster
        self._options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        self._options += ["--appendonly", "yes" if persistent else "no", "--appendfsync", "always"]
        # Its bus would take the port + 10000, which may be beyond the last one.
        self._options += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())] if cluster else []
        self._options += ["--requirepass", password] if password else []
        if tls:
            self.url = self.url.replace("redis://", "rediss://").replace("127.0.0.1", "localhost")
            self.url += f"?ssl_ca_certs={tls / 'ca.pem'}"
            self._options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            for option, name in (("ca-cert", "ca"), ("cert", "cert"), ("key", "key")):
                self._options += [f"--tls-{option}-file", str(tls / f"{name}.pem")]

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server and wait until it takes commands."""
        program = shutil.which("redis-server")
        assert program, "redis-server is missing; see `scripts/setup.sh machine`"
        with (self._folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([program, *self._options], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"redis-server did not start:\n{(self._folder / 'redis.log').read_text()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server as `kill -9` does, frozen or not."""
        self.process.kill()
        self.process.wait(30)

    def restart(self) -> None:
        """Kill the server and start it again: without `persistent` it comes back empty."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let the server keep its connections and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on; what was sent to it meanwhile is done now."""
        self.process.send_signal(signal.SIGCONT)

    def clear(self) -> None:
        """Forget all that was written."""
        with self.client() as client:
            client.flushall()

    def client(self) -> Redis:
        """Return a client to look inside with; whoever takes it closes it."""
        return Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                client.ping()
                return not self._cluster or self._serves_all_slots(client)
            except RedisError:
                return False

    def _serves_all_slots(self, client: Redis) -> bool:
        info = client.execute_command("CLUSTER", "INFO")
        if b"cluster_slots_assigned:0" in info:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        return b"cluster_state:ok" in info
