"""The console process's two listeners: what each serves, whom it believes, how it ends."""

import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatewaysite.console import ListenerUnusable, private_listener, tcp_listener
from tests.console_process import ConsoleProcess, fresh_address

LINES = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def console() -> Iterator[ConsoleProcess]:
    process = ConsoleProcess()
    process.start()
    yield process
    process.stop()
    process.remove()


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/login/", "/", "/static/gatehouse/console.css", "/auth", "/auth/../admin/",
     "/auth/%2e%2e/admin/", "//auth/demo/token", "/AUTH/demo/token", "/auth/demo/token/",
     "/auth/demo/token%0a", "/auth/demo", "/auth/a/b/token"],
)  # fmt: skip
@pytest.mark.parametrize("host", ["api.example.org", "localhost", "127.0.0.1"])
def test_A3_the_private_listener_serves_auth_and_nothing_else(
    console: ConsoleProcess, path: str, host: str
) -> None:
    for lines in ({"Host": host}, {"Host": host, "X-Forwarded-Host": host}):
        reply = console.private("GET", path, headers=lines)
        assert (reply.status, reply.json["code"]) == (404, "route_not_found")
        assert reply.headers["content-type"] == "application/problem+json"
        assert "location" not in reply.headers


def test_A3_the_console_serves_no_auth(console: ConsoleProcess) -> None:
    assert console.console("GET", "/auth/demo/token").status == 404
    assert console.console("POST", "/auth/demo/token").status in (403, 404)


def test_the_console_serves_the_admin_to_its_own_names_only(console: ConsoleProcess) -> None:
    assert console.console("GET", "/admin/login/").status == 200
    sheet = Path("static/gatehouse/console.css").read_bytes()
    assert console.console("GET", "/static/gatehouse/console.css").content == sheet
    assert console.console("GET", "/admin/login/", {"Host": "evil.example"}).status == 400
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    reply = console.console("GET", "/admin/", forwarded)
    assert (reply.status, reply.headers["location"]) == (302, "/admin/login/?next=/admin/")


@pytest.mark.parametrize("host", ["api.example.org", "xn--bcher-kva.example", "_x", "a" * 300, ""])
def test_the_private_listener_answers_under_every_host(console: ConsoleProcess, host: str) -> None:
    lines = {"Host": host, "X-Forwarded-Host": host}
    reply = console.private("POST", "/auth/demo/token", b"", LINES | lines)
    assert (reply.status, reply.json["code"]) == (404, "route_not_found")


@pytest.mark.parametrize("client", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4:80", "x, 1.2.3.4"])
def test_only_the_proxy_is_answered(console: ConsoleProcess, client: str) -> None:
    lines = {**LINES, "X-Forwarded-For": client}
    reply = console.private("POST", "/auth/demo/token", b"", lines)
    assert (reply.status, reply.json["code"]) == (400, "request_malformed")


def test_the_request_id_of_the_proxy_is_taken_over(console: ConsoleProcess) -> None:
    reply = console.private("POST", "/auth/demo/token", b"", {**LINES, "X-Request-Id": "abc42"})
    assert reply.json["request_id"] == "abc42"


def test_half_a_request_is_none(console: ConsoleProcess) -> None:
    """A client that leaves amid its body has asked for nothing."""
    head = (
        "POST /auth/half-request/token HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
        f"X-Forwarded-For: {fresh_address()}\r\n\r\ngrant_type="
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(console.socket))
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        assert connection.recv(1000) == b""
    assert console.private("POST", "/auth/demo/token", b"", LINES).status == 404
    assert "half-request" not in console.log


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
def test_neither_listener_is_served_by_a_lenient_parser(
    console: ConsoleProcess, lines: bytes
) -> None:
    """h11, to which uvicorn can fall back, takes some of these; llhttp takes none."""
    request = b"POST /auth/demo/token HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\nabc"
    for family, address in (
        (socket.AF_UNIX, str(console.socket)),
        (socket.AF_INET, ("127.0.0.1", console.console_port)),
    ):
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(address)
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_the_socket_is_for_this_user_alone(console: ConsoleProcess) -> None:
    mode = console.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_request_end_and_removes_the_socket(
    number: signal.Signals,
) -> None:
    """A second signal changes nothing."""
    process = ConsoleProcess(drain_timeout="10")
    process.start()
    head = (
        "POST /auth/demo/token HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
        f"X-Forwarded-For: {fresh_address()}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(process.socket))
        connection.sendall(head.encode() + b"ab")
        # Answered after it, so the first one is being served when the signal comes.
        assert process.private("POST", "/auth/demo/token", b"", LINES).status == 404
        assert process.process is not None
        os.kill(process.process.pid, number)
        while process.socket.exists() and _accepts(process.socket):
            threading.Event().wait(0.01)
        os.kill(process.process.pid, number)
        assert process.process.running()
        connection.settimeout(10)
        connection.sendall(b"cd")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
    assert process.process.wait(20) == 0
    assert not process.socket.exists()
    process.remove()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_socket_that_a_killed_process_left_is_replaced() -> None:
    process = ConsoleProcess()
    process.start()
    process.stop(signal.SIGKILL)
    assert process.socket.exists()
    process.start()
    assert process.private("GET", "/auth/demo/token").status == 405
    assert process.stop() == 0
    process.remove()


def test_a_listener_in_use_is_not_taken_over(console: ConsoleProcess) -> None:
    with pytest.raises(ListenerUnusable, match="another process listens"):
        private_listener(f"unix:{console.socket}").__enter__()
    with pytest.raises(ListenerUnusable, match="another process listens"):
        tcp_listener(f"127.0.0.1:{console.console_port}").__enter__()
    assert console.private("GET", "/auth/demo/token").status == 405


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_only_a_socket_is_ever_removed(tmp_path: Path, kind: str) -> None:
    path, kept = tmp_path / "auth.sock", tmp_path / "kept"
    kept.write_text("kept")
    {
        "file": lambda: path.write_text("mine"),
        "link": lambda: path.symlink_to(kept),
        "folder": path.mkdir,
    }[kind]()
    with pytest.raises(ListenerUnusable, match="is no socket"):
        private_listener(f"unix:{path}").__enter__()
    assert os.path.lexists(path)
    assert kept.read_text() == "kept"


def test_a_successors_socket_is_left_alone(tmp_path: Path) -> None:
    """A console that drains no longer listens, so another one may start meanwhile."""
    path = tmp_path / "auth.sock"
    with ExitStack() as draining:
        draining.enter_context(private_listener(f"unix:{path}")).close()
        with private_listener(f"unix:{path}"):
            draining.close()
            assert _accepts(path)
    assert not path.exists()


def test_a_path_that_is_too_long_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ListenerUnusable, match="too long"):
        private_listener(f"unix:{tmp_path / ('a' * 200)}").__enter__()


def test_a_private_listener_others_may_reach_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with private_listener("127.0.0.1:0") as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    assert caplog.records == []
    with private_listener("0.0.0.0:0"):
        assert "GATEHOUSE_AUTH_BIND" in caplog.text
