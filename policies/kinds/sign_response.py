"""``sign_response``: the gateway signs what it answers (RFC 9421), with a digest of the content
(RFC 9530), so that a client can tell an answer of this gateway from any other.

Bound to the request: the signature also covers what was asked, and the request's own signature
and digest where it had them, so that no answer can be passed off as that to another request.
Refusals are signed like answers of the upstream. An answer is held until its digest is known;
one that is too large for that is refused, never sent unsigned.

The fields of an upstream's own signature are removed: it is the gateway that answers, and a
covered digest that is replaced would break it anyway.
"""

import base64
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny, Headers
from policies.core.values import Field as HeaderField
from policies.http.components import (
    Component,
    RequestMessage,
    ResponseMessage,
    SignatureRefused,
    component_value,
    signature_base,
)
from policies.http.digests import DigestAlgorithm, digest_field
from policies.http.signatures import Parameters, signature_fields

LABEL = "gatehouse"
ALGORITHM = "ecdsa-p256-sha256"

_REPLACED = frozenset({b"content-digest", b"signature", b"signature-input"})
_OF_REQUEST = tuple(
    Component(name, (("req", True),)) for name in ("@method", "@authority", "@path", "@query")
)
_OF_SIGNED_REQUEST = tuple(
    Component(name, (("req", True),)) for name in ("signature", "signature-input", "content-digest")
)
# Made after the signature, by whoever frames the message, or made by it.
_NOT_SIGNED = frozenset(
    {
        *("connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"),
        *("signature", "signature-input"),
    }
)
_EVENT_STREAM = b"text/event-stream"
_NO_KEY = Deny("misconfigured", "Responses cannot be signed at the moment.")


def _component(text: str) -> str:
    component = Component.parse(text)
    parameters = dict(component.parameters)
    if (component.name.startswith("@") and component.name != "@status") or "req" in parameters:
        raise ValueError("name @status or header fields; bind_request covers the request")
    if "tr" in parameters:
        raise ValueError("trailers are not forwarded, so they cannot be signed")
    if component.name in _NOT_SIGNED:
        raise ValueError(f"{component.name} is not known when the answer is signed")
    return text


ComponentName = Annotated[str, Field(max_length=255), AfterValidator(_component)]


class SignResponseConfig(PolicyConfig):
    """Options of ``sign_response``."""

    components: tuple[ComponentName, ...] = Field(
        default=("@status", "content-digest", "content-type"),
        min_length=1,
        max_length=32,
        title="Components",
        description="What the signature covers, where the answer has it: @status and header "
        "fields.",
    )
    digest: DigestAlgorithm = Field(
        default="sha-256", title="Digest", description="The algorithm of Content-Digest."
    )
    bind_request: bool = Field(
        default=True,
        title="Bind the request",
        description="Cover method, authority, path and query of the request too, and its own "
        "signature and digest.",
    )
    max_bytes: int = Field(
        default=8388608,
        ge=1,
        le=64 * 1024 * 1024,
        title="Largest answer",
        description="Bytes of an answer's content that are held to be signed; a larger answer is "
        "refused.",
    )

    @property
    def signs(self) -> bool:
        return True


class SignResponse(Policy):
    """Runs in RESPOND, when nothing else changes; asks for a key before the upstream is asked."""

    kind = "sign_response"
    phase = Phase.RESPOND
    Config: ClassVar[type[PolicyConfig]] = SignResponseConfig
    summary = "Signs every answer with the gateway's own key."

    def __init__(self, config: SignResponseConfig, services: Services) -> None:
        self._components = tuple(Component.parse(text) for text in config.components)
        self._digest = config.digest
        self._bind = config.bind_request
        self._max_bytes = config.max_bytes
        self._signer = services.signer

    def check(self, call: Call) -> Decision:
        return PASS if self._signer.current(call.now) is not None else _NO_KEY

    def holds_answer(self, call: Call, status: int, fields: list[HeaderField]) -> int:
        for name, value in fields:
            if name == b"content-type" and value.lower().startswith(_EVENT_STREAM):
                return 1  # it never ends: refused with its first event instead of held in vain
        return self._max_bytes

    def seal(
        self, call: Call, status: int, fields: list[HeaderField], content: bytes
    ) -> list[HeaderField]:
        key = self._signer.current(call.now)
        if key is None:  # the refusal that says so
            return fields
        fields = [field for field in fields if field[0] not in _REPLACED]
        fields.append((b"content-digest", digest_field(content, self._digest)))
        request = RequestMessage.of(call.request)
        message = ResponseMessage(status, Headers(fields), request)
        parameters = Parameters(created=int(call.now), keyid=key.id, alg=ALGORITHM)
        covered = self._covered(message)
        text, member = signature_fields(LABEL, covered, parameters)
        value = base64.b64encode(key.sign(signature_base(covered, text, message)))
        fields += [
            (b"signature-input", member.encode()),
            (b"signature", b"%s=:%s:" % (LABEL.encode(), value)),
        ]
        return fields

    def _covered(self, message: ResponseMessage) -> list[Component]:
        wanted = self._components + (_OF_REQUEST + _OF_SIGNED_REQUEST if self._bind else ())
        found = (_signable(component, message) for component in wanted)
        return [component for component in found if component is not None]

    def describe(self, call: Call) -> str:
        return "the answer will be signed"


def _signable(component: Component, message: ResponseMessage) -> Component | None:
    """The component, as bytes where its text cannot be signed; None where it is absent."""
    request = message.request if ("req", True) in component.parameters else None
    headers = message.headers if request is None else request.headers
    if not component.name.startswith("@") and component.name.encode() not in headers:
        return None
    try:
        component_value(component, message)
    except SignatureRefused:
        flags = [("bs", True), *([("req", True)] if request is not None else [])]
        return Component(component.name, tuple(flags))
    return component
