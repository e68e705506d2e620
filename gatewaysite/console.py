"""The console process: two listeners, one event loop, one Django.

The console's own (``GATEHOUSE_CONSOLE_BIND``) serves the admin. The private one
(``GATEHOUSE_AUTH_BIND``) serves ``/auth`` to the proxy and nothing else (see
``gatewaysite.private``). Neither is ever served on h11: it reads messages that llhttp refuses,
so httptools is named, and its absence is an error at start.

The private listener is a Unix socket with mode 0600 by default: whoever may open it is
believed about the client's address. With an address instead, the operator keeps everybody but
the proxies away from it.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import uvicorn
import uvloop

from gatewaysite.environment import Environment
from gatewaysite.private import Application, PrivateApplication, PrivateHandler

logger = logging.getLogger(__name__)

UNUSABLE = 2
"""Exit code when a listener cannot be opened: starting again as it is would be no use."""

_BACKLOG = 512
_CONSOLE_KEEP_ALIVE = 75
_PRIVATE_KEEP_ALIVE = 3600
"""Seconds. The proxy ends idle connections itself: if both did, a token request could be on its
way to a connection that is just being closed, and it may not be sent twice."""


class ListenerUnusable(Exception):
    """A listener cannot be opened; the message says why and what to do."""


def run(environment: Environment) -> int:
    """Serve both listeners until SIGTERM or SIGINT, then drain; returns the exit code."""
    with contextlib.ExitStack() as stack:
        try:
            console = stack.enter_context(tcp_listener(environment.console_bind))
            private = stack.enter_context(private_listener(environment.auth_socket))
        except ListenerUnusable as error:
            logger.error("%s", error)
            return UNUSABLE
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(environment, console, private))
    return 0


async def _serve(environment: Environment, console: socket.socket, private: socket.socket) -> None:
    from gatewaysite.asgi import application  # loads Django's middleware

    drain = environment.drain_timeout
    servers = [
        (_server(application, drain, _CONSOLE_KEEP_ALIVE), console),
        (_server(PrivateApplication(PrivateHandler()), drain, _PRIVATE_KEEP_ALIVE), private),
    ]

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for name, sock in (("the console", console), ("/auth for the proxy", private)):
        logger.info("%s listens on %s", name, _shown(sock))
    await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in servers))


class _Server(uvicorn.Server):
    """One of two servers in a process, whose signals are taken once for both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(application: Application, drain: int, keep_alive: int) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            proxy_headers=False,  # whom to believe is decided in gatewaysite.private
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
            timeout_keep_alive=keep_alive,
            timeout_graceful_shutdown=drain,
        )
    )


@contextlib.contextmanager
def tcp_listener(bind: str) -> Iterator[socket.socket]:
    """A socket listening on ``host:port``. Raises ``ListenerUnusable``."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise ListenerUnusable(f"cannot listen on {bind}: {_reason(error)}") from error
    with listener:
        yield listener


@contextlib.contextmanager
def private_listener(bind: str) -> Iterator[socket.socket]:
    """The private listener: ``unix:/path``, or ``host:port``. Raises ``ListenerUnusable``."""
    if bind.startswith("unix:"):
        with _unix_listener(Path(bind.removeprefix("unix:"))) as listener:
            yield listener
        return
    with tcp_listener(bind) as listener:
        if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            logger.warning(
                "GATEHOUSE_AUTH_BIND: whoever reaches %s is believed about the client's address; "
                "keep everybody but the proxies away from it",
                bind,
            )
        yield listener


@contextlib.contextmanager
def _unix_listener(path: Path) -> Iterator[socket.socket]:
    """A socket in the file system, for this user alone; its file goes when it is closed."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        mask = os.umask(0o177)  # before bind: there is no moment at which others may connect
        try:
            listener.bind(str(path))
        except OSError as error:
            raise ListenerUnusable(f"cannot listen on {path}: {_reason(error)}") from error
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
        own = _birth(path)
        try:
            yield listener
        finally:
            # While this one drained, a successor may have put its own socket there.
            with contextlib.suppress(FileNotFoundError):
                if _birth(path) == own:
                    path.unlink()


def _birth(path: Path) -> tuple[int, int]:
    """Tells one file from another that took its name, and perhaps its inode number."""
    status = path.stat()
    return status.st_ino, status.st_ctime_ns


def _remove_stale(path: Path) -> None:
    """Remove what a killed process left, and nothing else. Raises ``ListenerUnusable``."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenerUnusable(f"{path} exists and is no socket: remove it, or name another")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ListenerUnusable(f"cannot use {path}: {_reason(error)}") from error
    raise ListenerUnusable(f"another process listens on {path}: stop it first")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "another process listens there"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _shown(listener: socket.socket) -> str:
    name = listener.getsockname()
    return str(name) if isinstance(name, str) else f"{name[0]}:{name[1]}"
