"""What an administrator may say about API clients and their credentials, declared once.

Pure declarations; the form, the configuration file and REST read them. What concerns more
than one client (names used twice) is checked in ``apis.validation``.
"""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from oidc_clients import certificates
from oidc_clients.provider_config import Token
from policies.core.config import Name, Options, invalid
from policies.http.algorithms import Algorithm as SignatureAlgorithm
from policies.http.algorithms import load_public_key
from policies.references import FileText, SecretText

MIN_KEY_CHARACTERS = 8
MIN_HMAC_CHARACTERS = 16


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


def is_short(secret: SecretText, least: int) -> bool:
    """Whether a secret that is known here has fewer characters than it must have."""
    return secret.value is not None and len(secret.value.get_secret_value()) < least


class ApiKeyConfig(Options):
    """One API key of a client. Only its digest is kept."""

    name: Name = Field(title="Name", description="Tells the client's keys apart.")
    value: SecretText = Field(title="Key", description="Chosen at random, the longer the better.")
    scopes: tuple[Token, ...] = Field(
        default=(), max_length=100, title="Scopes", description="What the key may be used for."
    )
    expires: Moment | None = Field(
        default=None,
        title="Expires",
        description="A day (its first instant, UTC) or a moment; never when left out.",
    )

    @model_validator(mode="after")
    def _hard_to_guess(self) -> Self:
        if is_short(self.value, MIN_KEY_CHARACTERS):
            raise invalid([(("value",), f"use at least {MIN_KEY_CHARACTERS} characters")])
        return self


class SigningKeyConfig(Options):
    """A key with which a client signs its requests (RFC 9421)."""

    id: Token = Field(title="Key id", description="The keyid of its signatures; unique.")
    algorithm: SignatureAlgorithm = Field(
        title="Algorithm", description="The signature algorithm; it is never taken from a request."
    )
    public_key: FileText | None = Field(
        default=None,
        title="Public key",
        description="In PEM form, of the type that the algorithm takes; RSA keys have at least "
        "2048 bits. For all but hmac-sha256.",
    )
    secret: SecretText | None = Field(
        default=None,
        title="Secret",
        description="The shared secret for hmac-sha256: the key is its UTF-8 bytes.",
    )

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        needed, other = ("public_key", "secret")
        if self.algorithm == "hmac-sha256":
            needed, other = other, needed
        found: list[tuple[tuple[int | str, ...], str]] = []
        if getattr(self, needed) is None:
            found.append(((needed,), f"{self.algorithm} needs it"))
        if getattr(self, other) is not None:
            found.append(((other,), f"{self.algorithm} does not use it: leave it out"))
        if not found and self.public_key is not None and self.public_key.text:
            try:
                load_public_key(self.algorithm, self.public_key.text)
            except ValueError as error:
                found.append((("public_key",), str(error)))
        if self.secret is not None and is_short(self.secret, MIN_HMAC_CHARACTERS):
            found.append((("secret",), f"use at least {MIN_HMAC_CHARACTERS} characters"))
        if found:
            raise invalid(found)
        return self


class CertificateConfig(Options):
    """A certificate of a client: exactly this one, or any with this name from this issuer."""

    sha256: Annotated[str, AfterValidator(certificates.sha256_fingerprint)] | None = Field(
        default=None,
        title="Fingerprint",
        description="SHA-256 of the certificate, in hexadecimal digits; it must be renewed here "
        "with the certificate.",
    )
    san: Annotated[str, AfterValidator(certificates.alternative_name)] | None = Field(
        default=None,
        title="Alternative name",
        description="A subject alternative name of its certificates, e.g. dns:partner.example.org "
        "or uri:spiffe://example.org/partner.",
    )
    issuer: Annotated[str, AfterValidator(certificates.distinguished_name)] | None = Field(
        default=None,
        title="Issuer",
        description="The issuer's name as it stands in the certificates, written as RFC 4514 "
        "does: CN=Partner CA,O=Example.",
    )

    @property
    def known_by(self) -> tuple[str, str, str]:
        """What no two clients may have in common."""
        return self.sha256 or "", self.san or "", self.issuer or ""

    @model_validator(mode="after")
    def _one_way_to_know_it(self) -> Self:
        found: list[tuple[tuple[int | str, ...], str]] = []
        if self.sha256 is not None:
            found += [
                ((name,), "a fingerprint says it all: leave this out")
                for name in ("san", "issuer")
                if getattr(self, name) is not None
            ]
        elif self.san is None and self.issuer is None:
            found.append((("sha256",), "give sha256, or san and issuer"))
        else:
            found += [
                ((name,), "san and issuer are given together")
                for name in ("san", "issuer")
                if getattr(self, name) is None
            ]
        if found:
            raise invalid(found)
        return self


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
    certificates: tuple[CertificateConfig, ...] = Field(
        default=(),
        max_length=100,
        title="Certificates",
        description="What its TLS client certificates are known by.",
    )
