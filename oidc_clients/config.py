"""What an administrator may say about who may ask: providers and clients, declared once.

Pure declarations; the form, the configuration file and REST read them. What concerns more
than one value (an issuer's scheme, names used twice) is checked in ``apis.validation``.
"""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from policies.core.config import Options
from policies.references import FileText, SecretText

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$",
        description="Lower-case letters, digits, '-', '_' and '.', at most 63 characters.",
    ),
]
Token = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
Grant = Literal["client_credentials", "password", "refresh_token", "authorization_code"]


def _moment(value: Any) -> Any:
    """A bare day means its first instant in UTC: at 00:00 of that day a key has expired."""
    if isinstance(value, str) and len(value) == len("2027-01-01"):
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    return value


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _shortest(value: datetime) -> str:
    bare_day = value.time() == time()
    return value.date().isoformat() if bare_day else value.isoformat()


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_in_utc),
    PlainSerializer(_shortest, return_type=str),
]


class ProviderClientConfig(Options):
    """The gateway's own registration at a provider."""

    id: str = Field(
        min_length=1,
        max_length=255,
        title="Client id",
        description="The id under which the provider knows the gateway.",
    )
    secret: SecretText | None = Field(
        default=None,
        title="Client secret",
        description="Its secret; leave it out for a public client.",
    )


class ProviderConfig(Options):
    """One OpenID provider (issuer) whose tokens routes may accept."""

    name: Name = Field(title="Name", description="What policies and URLs call this provider.")
    issuer: str = Field(
        min_length=1,
        max_length=500,
        title="Issuer",
        description="Compared character by character with the token's iss; "
        "keys are found through its discovery document unless given below.",
    )
    jwks_uri: str | None = Field(
        default=None,
        max_length=500,
        title="Key set address",
        description="Where the keys are fetched; leave it out to use discovery.",
    )
    keys: tuple[dict[str, Any], ...] = Field(
        default=(),
        max_length=100,
        title="Keys",
        description="The public keys themselves, as JSON Web Keys, for a provider without a key "
        "set address.",
    )
    enabled: bool = Field(
        default=True,
        title="Enabled",
        description="Switched off, its tokens are refused; it may stay referenced.",
    )
    audiences: tuple[Token, ...] = Field(
        min_length=1,
        max_length=100,
        title="Audiences",
        description="A token must be meant for one of these.",
    )
    audience_claim: str = Field(
        default="aud",
        min_length=1,
        max_length=64,
        title="Audience claim",
        description="The claim that names the audience; some providers use client_id.",
    )
    scope_claim: str = Field(
        default="scope",
        min_length=1,
        max_length=64,
        title="Scope claim",
        description="The claim that lists the scopes: scope, scp or roles.",
    )
    algorithms: tuple[str, ...] = Field(
        min_length=1,
        max_length=20,
        title="Algorithms",
        description="The signature algorithms accepted, e.g. RS256 and ES256.",
    )
    token_types: tuple[str, ...] = Field(
        default=("at+jwt", "JWT"),
        min_length=1,
        max_length=20,
        title="Token types",
        description='Accepted values of the header typ; "" admits a token without one.',
    )
    leeway: int = Field(
        default=30,
        ge=0,
        le=120,
        title="Leeway",
        description="Seconds by which the clocks may differ.",
    )
    insecure_http: bool = Field(
        default=False,
        title="Plain HTTP",
        description="Talk to the provider without TLS; on loopback only.",
    )
    client: ProviderClientConfig | None = Field(
        default=None,
        title="Client",
        description="The gateway's own client at the provider, for the token relay.",
    )
    grants: tuple[Grant, ...] = Field(
        default=(),
        title="Grants",
        description="The grant types that the token relay passes on; none when left out.",
    )
    scopes: tuple[Token, ...] = Field(
        default=(),
        max_length=100,
        title="Scopes",
        description="The scopes asked for when the caller of the token relay names none.",
    )


class ApiKeyConfig(Options):
    """One API key of a client. Only its digest is kept."""

    name: Name = Field(title="Name", description="Tells the client's keys apart.")
    value: SecretText = Field(title="Key", description="At least 32 characters, chosen at random.")
    scopes: tuple[Token, ...] = Field(
        default=(), max_length=100, title="Scopes", description="What the key may be used for."
    )
    expires: Moment | None = Field(
        default=None,
        title="Expires",
        description="A day (its first instant, UTC) or a moment; never when left out.",
    )


class SigningKeyConfig(Options):
    """A key with which a client signs its requests (RFC 9421)."""

    id: Token = Field(title="Key id", description="The keyid of its signatures; unique.")
    algorithm: Literal["ed25519", "hmac-sha256"] = Field(
        title="Algorithm", description="The signature algorithm; it is never taken from a request."
    )
    public_key: FileText | None = Field(
        default=None, title="Public key", description="In PEM form; for ed25519."
    )
    secret: SecretText | None = Field(
        default=None, title="Secret", description="The shared secret; for hmac-sha256."
    )


class ClientConfig(Options):
    """An API client: a program or partner that calls routes with its own credentials."""

    name: Name = Field(title="Name", description="What policies call this client.")
    enabled: bool = Field(
        default=True, title="Enabled", description="Switched off, its credentials are refused."
    )
    api_keys: tuple[ApiKeyConfig, ...] = Field(
        default=(), max_length=1000, title="API keys", description="Its API keys."
    )
    signing_keys: tuple[SigningKeyConfig, ...] = Field(
        default=(), max_length=100, title="Signing keys", description="Its signing keys."
    )
