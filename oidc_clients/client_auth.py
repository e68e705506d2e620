"""How a client proves itself to a provider's endpoints (RFC 6749 2.3, RFC 7523). Pure.

A secret goes in the ``Authorization`` header alone, a key signs an assertion, and a public
client is only named. A provider that takes secrets in the form alone (``client_secret_post``)
is not served: a secret there ends in logs and traces of what reads forms. Where the provider's
metadata exclude the one way that a client has, nothing is sent.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote_plus

from oidc_clients.assertion import ASSERTION_TYPE, AssertionKey
from oidc_clients.metadata import Metadata

BASIC, POST, SIGNED = "client_secret_basic", "client_secret_post", "private_key_jwt"


class ClientUnusable(Exception):
    """A client cannot be used at its provider: a mistake of the operator, safe to log."""


class Proof(NamedTuple):
    """What a request says besides its own parameters."""

    form: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who a client is. Without a secret and a key it is a public client (RFC 6749 2.1).

    ``audience`` says whom assertions are meant for: ``issuer`` or ``endpoint``.
    """

    client_id: str
    secret: str | None = field(default=None, repr=False)
    key: AssertionKey | None = None
    audience: str = "issuer"

    @property
    def is_public(self) -> bool:
        """Whether it can prove nothing."""
        return self.secret is None and self.key is None

    @property
    def fingerprint(self) -> str:
        """Differs when anything about the client does, and tells nothing of it."""
        key = self.key and (self.key.fingerprint, self.key.kid)
        parts = [self.client_id, self.secret, key, self.audience]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def basic(self) -> str:
        """The value of ``Authorization`` (RFC 6749 2.3.1: each half form-urlencoded first)."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret or '')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def proof(
        self, metadata: Metadata, endpoint: str, clock: Callable[[], float] = time.time
    ) -> Proof:
        """What proves this client at the metadata's ``endpoint`` (``token_endpoint`` ...).

        Raises ``ClientUnusable``.
        """
        if self.is_public:
            return Proof({"client_id": self.client_id}, {})
        method = SIGNED if self.key is not None else BASIC
        reason = excluded(method, metadata.auth_methods(endpoint))
        if reason:
            raise ClientUnusable(reason)
        if self.key is None:
            return Proof({}, {"Authorization": self.basic()})
        try:
            key = self.key.narrowed(metadata.token_endpoint_auth_signing_alg_values_supported)
        except ValueError as error:
            raise ClientUnusable(str(error)) from error
        audience = metadata.issuer if self.audience == "issuer" else getattr(metadata, endpoint)
        assertion = key.sign(self.client_id, audience, clock())
        form = {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE}
        return Proof({**form, "client_assertion": assertion}, {})


def excluded(method: str, accepted: tuple[str, ...] | None) -> str:
    """Why a provider that accepts these methods does not take a client that way; empty: it does,
    or does not say."""
    if accepted is None or method in accepted:
        return ""
    if method == BASIC and POST in accepted:
        return (
            "the provider takes client secrets in the form alone (client_secret_post), which this "
            "gateway never sends: let it take client_secret_basic, or register a key for "
            "private_key_jwt"
        )
    return (
        f"the provider does not take {method}: its metadata name "
        f"{', '.join(accepted) or 'no method at all'}"
    )
