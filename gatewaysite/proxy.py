"""The proxy process: uvicorn's supervisor with our own protocol class in every worker.

uvicorn brings sockets, TLS, workers and signals; ``Http1Protocol`` speaks, ``Gateway`` knows
the rest. The supervisor is used for a single worker too, so that SIGHUP replaces it and a
crash brings it back.
"""

import os
import signal
import socket
import ssl
from collections.abc import Callable

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Multiprocess

from apis.gateway.http1 import Http1Protocol
from gatewaysite import metrics
from gatewaysite.environment import Environment
from gatewaysite.serve import UNUSABLE

BACKLOG = 2048
_WORKER_START = 30  # seconds a worker has for its start before it counts as hung


class _Workers(Multiprocess):
    """uvicorn's supervisor; a stop is passed on at once, also while workers are being replaced."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self.should_exit.set()
        for process in self.processes:
            if process.exitcode is None and process.pid is not None:
                os.kill(process.pid, signal.SIGTERM)

    @property
    def failed(self) -> bool:
        """Whether a worker could not be started at all; it has said why."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)


def run(environment: Environment) -> int:
    """Serve until SIGTERM; returns the exit code."""
    config = server_config(environment)
    try:
        listener = bind(config.host, config.port)
    except OSError as error:
        address = environment.proxy_bind
        print(f"GATEHOUSE_PROXY_BIND: cannot listen on {address}: {error.strerror}", flush=True)
        return UNUSABLE
    metrics.begin(environment.data_dir)
    workers = _Workers(config, [listener])
    workers.run()
    return UNUSABLE if workers.failed else 0


def server_config(environment: Environment) -> Config:
    """uvicorn's settings for the public listener."""
    host, _, port = environment.proxy_bind.rpartition(":")
    secure = environment.tls_cert is not None
    return Config(
        app="gatewaysite.proxy_worker:create",
        factory=True,
        interface="asgi3",
        host=host.strip("[]"),
        port=int(port),
        http=Http1Protocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        backlog=BACKLOG,
        workers=environment.worker_count,
        timeout_graceful_shutdown=environment.drain_timeout,
        timeout_worker_healthcheck=_WORKER_START,
        ssl_certfile=environment.tls_cert,
        ssl_keyfile=environment.tls_key,
        ssl_ca_certs=environment.tls_client_ca,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if environment.tls_client_ca else ssl.CERT_NONE,
        ssl_context_factory=tls_context if secure else None,
    )


def tls_context(config: Config, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 or later, HTTP/1.1 only (RFC 7301)."""
    context = make()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that every worker inherits; they listen on it. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener
