"""One installation as its operator meets it: processes, ports, TLS, a database that is gone."""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.processes import ROOT, Process
from tests.e2e.raw import Client, call
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream
from tests.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    recorder = Upstream()
    yield recorder
    recorder.stop()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    installation = Gateway(workers=1)
    yield installation
    installation.remove()


def configured(gateway: Gateway, upstream: Upstream) -> Gateway:
    gateway.migrate()
    gateway.apply(document(None, api("open", upstream.url)))
    return gateway


def test_a_port_that_is_taken_is_named(gateway: Gateway, upstream: Upstream) -> None:
    configured(gateway, upstream)
    with socket.create_server(("127.0.0.1", gateway.port)):
        done = gateway.command("serve")
    assert done.code == 2
    assert "GATEHOUSE_PROXY_BIND" in done.output
    assert "Traceback" not in done.output


def test_F1_an_installation_without_its_database_serves_what_it_served(
    gateway: Gateway, upstream: Upstream
) -> None:
    configured(gateway, upstream).serve("--only", "proxy")
    assert gateway.call("GET", "/open/id/1").status == 200
    assert gateway.stop() == 0
    for path in (gateway.folder / "data").glob("gatehouse.sqlite3*"):
        path.unlink()
    gateway.serve("--only", "proxy")
    assert gateway.call("GET", "/open/id/2").status == 200


def test_F1_without_database_and_copy_it_is_up_and_not_ready(gateway: Gateway) -> None:
    gateway.serve("--only", "proxy", ready=False)
    until(lambda: answers(gateway), 60, gateway.log())
    assert gateway.call("GET", "/-/live").status == 200
    assert gateway.call("GET", "/-/ready").status == 503
    refused = gateway.call("GET", "/open/id/1")
    assert (refused.status, refused.code) == (503, "misconfigured")


def answers(gateway: Gateway) -> bool:
    try:
        gateway.call("GET", "/-/live")
    except OSError:
        return False
    return True


def test_quickstart_makes_an_administrator_once_and_serves(gateway: Gateway) -> None:
    password = quickstart(gateway)
    assert password is not None
    assert sign_in(gateway, password)
    assert not sign_in(gateway, "another")
    gateway.stop()
    assert quickstart(gateway) is None
    assert sign_in(gateway, password)


def quickstart(gateway: Gateway) -> str | None:
    """Run ``make run``'s command; the one-time password that it shows."""
    command = [sys.executable, "manage.py", "quickstart"]
    gateway.process = Process(command, gateway.environ, clean=True)
    gateway.await_ready()
    until(lambda: console_answers(gateway), 60, gateway.log())
    shown = re.search(r"one-time password: (\S+)", "\n".join(gateway.process.lines))
    return shown.group(1) if shown else None


def console_answers(gateway: Gateway) -> bool:
    try:
        return call(("127.0.0.1", gateway.console_port), "GET", "/admin/login/").status > 0
    except OSError:
        return False


def sign_in(gateway: Gateway, password: str) -> bool:
    """Whether the console lets ``admin`` in with this password."""
    host = f"127.0.0.1:{gateway.console_port}"
    with Client(("127.0.0.1", gateway.console_port)) as client:
        client.request("GET", "/admin/login/", host=host)
        page = client.answer()
        cookie = (page.get("set-cookie") or "").partition(";")[0]
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)
        assert token is not None, page.body[:500]
        form = {
            "csrfmiddlewaretoken": token.group(1).decode(),
            "username": "admin",
            "password": password,
        }
        fields = {
            "Cookie": cookie,
            "Origin": f"http://{host}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        client.request("POST", "/admin/login/", fields.items(), urlencode(form).encode(), host)
        return client.answer().status == 302


def test_A3_the_console_is_not_on_the_public_listener(gateway: Gateway, upstream: Upstream) -> None:
    configured(gateway, upstream).serve()
    until(lambda: console_answers(gateway), 60, gateway.log())
    for host in (f"127.0.0.1:{gateway.console_port}", "localhost"):
        for path in ("/admin/", "/admin/login/", "/static/admin/css/base.css"):
            assert gateway.call("GET", path, host=host).status == 404
    assert gateway.stop() == 0


def test_the_only_processes_left_after_a_kill_are_none(
    gateway: Gateway, upstream: Upstream
) -> None:
    configured(gateway, upstream).serve()
    family = [gateway.proxy(), *gateway.proxy().children()]
    assert gateway.process is not None
    gateway.signal(signal.SIGKILL)
    gateway.process.wait(10)
    until(lambda: not any(alive(process) for process in family), 30, f"left: {family}")


def alive(process: object) -> bool:
    import psutil

    assert isinstance(process, psutil.Process)
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def secure(gateway: Gateway, certificate: str, private_key: str, tmp_path: Path) -> Gateway:
    """An installation that speaks TLS, and takes client certificates of its own authority."""
    files = {"cert": certificate, "key": private_key, "client_ca": certificate}
    for name, content in files.items():
        path = tmp_path / f"{name}.pem"
        path.write_text(content)
        path.chmod(0o600)
        gateway.environ[f"GATEHOUSE_TLS_{name.upper()}"] = str(path)
    return gateway


def test_tls_with_and_without_a_client_certificate(
    secure: Gateway, upstream: Upstream, tmp_path: Path, certificate: str
) -> None:
    configured(secure, upstream).serve("--only", "proxy", ready=False)
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False
    until(lambda: secure_status(secure, context) == 200, 60, secure.log())
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert secure_status(secure, context) == 200
    with Client(secure.address, context, "127.0.0.1") as client:
        connection = client.socket
        assert isinstance(connection, ssl.SSLSocket)
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
    assert secure.stop() == 0


def secure_status(gateway: Gateway, context: ssl.SSLContext) -> int | None:
    try:
        with Client(gateway.address, context, "127.0.0.1") as client:
            client.request("GET", "/open/id/1")
            return client.answer().status
    except OSError:
        return None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_demo_prints_lines_that_work_when_pasted(tmp_path: Path) -> None:
    for port in (9101, 9102):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is in use: the demo needs it")
    binds = {
        "GATEHOUSE_PROXY_BIND": f"127.0.0.1:{free_port()}",
        "GATEHOUSE_CONSOLE_BIND": f"127.0.0.1:{free_port()}",
        "GATEHOUSE_WORKERS": "1",
    }
    demo = Process([sys.executable, "-m", "demo"], binds)
    try:
        until(lambda: "one-time password" in demo.tail() or not demo.running(), 90, demo.tail())
        lines = list(demo.lines)
        commands = [line for line in lines if line.startswith(("curl ", "TOKEN=$(", "export "))]
        assert len(commands) == 3
        assert not [line for line in lines if "curl " in line and line not in commands]
        assert "\x1b" not in "".join(lines)
        script = "\n".join(commands)
        done = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert [int(code) for code in re.findall(r"HTTP/1.1 (\d+)", done.stdout)] == [
            200,
            401,
        ]
        assert any(f"http://{binds['GATEHOUSE_CONSOLE_BIND']}/admin/" in line for line in lines)
    finally:
        assert demo.stop(signal.SIGINT, 30) == 0
    assert ROOT.joinpath("var", "demo").is_dir()
