"""``signature``: who calls, and that nobody changed the request, is proven by an HTTP message
signature (RFC 9421) and a digest of the content (RFC 9530).

The key is one of a client's; its record, not the request, says by which algorithm it verifies.
What must be covered is the route's to say. The nonce is used up last, when everything else is
right, so that nobody but the key's owner can use it up.

Content is compared with ``Content-Digest`` while it streams by, byte for byte as it is forwarded:
the last chunk of a declared length, or the end of a chunked body, goes upstream only once the
digest agrees. So no upstream ever receives a complete request whose digest fails.
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from policies.core.callers import ClientKey
from policies.core.config import Name, OnFailure, PolicyConfig
from policies.core.policy import BodyWatch, IdentityPolicy
from policies.core.replay import MAX_NONCE, Nonces
from policies.core.services import Services
from policies.core.values import Call, Deny, Identity
from policies.core.values import Field as HeaderField
from policies.http.algorithms import verify
from policies.http.components import (
    Component,
    ComponentIdentity,
    RequestMessage,
    SignatureRefused,
)
from policies.http.digests import DigestRefused, RunningDigest, parse_digest
from policies.http.signatures import Signature as Presented
from policies.http.signatures import signatures
from policies.http.structured import serialised

_LABEL = re.compile(r"[a-z*][a-z0-9_.*-]{0,63}\Z")
_CONTENT_DIGEST = Component("content-digest")
# What a component covers besides itself: each of the others is a part of it.
_PARTS = {
    "@target-uri": ("@scheme", "@authority", "@path", "@query"),
    "@request-target": ("@path", "@query"),
}


def _component(text: str) -> str:
    component = Component.parse(text)
    parameters = dict(component.parameters)
    if component.name == "@status" or "req" in parameters:
        raise ValueError("a request has no status, and answers no other request")
    if "tr" in parameters:
        raise ValueError("trailers are not forwarded, so they cannot be asked for")
    return text


def _label(text: str) -> str:
    if not _LABEL.match(text):
        raise ValueError("a label is made of lower-case letters, digits, '-', '_', '.' and '*'")
    return text


def _tag(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a tag is printable ASCII")
    return text


ComponentName = Annotated[str, Field(max_length=255), AfterValidator(_component)]


class SignatureConfig(PolicyConfig):
    """Options of ``signature``."""

    keys: Literal["clients"] = Field(
        default="clients",
        title="Keys",
        description="Whose keys verify: clients, by their signing_keys.",
    )
    components: tuple[ComponentName, ...] = Field(
        default=("@method", "@path", "@query", "content-digest"),
        min_length=1,
        max_length=32,
        title="Components",
        description='What a signature must cover, e.g. @authority, date or @query-param;name="id". '
        "content-digest is asked of requests with content.",
    )
    max_age: int = Field(
        default=60,
        ge=1,
        le=3600,
        title="Longest age",
        description="Seconds by which created may lie in the past or in the future.",
    )
    nonce: bool = Field(
        default=True,
        title="Nonce",
        description="Ask for a nonce, and accept each one of a key once.",
    )
    clients: tuple[Name, ...] = Field(
        default=(),
        max_length=1000,
        title="Clients",
        description="Names of the clients that may call. Empty: every client.",
    )
    label: Annotated[str, AfterValidator(_label)] | None = Field(
        default=None,
        title="Label",
        description="Which one counts where a request may carry several signatures.",
    )
    tag: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_tag)] | None = Field(
        default=None,
        title="Tag",
        description="The tag that the signature must carry; others are not looked at.",
    )
    on_failure: OnFailure = Field(
        default="deny",
        title="When shared state fails",
        description="For the nonce. deny: refuse with 503. local: let each worker process "
        "remember for itself. allow: let every call pass.",
    )


_SEVERAL = Deny(
    "credentials_ambiguous",
    "The request carries several signatures, and this route does not say which one counts.",
)
_NOT_VALID = "The signature is not valid, or its key is not known here."
_OTHER_CLIENT = Deny("client_refused", "This client may not call this route.")
_MISMATCH = Deny("digest_mismatch", "The content is not the one that Content-Digest is of.")
_NO_DIGEST = Deny(
    "digest_mismatch", "Content-Digest must give the content's digest by sha-256 or sha-512."
)


class Signature(IdentityPolicy):
    """Proves the caller and the request by a client's signature."""

    kind = "signature"
    additional = True
    consumes = frozenset({b"signature", b"signature-input"})
    Config: ClassVar[type[PolicyConfig]] = SignatureConfig
    summary = "Requires a signature of the request by a client's key."

    def __init__(self, config: SignatureConfig, services: Services) -> None:
        components = [Component.parse(text) for text in config.components]
        self._required = {component.identity for component in components}
        self._asks_digest = _CONTENT_DIGEST.identity in self._required
        self._signing_key = services.clients.signing_key
        self._max_age = config.max_age
        self._clients = frozenset(config.clients)
        self._label, self._tag = config.label, config.tag
        space = f"{self.kind} {services.name}"
        self._nonces = Nonces(services, space, config.on_failure) if config.nonce else None
        self._challenge = _challenge(components, config)
        self._missing = self._refusal("signature_missing", "Sign the request (RFC 9421).")
        self._nonce_missing = self._refusal(
            "nonce_missing",
            f"Sign each request with a new nonce of 1 to {MAX_NONCE} characters.",
        )

    def credential(self, call: Call) -> bytes | Deny | None:
        headers = call.request.headers
        value = headers.get(b"signature-input")
        return headers.get(b"signature") if value is None else value

    def missing(self) -> Deny | Identity:
        return self._missing

    async def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        try:
            presented = self._chosen(signatures(call.request.headers))
            if isinstance(presented, Deny):
                return presented
            key = self._verified(presented, call)
        except SignatureRefused as refused:
            return self._refusal("signature_invalid", f"{str(refused).capitalize()}.")
        if isinstance(key, Deny):
            return key
        if self._clients and key.client not in self._clients:
            return _OTHER_CLIENT
        deny = self._digest_refusal(call) or await self._nonce_refusal(presented, call.now)
        return deny or key.identity

    def _chosen(self, presented: list[Presented]) -> Presented | Deny:
        """The one signature that this route looks at."""
        matching = [
            signature
            for signature in presented
            if self._label in (None, signature.label)
            and self._tag in (None, signature.parameters.tag)
        ]
        if not matching:
            return self._missing
        return _SEVERAL if len(matching) > 1 else matching[0]

    def _verified(self, signature: Presented, call: Call) -> ClientKey | Deny:
        """The key that made the signature. Raises ``SignatureRefused``."""
        parameters = signature.parameters
        if parameters.created is None or parameters.keyid is None:
            raise SignatureRefused("created and keyid are required")
        if abs(call.now - parameters.created) > self._max_age:
            raise SignatureRefused(f"created lies more than {self._max_age} seconds away")
        if parameters.expires is not None and call.now > parameters.expires:
            raise SignatureRefused("the signature has expired")
        if self._nonces is not None and not 0 < len(parameters.nonce or "") <= MAX_NONCE:
            return self._nonce_missing
        if not self._needed(call) <= _covered(signature):
            raise SignatureRefused("the signature does not cover all that this route requires")
        key = self._signing_key(parameters.keyid)
        if key is None or parameters.alg not in (None, key.algorithm):
            return self._refusal("signature_invalid", _NOT_VALID)
        base = signature.base(RequestMessage.of(call.request))
        if not verify(key.algorithm, key.material, signature.value, base):
            return self._refusal("signature_invalid", _NOT_VALID)
        return key

    def _needed(self, call: Call) -> set[ComponentIdentity]:
        """What must be covered: a request without content needs no digest of it."""
        if call.request.body_length == 0:
            return self._required - {_CONTENT_DIGEST.identity}
        return self._required

    def _digest_refusal(self, call: Call) -> Deny | None:
        """What can be said of the digest before the content is here."""
        expected = _expected_digests(call)
        if expected is None:
            return None
        if call.request.body_length == 0:
            return None if not expected or RunningDigest(expected).agrees() else _MISMATCH
        return _NO_DIGEST if not expected and self._asks_digest else None

    async def _nonce_refusal(self, signature: Presented, now: float) -> Deny | None:
        if self._nonces is None:
            return None
        parameters = signature.parameters  # none of them is missing, or it had not verified
        created = parameters.created or 0
        remaining = created + self._max_age - now
        deny = await self._nonces.accept(
            parameters.keyid or "", parameters.nonce or "", created, remaining
        )
        if deny is None or deny.refusal.status != 401:
            return deny
        return self._refusal(deny.code, deny.detail)

    def watch(self, call: Call) -> BodyWatch | None:
        expected = _expected_digests(call)
        return _Comparison(expected, call.request.body_length) if expected else None

    def describe(self, call: Call) -> str:
        return "a client's signature covers all that this route requires"

    def _refusal(self, code: str, detail: str) -> Deny:
        return Deny(code, detail, fields=self._challenge)


