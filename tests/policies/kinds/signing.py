"""Clients that sign, and a route whose identity policy is ``signature``."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.core.callers import ClientKey
from policies.core.chain import Attached, compile_chain
from policies.core.services import Services
from policies.core.values import PASS, Answer, Call, Deny, Headers, Identity
from policies.http.components import Component, RequestMessage, signature_base
from policies.http.signatures import Parameters, signature_fields
from policies.kinds.signature import Signature, SignatureConfig
from tests.policies.conftest import NOW

COMPONENTS = ("@method", "@path", "@query", "content-digest")
PRIVATE = Ed25519PrivateKey.generate()
SECRET = b"a shared secret of enough characters"
ED25519 = ClientKey(
    "partner-a",
    "ed25519",
    PRIVATE.public_key(),
    Identity(kind="signature", subject="partner-a", client="partner-a"),
)
HMAC = ClientKey(
    "partner-b",
    "hmac-sha256",
    SECRET,
    Identity(kind="signature", subject="partner-b", client="partner-b"),
)


@dataclass(frozen=True)
class Keys:
    """The clients of the test."""

    keys: dict[str, ClientKey]

    def signing_key(self, key_id: str) -> ClientKey | None:
        return self.keys.get(key_id)

    def api_key(self, key: bytes, now: float) -> Identity | None:
        return None


CLIENTS = Keys({"a-1": ED25519, "b-1": HMAC})


def digest(content: bytes, name: str = "sha-256") -> bytes:
    value = base64.b64encode(hashlib.new(name.replace("-", ""), content).digest())
    return b"%s=:%s:" % (name.encode(), value)


def signed(
    call: Call,
    components: Iterable[str] = COMPONENTS,
    content: bytes | None = None,
    label: str = "sig1",
    sign: Callable[[bytes], bytes] = PRIVATE.sign,
    **parameters: Any,
) -> Call:
    """The call with a signature over the components, less content-digest where it has none."""
    fields = list(call.request.headers.fields)
    if content is not None:
        fields.append((b"content-digest", digest(content)))
        length = len(content) if call.request.body_length == 0 else call.request.body_length
        call.request = replace(call.request, headers=Headers(fields), body_length=length)
    names = [n for n in components if n != "content-digest" or b"content-digest" in dict(fields)]
    covered = [Component.parse(name) for name in names]
    given = {"created": int(NOW), "nonce": "n-1", "keyid": "a-1"} | parameters
    text, member = signature_fields(label, covered, Parameters(**given))
    base = signature_base(covered, text, RequestMessage.of(call.request))
    value = base64.b64encode(sign(base)).decode()
    fields += [
        (b"signature-input", member.encode()),
        (b"signature", f"{label}=:{value}:".encode()),
    ]
    call.request = replace(call.request, headers=Headers(fields))
    return call


def by_hmac(base: bytes) -> bytes:
    return hmac.digest(SECRET, base, "sha256")


class Route:
    """A route with the policy, run as the chain runs it."""

    def __init__(self, services: Services, mode: str = "enforce", **options: Any) -> None:
        self.services = replace(services, clients=CLIENTS)
        self.policy = Signature(SignatureConfig(**options), self.services)
        self.reported: list[str] = []
        self.chain = compile_chain(
            self.attached(mode), lambda name, call, deny: self.reported.append(deny.code)
        )

    def attached(self, mode: str) -> list[Attached]:
        return [Attached(self.policy, "signature", mode)]  # type: ignore[arg-type]

    def refusal(self, call: Call) -> Deny | None:
        decision = asyncio.run(self.chain.run(call))
        assert not isinstance(decision, Answer)
        return None if decision is PASS else decision  # type: ignore[return-value]

    def code(self, call: Call) -> str:
        """The code of the refusal, "" when the call passes."""
        deny = self.refusal(call)
        return deny.code if deny is not None else ""

    def stream(self, call: Call, chunks: Iterable[bytes]) -> tuple[str, int]:
        """The code with which the body is refused, and how many of its bytes went on before."""
        watches = self.chain.watch(call)
        forwarded = 0
        for chunk in chunks:
            for watch in watches:
                deny = watch.feed(chunk)
                if deny is not None:
                    return deny.code, forwarded
            forwarded += len(chunk)
        for watch in watches:
            deny = watch.end()
            if deny is not None:
                return deny.code, forwarded
        return "", forwarded
