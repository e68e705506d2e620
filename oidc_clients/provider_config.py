"""What an administrator may say about OpenID providers, declared once.

Pure declarations; the form, the configuration file and REST read them. What concerns more
than one value (an issuer's scheme, names used twice) is checked in ``apis.validation``.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from oidc_clients.assertion import AssertionKey
from oidc_clients.jose import is_key
from oidc_clients.jwks import ALGORITHMS, SECRET_BYTES, KeySet
from policies.core.config import Name, Options, invalid
from policies.references import SecretText
from policies.urls import web_address

_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}\Z")


def _token(text: str) -> str:
    if not _PRINTABLE.match(text):
        raise ValueError("use 1 to 255 printable ASCII characters, without blanks")
    return text


Token = Annotated[str, AfterValidator(_token)]
Grant = Literal["client_credentials", "password", "refresh_token", "authorization_code"]


def _address(url: str) -> str:
    web_address(url)
    return url


Url = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_address)]


def _algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm; known are {', '.join(sorted(ALGORITHMS))}")
    return name


def _of_one_sort(names: tuple[str, ...]) -> tuple[str, ...]:
    shared = [at for at, name in enumerate(names) if name in SECRET_BYTES]
    if shared and len(shared) < len(names):
        text = (
            f"{names[shared[0]]} verifies with a shared secret and stands beside no public-key "
            "algorithm, whose key everybody has"
        )
        raise invalid([((shared[0],), text)])
    return names


Algorithm = Annotated[str, AfterValidator(_algorithm)]
_SHARED = ("shared_secret", "former_shared_secret")


def _weak(
    place: tuple[str, ...], secret: SecretText, least: int
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What keeps a shared secret that is known here from being one (RFC 7518 3.2)."""
    if secret.value is None:
        return
    text = secret.value.get_secret_value()
    if is_key(text):
        yield place, "this is a public key or certificate, which everybody has: give a secret"
    elif len(text.encode()) < least:
        yield place, f"these algorithms need a secret of at least {least} bytes"


# What makes a sign-in safe is the gateway's to say (RFC 6749 4.1.1, RFC 7636, OIDC Core 3.1.2.1).
_RESERVED_PARAMETERS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope"),
        *("state", "nonce", "code_challenge", "code_challenge_method", "request", "request_uri"),
        *("registration", "dpop_jkt"),
    }
)
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


def _parameter(name: str) -> str:
    if not _PARAMETER.match(name):
        raise ValueError("a parameter's name is made of letters, digits, '_', '.' and '-'")
    if name in _RESERVED_PARAMETERS:
        raise ValueError(f"{name} is the gateway's to say")
    return name


ParameterName = Annotated[str, AfterValidator(_parameter)]
ParameterValue = Annotated[str, Field(max_length=500)]


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
        description="Its secret, sent by HTTP Basic (client_secret_basic) and never in a form; "
        "leave it out for a key or a public client.",
    )
    key: SecretText | None = Field(
        default=None,
        title="Client key",
        description="Its private key in PEM form (RSA, EC or Ed25519), for private_key_jwt; the "
        "provider knows the public one.",
    )
    key_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        title="Client key id",
        description="The kid under which the provider knows the key; some ask for none.",
    )
    assertion_audience: Literal["issuer", "endpoint"] = Field(
        default="issuer",
        title="Assertion audience",
        description="Whom the signed assertions of private_key_jwt are meant for: the issuer, or "
        "the address they are sent to, where a provider insists on that.",
    )

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> Self:
        found: list[tuple[tuple[int | str, ...], str]] = []
        if self.key is None:
            if self.key_id is not None:
                found.append((("key_id",), "it names a key, and there is none: give key as well"))
        elif self.secret is not None:
            found.append((("key",), "give a secret or a key, not both"))
        elif self.key.value is not None:
            try:
                AssertionKey.load(self.key.value.get_secret_value())
            except ValueError as error:
                found.append((("key",), str(error)))
        if found:
            raise invalid(found)
        return self


