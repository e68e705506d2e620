"""Sign-in under way: authorization code with PKCE, from the redirect out to the redirect back.

Threat model. Somebody sends a victim a link, a code or a whole callback of their own (login
CSRF, code injection); a provider that is not the one that was asked answers (mix-up); a code
is seen by others. So, by RFC 9700 and OpenID Connect Core 1.0:

1. ``state`` is random, kept here for ``LIFETIME`` seconds, taken once, and bound to the browser
   that began by a cookie; ``nonce`` binds the ID token, and PKCE (S256) the code, to it.
2. The redirect URI is one exact text, the same in both requests.
3. ``iss`` in the answer must be the issuer that was asked, and must be there where the
   provider says that it sends it (RFC 9207).
4. Where the browser goes afterwards was checked before: a path of this origin (``local_target``).
"""

import hmac
import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from urllib.parse import urlencode

from oidc_clients.browser.grants import SignIn
from oidc_clients.browser.store import Sealer
from oidc_clients.metadata import Metadata
from policies.core.state import State
from policies.references import SecretUnreadable

LIFETIME = 600
"""Seconds a person has to sign in."""
MAX_TARGET = 2000
MAX_PARAMETER = 4096
"""Characters of a parameter of the callback."""

# Printable ASCII. A browser reads "\" as "/", and leaves out tabs and line ends; so "//", "/\"
# and their like would lead to another host.
_TARGET = re.compile(r"/(?!/)[\x21-\x5b\x5d-\x7e]*")
_OWN = re.compile(r"/auth/(?!sessions\Z)")


class CallbackRefused(Exception):
    """The callback is not the answer to a sign-in of this browser; the message says why."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that a browser began."""

    provider: str
    issuer: str
    redirect_uri: str
    target: str
    binding: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


def local_target(text: str) -> str:
    """Where to go after sign-in: ``text`` if it is a path of this origin, else its root.

    The sign-in pages themselves are none: a link to them could go round for ever.
    """
    if len(text) > MAX_TARGET or not _TARGET.fullmatch(text) or _OWN.match(text):
        return "/"
    return text


def redirect_uri(base: str, provider: str) -> str:
    """What is registered at the provider; ``base`` is the gateway's own origin."""
    return f"{base}/auth/{provider}/callback"


class Logins:
    """Sign-ins under way, in shared state. Every method raises ``StateUnavailable``."""

    def __init__(self, state: State, sealer: Sealer) -> None:
        self._state = state
        self._sealer = sealer

    async def begin(
        self, sign_in: SignIn, endpoint: str, base: str, target: str, binding: str
    ) -> str:
        """Where to send the browser. ``binding`` is what its cookie holds."""
        begun = Begun(
            provider=sign_in.provider,
            issuer=sign_in.issuer,
            redirect_uri=redirect_uri(base, sign_in.provider),
            target=local_target(target),
            binding=_digest(binding),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
        )
        state = secrets.token_urlsafe(32)
        key = _key(state)
        sealed = self._sealer.seal(json.dumps(asdict(begun)), key)
        await self._state.publish(key, sealed.encode(), LIFETIME)
        query = {
            **sign_in.parameters,
            "response_type": "code",
            "client_id": sign_in.client.client_id,
            "redirect_uri": begun.redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *sign_in.scopes))),
            "state": state,
            "nonce": begun.nonce,
            "code_challenge": _challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def take(self, state: str, provider: str, binding: str) -> Begun:
        """The sign-in that ``state`` belongs to, this once. Raises ``CallbackRefused``."""
        key = _key(state)
        sealed = await self._state.read(key)
        begun = self._opened(key, sealed) if sealed is not None else None
        if begun is None or begun.provider != provider:
            raise CallbackRefused("no such sign-in is under way, or it took too long")
        if not hmac.compare_digest(begun.binding, _digest(binding)):
            raise CallbackRefused("this sign-in was begun in another browser")
        if not await self._state.remember_once(f"{key}:taken", LIFETIME):
            raise CallbackRefused("this sign-in was completed before")
        await self._state.delete(key)
        return begun

    def _opened(self, key: str, sealed: bytes) -> Begun | None:
        try:
            return Begun(**json.loads(self._sealer.open(sealed.decode(), key)))
        except SecretUnreadable:
            return None  # sealed with a key that is configured no longer


def single(query: Mapping[str, list[str]], name: str) -> str:
    """A parameter of the callback; empty when it is absent. Raises ``CallbackRefused``."""
    values = query.get(name, [])
    if len(values) > 1 or any(len(value) > MAX_PARAMETER for value in values):
        raise CallbackRefused(f"its {name} is repeated, or too long")
    return values[0] if values else ""


def check_issuer(given: str, sign_in: SignIn, metadata: Metadata) -> None:
    """RFC 9207 2.4. Raises ``CallbackRefused``."""
    if given and given != sign_in.issuer:
        raise CallbackRefused("another issuer than the one that was asked answers")
    if not given and metadata.issuer_in_response:
        raise CallbackRefused("the issuer says that it names itself, and does not")


def _key(state: str) -> str:
    return "sign-in:" + _digest(state)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _challenge(verifier: str) -> str:
    """RFC 7636 4.2."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
