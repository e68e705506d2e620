"""What an administrator may say about what is exposed: APIs, and the whole document.

Pure declarations; the form, the configuration file and REST read them. What concerns more
than one value (routes that collide, a provider that does not exist) is checked in
``apis.validation``. All times are in seconds and finite.
"""

from typing import Annotated, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from pydantic import AfterValidator, Field, model_validator

from apis import syntax
from oidc_clients.client_config import ClientConfig
from oidc_clients.provider_config import ProviderConfig
from policies.core.config import Name, Options, invalid
from policies.entries import PolicyEntry
from policies.references import FileText, SecretText

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Host = Annotated[str, AfterValidator(syntax.host_pattern)]
Method = Annotated[str, AfterValidator(syntax.method)]
LongSeconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class TargetConfig(Options):
    """One address of an upstream."""

    url: Annotated[str, AfterValidator(syntax.target_url)] = Field(
        min_length=1,
        max_length=500,
        title="URL",
        description="http or https, host, port, and a path put before the request's.",
    )
    weight: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Weight",
        description="Its share of the calls beside the other targets.",
    )


class TlsConfig(Options):
    """How https targets are spoken to. Verification cannot be switched off."""

    ca: FileText | None = Field(
        default=None,
        title="Authorities",
        description="PEM certificates to trust instead of the system's.",
    )
    cert: FileText | None = Field(
        default=None, title="Client certificate", description="PEM, shown to the target."
    )
    key: SecretText | None = Field(
        default=None, title="Client key", description="PEM, the private key of the certificate."
    )
    server_name: Annotated[str, AfterValidator(syntax.server_name)] | None = Field(
        default=None,
        title="Server name",
        description="The name asked for and verified; the target's host when left out.",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        found: list[tuple[tuple[int | str, ...], str]] = []
        for member, text in (("ca", self.ca), ("cert", self.cert)):
            if text is not None and text.text and not _is_certificate(text.text):
                found.append(((member,), "give certificates in PEM form (BEGIN CERTIFICATE)"))
        if (self.cert is None) != (self.key is None):
            found.append((("key" if self.key is None else "cert",), "cert and key belong together"))
        if self.key is not None and not _is_private_key(self.key):
            found.append((("key",), "give a private key in PEM form, without a pass phrase"))
        if found:
            raise invalid(found)
        return self


def _said(tls: TlsConfig | None) -> TlsConfig | None:
    """None for a mapping that says nothing: there is one way to say nothing."""
    return None if tls == TlsConfig() else tls


def _is_certificate(pem: str) -> bool:
    try:
        return bool(load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return False


def _is_private_key(secret: SecretText) -> bool:
    """False only for a text that is known here and is no private key."""
    try:
        if secret.value is not None:
            load_pem_private_key(secret.value.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


class HealthConfig(Options):
    """Active health check of each target."""

    path: Annotated[str, AfterValidator(syntax.request_path)] = Field(
        min_length=1,
        max_length=500,
        title="Path",
        description="Asked with GET; 2xx and 3xx are healthy.",
    )
    interval: Seconds = Field(
        default=5, title="Interval", description="Seconds between two checks."
    )


class BreakerConfig(Options):
    """When a target that fails is given a rest."""

    failures: int = Field(
        default=5, ge=1, le=10_000, title="Failures", description="So many within the window."
    )
    window: Seconds = Field(
        default=10, title="Window", description="Seconds in which failures are counted."
    )
    open_for: Seconds = Field(
        default=5, title="Open for", description="Seconds without calls to the target."
    )


class UpstreamConfig(Options):
    """Where the calls of an API are carried, and how long each step may take."""

    targets: tuple[TargetConfig, ...] = Field(
        min_length=1, max_length=100, title="Targets", description="The addresses, at least one."
    )
    connect_timeout: Seconds = Field(
        default=2, title="Connect time-out", description="For one connection attempt with TLS."
    )
    read_timeout: Seconds = Field(
        default=15, title="Read time-out", description="For each wait for bytes of the answer."
    )
    write_timeout: Seconds = Field(
        default=15, title="Write time-out", description="For each wait until bytes are taken."
    )
    total_timeout: Seconds = Field(
        default=60, title="Total time-out", description="Until the head of the answer is there."
    )
    idle_timeout: LongSeconds = Field(
        default=300, title="Idle time-out", description="Silence of a stream or tunnel."
    )
    host: Annotated[str, AfterValidator(syntax.authority)] | None = Field(
        default=None,
        title="Host",
        description="The Host sent upstream; the target's own when left out.",
    )
    tls: Annotated[TlsConfig | None, AfterValidator(_said)] = Field(
        default=None, title="TLS", description="For https targets; the system's trust by default."
    )
    retries: int = Field(
        default=1,
        ge=0,
        le=10,
        title="Retries",
        description="Further attempts for idempotent methods after a connection failure, "
        "when nothing of the body was sent.",
    )
    health: HealthConfig | None = Field(
        default=None, title="Health check", description="No active check when left out."
    )
    breaker: BreakerConfig | None = Field(
        default=None, title="Breaker", description="Every target is always tried when left out."
    )


class RouteConfig(Options):
    """One path of an API and the methods it takes."""

    methods: tuple[Method, ...] = Field(
        default=(),
        max_length=50,
        title="Methods",
        description="In capital letters; every method when left out. GET serves HEAD as well.",
    )
    path: Annotated[str, AfterValidator(syntax.path_template)] = Field(
        min_length=1,
        max_length=500,
        title="Path",
        description="Below the base path. {name} stands for one segment, {;name} for one of the "
        "form ;name=value, {name*} at the end for all that follow.",
    )
    websocket: bool = Field(
        default=False, title="WebSocket", description="Upgrades are refused elsewhere."
    )
    policies: tuple[PolicyEntry, ...] = Field(
        default=(), max_length=100, title="Policies", description="Nearest to the call."
    )


class ApiConfig(Options):
    """One API: the hosts and base path it is reached under, and the upstream behind it."""

    name: Name = Field(title="Name", description="What logs and metrics call this API.")
    hosts: tuple[Host, ...] = Field(
        default=("*",),
        min_length=1,
        max_length=100,
        title="Hosts",
        description="Names it answers to: exact, *.example.org, or * for all.",
    )
    base_path: Annotated[str, AfterValidator(syntax.base_path)] = Field(
        default="/",
        min_length=1,
        max_length=500,
        title="Base path",
        description="Whole segments in front of every route's path.",
    )
    strip_base_path: bool = Field(
        default=True,
        title="Strip base path",
        description="The upstream gets the path without the base path.",
    )
    upstream: UpstreamConfig = Field(title="Upstream", description="Where calls are carried.")
    openapi: FileText | None = Field(
        default=None,
        title="OpenAPI document",
        description="Its operations are the API's routes when none are listed.",
    )
    policies: tuple[PolicyEntry, ...] = Field(
        default=(), max_length=100, title="Policies", description="For every route of this API."
    )
    routes: tuple[RouteConfig, ...] = Field(
        default=(),
        max_length=5000,
        title="Routes",
        description="None: the operations of the OpenAPI document, or the whole base path.",
    )


class Document(Options):
    """A configuration file: everything it names is made equal to it."""

    format: Literal[1] = Field(title="Format", description="The version of this form: 1.")
    providers: tuple[ProviderConfig, ...] = Field(
        default=(), title="Providers", description="OpenID providers whose tokens are accepted."
    )
    clients: tuple[ClientConfig, ...] = Field(
        default=(), title="Clients", description="API clients with credentials of their own."
    )
    policies: tuple[PolicyEntry, ...] = Field(
        default=(), max_length=100, title="Policies", description="For every route of every API."
    )
    apis: tuple[ApiConfig, ...] = Field(
        default=(), title="APIs", description="What is exposed, and where it is carried."
    )