class ProviderConfig(Options):
    """One OpenID provider (issuer) whose tokens routes may accept."""

    name: Name = Field(title="Name", description="What policies and URLs call this provider.")
    issuer: Url = Field(
        title="Issuer",
        description="Compared character by character with the token's iss; "
        "keys are found through its discovery document unless given below.",
    )
    jwks_uri: Url | None = Field(
        default=None,
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
    algorithms: Annotated[tuple[Algorithm, ...], AfterValidator(_of_one_sort)] = Field(
        min_length=1,
        max_length=20,
        title="Algorithms",
        description="The signature algorithms accepted, e.g. RS256 and ES256. HS256, HS384 and "
        "HS512 verify with a shared secret and stand beside no other.",
    )
    shared_secret: SecretText | None = Field(
        default=None,
        title="Shared secret",
        description="For HS algorithms alone: at least as many bytes as the hash has (32, 48 or "
        "64). Left out, it is the client's secret.",
    )
    former_shared_secret: SecretText | None = Field(
        default=None,
        title="Former shared secret",
        description="During a rotation: verifies beside the shared secret until it is taken out.",
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
        description="The scopes asked for when the caller of the token relay names none, and at "
        "browser sign-in; openid is always among the latter.",
    )
    sign_in_parameters: dict[ParameterName, ParameterValue] = Field(
        default={},
        max_length=20,
        title="Sign-in parameters",
        description="Further parameters of the browser's request to the provider, such as "
        "audience or resource, where it needs them to issue a JWT for this gateway.",
    )
    session_idle: int = Field(
        default=1800,
        ge=60,
        le=30 * 24 * 3600,
        title="Session idle time",
        description="Seconds without a call after which a browser session is over.",
    )
    session_lifetime: int = Field(
        default=8 * 3600,
        ge=60,
        le=365 * 24 * 3600,
        title="Session lifetime",
        description="Seconds after sign-in at which a browser session is over, however much it "
        "is used. Sessions that were begun before a change keep theirs.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        found = [*self._plain_http(), *self._shared_secrets()]
        if self.keys and self.jwks_uri:
            found.append((("keys",), "give jwks_uri or keys, not both"))
        for at, entry in enumerate(KeySet.parse({"keys": list(self.keys)}).entries):
            if entry.key is None:
                found.append((("keys", at), f"the key is not admitted: {entry.reason}"))
        if found:
            raise invalid(found)
        return self

    @property
    def symmetric(self) -> bool:
        """Whether tokens are verified with a shared secret, so that no keys are fetched."""
        return not SECRET_BYTES.keys().isdisjoint(self.algorithms)

    @property
    def verification_secrets(self) -> tuple[SecretText, ...]:
        """The shared secrets in force (OpenID Connect Core 10.1: by default the client's)."""
        if not self.symmetric:
            return ()
        own = self.client.secret if self.client is not None else None
        given = (self.shared_secret or own, self.former_shared_secret)
        return tuple(secret for secret in given if secret is not None)

    def _shared_secrets(self) -> Iterator[tuple[tuple[int | str, ...], str]]:
        given = [name for name in _SHARED if getattr(self, name) is not None]
        if not self.symmetric:
            for name in given:
                yield (name,), "it is for HS256, HS384 and HS512: leave it out, or name one of them"
            return
        for member in ("jwks_uri", "keys"):
            if getattr(self, member):
                yield (member,), "HS algorithms verify with the shared secret alone: leave it out"
        if "former_shared_secret" in given and "shared_secret" not in given:
            yield ("shared_secret",), "the former secret stands beside a present one: give that"
        least = max(SECRET_BYTES.get(name, 0) for name in self.algorithms)
        places: list[tuple[str, ...]] = [(name,) for name in given] or [("client", "secret")]
        for place, secret in zip(places, self.verification_secrets, strict=False):
            yield from _weak(place, secret, least)

    def _plain_http(self) -> Iterator[tuple[tuple[int | str, ...], str]]:
        for member, url in (("issuer", self.issuer), ("jwks_uri", self.jwks_uri)):
            address = web_address(url) if url else None
            if address is None or address.scheme == "https":
                continue
            if not address.is_loopback:
                yield (member,), "use https; plain HTTP is accepted for loopback addresses alone"
            elif not self.insecure_http:
                yield (member,), "use https, or say insecure_http: true for this loopback address"
