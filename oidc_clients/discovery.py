"""What a provider publishes about itself: its metadata (OpenID Connect Discovery 1.0, RFC 8414)
and its keys.

The metadata are believed only if their ``issuer`` is the configured one, character by
character (RFC 8414 3.3), and every endpoint in them obeys the rules of ``oidc_clients.fetch``.
Every function blocks and raises ``FetchError``.
"""

import re
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from oidc_clients.fetch import TOTAL_TIME, FetchError, Reach, check_url, get_json
from oidc_clients.jwks import KeySet
from oidc_clients.provider import ProviderSpec

WELL_KNOWN = "/.well-known/openid-configuration"

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Metadata:
    """A provider's endpoints; None for one that it does not offer."""

    issuer: str
    jwks_uri: str | None = None
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    issuer_in_response: bool = False
    """Whether it names itself in authorization responses (RFC 9207 3)."""


_ENDPOINTS = tuple(n for n in Metadata.__dataclass_fields__ if n.endswith(("_endpoint", "_uri")))


class FetchedKeys(NamedTuple):
    """A key set, and the ``max-age`` that its provider gave it, in seconds."""

    keys: KeySet
    max_age: int | None


def discover(issuer: str, reach: Reach, timeout: float = TOTAL_TIME) -> Metadata:
    """The metadata of an issuer."""
    document = get_json(issuer.removesuffix("/") + WELL_KNOWN, reach, timeout).json or {}
    if document.get("issuer") != issuer:
        raise FetchError("the metadata name another issuer than the configured one")
    members: dict[str, Any] = {name: _endpoint(document, name, reach) for name in _ENDPOINTS}
    named = document.get("authorization_response_iss_parameter_supported") is True
    return Metadata(issuer, **members, issuer_in_response=named)


def _endpoint(document: dict[str, Any], name: str, reach: Reach) -> str | None:
    url = document.get(name)
    if url is None:
        return None
    if not isinstance(url, str):
        raise FetchError(f"the metadata's {name} is not a text")
    try:
        check_url(url, reach.insecure_http)
    except FetchError as error:
        raise FetchError(f"the metadata's {name} cannot be used: {error}") from error
    return url


def fetch_keys(spec: ProviderSpec, timeout: float = TOTAL_TIME) -> FetchedKeys:
    """The keys that a provider publishes now, through discovery when no ``jwks_uri`` is set.

    A well-formed set counts even when none of its keys can be admitted: a provider that has
    withdrawn its keys is believed.
    """
    deadline = time.monotonic() + timeout
    uri = spec.jwks_uri or discover(spec.issuer, spec.reach, timeout).jwks_uri
    if uri is None:
        raise FetchError(f"the metadata of {spec.name} name no jwks_uri")
    response = get_json(uri, spec.reach, max(deadline - time.monotonic(), 0.001))
    try:
        keys = KeySet.parse(response.json or {})
    except ValueError as error:
        raise FetchError(f"the key set of {spec.name} cannot be read: {error}") from error
    return FetchedKeys(keys, _max_age(response.headers.get("cache-control", "")))


def _max_age(cache_control: str) -> int | None:
    """How long the answer may be kept (RFC 9111 5.2.2): None when nothing is said."""
    directives = cache_control.lower()
    if "no-store" in directives or "no-cache" in directives:
        return 0
    match = _MAX_AGE.search(directives)
    return int(match[1]) if match else None
