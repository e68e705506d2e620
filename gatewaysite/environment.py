"""The ``GATEHOUSE_*`` environment: every setting of the installation, declared once.

Read once per process, at start. An unknown ``GATEHOUSE_*`` name is a start-up error: a typing
mistake in a security setting must not mean its default.
"""

import ipaddress
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "GATEHOUSE_"


class EnvironmentInvalid(Exception):
    """The environment cannot be used; the message lists every problem, one a line."""


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode]


class Environment(BaseSettings):
    """What an operator can set. Times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    data_dir: Path = Path("var")
    database_url: str = ""
    state_url: str = ""
    broker_url: str = ""
    secret_keys: SecretStr = SecretStr("")
    proxy_bind: str = "127.0.0.1:8000"
    console_bind: str = "127.0.0.1:8001"
    console_hosts: Names = ("localhost", "127.0.0.1", "[::1]")
    auth_bind: str = ""
    public_url: str = ""
    workers: int = Field(default=0, ge=0, le=256, description="0: one per core")
    drain_timeout: int = Field(default=10, ge=0, le=3600)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    trusted_proxies: Names = ()
    allow_private_upstreams: Names = ()
    access_log: str = ""
    max_header_bytes: int = Field(default=32768, ge=1024, le=1048576)
    max_headers: int = Field(default=100, ge=10, le=1000)
    max_line_bytes: int = Field(default=8192, ge=256, le=1048576)
    header_timeout: float = Field(default=10, gt=0, le=300)
    idle_timeout: float = Field(default=75, gt=0, le=3600)
    body_timeout: float = Field(default=30, gt=0, le=3600)
    body_rate: float = Field(default=240, ge=0, le=1e9, description="bytes a second; 0: any")
    send_timeout: float = Field(default=60, gt=0, le=3600)
    max_pipelined: int = Field(default=16, ge=1, le=1000)
    max_connections: int = Field(default=20000, ge=1, le=1000000)
    relay_rate: str = Field(default="60/m", pattern=r"^[1-9][0-9]{0,8}/[smhd]$")

    @field_validator("console_hosts", "trusted_proxies", "allow_private_upstreams", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return _split(value)

    @field_validator("trusted_proxies", "allow_private_upstreams")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("proxy_bind", "console_bind")
    @classmethod
    def _address(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not (host and colon and port.isdigit() and int(port) < 65536):
            raise ValueError("give an address as host:port")
        return value

    @property
    def worker_count(self) -> int:
        return self.workers or os.cpu_count() or 1

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute()}/gatehouse.sqlite3"

    @property
    def state(self) -> str:
        return self.state_url or f"sqlite:///{self.data_dir.absolute()}/state.sqlite3"

    @property
    def auth_socket(self) -> str:
        """Where the console process serves ``/auth`` to the proxy: ``unix:/path`` or host:port."""
        return self.auth_bind or f"unix:{self.data_dir.absolute()}/auth.sock"

    @property
    def access_log_target(self) -> str:
        return self.access_log or str(self.data_dir.absolute() / "access.log")

    @cached_property
    def keys(self) -> list[str]:
        """The keys that seal secrets: given, or made once into the data directory."""
        given = _split(self.secret_keys.get_secret_value())
        return list(given) if given else [self._kept("secret.key")]

    @cached_property
    def session_key(self) -> str:
        """Django's SECRET_KEY: never one of the sealing keys."""
        return self._kept("session.key")

    def _kept(self, name: str) -> str:
        """A random key kept in the data directory with mode 0600, made when absent."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.data_dir / name
        fresh = path.with_name(f".{name}.{os.getpid()}")
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            try:
                os.link(fresh, path)  # atomic: the first of several starting processes wins
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        if path.stat().st_mode & 0o077:
            raise EnvironmentInvalid(f"{path} is readable by others: chmod 600 {path}")
        return path.read_text().strip()


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The settings of this process. Raises ``EnvironmentInvalid`` with every problem."""
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in Environment.model_fields}
    problems = [
        f"{name}: unknown setting"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name in known and value != ""
    }
    environment = None
    try:
        environment = Environment(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = PREFIX + str(item["loc"][0]).upper()
            problems.append(f"{name}: {str(item['msg']).removeprefix('Value error, ')}")
    if problems or environment is None:
        raise EnvironmentInvalid("\n".join(problems))
    return environment