class _Comparison:
    """Compares one content with its digests while it streams."""

    def __init__(self, expected: dict[str, bytes], length: int | None) -> None:
        self._running = RunningDigest(expected)
        self._length = length

    def feed(self, chunk: bytes) -> Deny | None:
        self._running.feed(chunk)
        # What follows the last byte of a declared length is nothing: it is judged before it goes.
        return self.end() if self._running.length == self._length else None

    def end(self) -> Deny | None:
        return None if self._running.agrees() else _MISMATCH


def _covered(signature: Presented) -> set[ComponentIdentity]:
    """What a signature covers, by itself or as a part of something else."""
    covered = {component.identity for component in signature.components}
    for whole, parts in _PARTS.items():
        if Component(whole).identity in covered:
            covered.update(Component(part).identity for part in parts)
    return covered


def _expected_digests(call: Call) -> dict[str, bytes] | None:
    """The digests that the content must have: none that proves anything, or no field at all."""
    lines = call.request.headers.all(b"content-digest")
    if not lines:
        return None
    try:
        return parse_digest(lines)
    except DigestRefused:
        return {}


def _challenge(components: list[Component], config: SignatureConfig) -> tuple[HeaderField, ...]:
    """How to sign, for clients that ask nobody else (RFC 9421 5.1)."""
    covered = " ".join(component.text for component in components)
    tag = f";tag={serialised((config.tag, {}))}" if config.tag else ""
    wanted = f"{config.label or 'sig1'}=({covered});created{tag}"
    return (
        (b"www-authenticate", b'Signature realm="gatehouse"'),
        (b"accept-signature", wanted.encode()),
    )
