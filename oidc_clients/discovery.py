"""What a provider publishes about itself: its metadata (OpenID Connect Discovery 1.0, RFC 8414)
and its keys.

The metadata are believed only if their ``issuer`` is the configured one, character by
character (RFC 8414 3.3), and every endpoint in them obeys the rules of ``oidc_clients.fetch``.
Every function blocks and raises ``FetchError``.
"""

import re
import time
from typing import Any, NamedTuple

from oidc_clients.fetch import TOTAL_TIME, FetchError, Reach, check_url, get_json
from oidc_clients.jwks import KeySet
from oidc_clients.metadata import ENDPOINTS, LISTS, Metadata
from oidc_clients.provider import ProviderSpec

WELL_KNOWN = "/.well-known/openid-configuration"

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.ASCII | re.IGNORECASE)


class FetchedKeys(NamedTuple):
    """A key set, and the ``max-age`` that its provider gave it, in seconds."""

    keys: KeySet
    max_age: int | None


def discover(issuer: str, reach: Reach, timeout: float = TOTAL_TIME) -> Metadata:
    """The metadata of an issuer."""
    document = get_json(issuer.removesuffix("/") + WELL_KNOWN, reach, timeout).json or {}
    if document.get("issuer") != issuer:
        raise FetchError("the metadata name another issuer than the configured one")
    return metadata_of(document, reach)


def metadata_of(document: dict[str, Any], reach: Reach) -> Metadata:
    """What a metadata document says of its issuer. Raises ``FetchError`` for what is unusable."""
    members: dict[str, Any] = {name: _endpoint(document, name, reach) for name in ENDPOINTS}
    members |= {name: _words(document.get(name)) for name in LISTS}
    said = document.get("authorization_response_iss_parameter_supported")
    members["issuer_in_response"] = said is True
    return Metadata(document["issuer"], **members)


def _words(value: Any) -> tuple[str, ...] | None:
    """A list of words that can be shown; what is none says nothing."""
    if not isinstance(value, list):
        return None
    words = tuple(item for item in value if isinstance(item, str) and item.isprintable())
    return words if len(words) == len(value) else None


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
