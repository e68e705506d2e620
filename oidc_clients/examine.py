"""A provider check: tries what the gateway would do with a provider, and says what it found.

It asks the provider as traffic does (``oidc_clients.fetch``), changes nothing, and takes at most
three exchanges. Blocks.
"""

import time
from collections.abc import Callable, Collection, Iterator

from oidc_clients import diagnosis
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.discovery import WELL_KNOWN, metadata_of
from oidc_clients.fetch import FetchError, Response, get_json
from oidc_clients.finding import Finding, fault, ok, warning
from oidc_clients.jwks import KeySet
from oidc_clients.metadata import Metadata
from oidc_clients.provider import ProviderSpec
from oidc_clients.token_diagnosis import of_token


def examine(
    spec: ProviderSpec,
    client: ClientCredentials | None = None,
    grants: Collection[str] = (),
    token: bytes | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Discovery, keys, clock, the gateway's client and a sample ``token``, in this order."""
    if not spec.enabled:
        yield warning(
            "provider", "the provider is switched off", "Its tokens are refused until it is on."
        )
    check = _Check(spec, clock)
    if not _asks_nothing(spec, grants):
        yield from check.discovery()
    yield from check.keys()
    if check.metadata is not None:
        yield from diagnosis.of_client(client, grants, check.metadata)
    if token is not None:
        yield from of_token(spec, check.held, token, clock())


def _asks_nothing(spec: ProviderSpec, grants: Collection[str]) -> bool:
    """Whether nothing in traffic would ever look for the provider's metadata."""
    return not grants and (spec.jwks_uri is not None or spec.fixed_keys() is not None)


class _Check:
    """One check: what was found so far."""

    def __init__(self, spec: ProviderSpec, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._clock = clock
        self._knows_clock = False
        self.metadata: Metadata | None = None
        self.held: KeySet | None = spec.fixed_keys()

    def discovery(self) -> Iterator[Finding]:
        spec = self._spec
        try:
            response = get_json(spec.issuer.removesuffix("/") + WELL_KNOWN, spec.reach)
        except FetchError as error:
            yield diagnosis.of_fetch("discovery", error)
            return
        yield from self._clocks(response)
        document = response.json or {}
        finding = diagnosis.of_issuer(spec, document)
        yield finding
        if document.get("issuer") != spec.issuer:
            return
        try:
            self.metadata = metadata_of(document, spec.reach)
        except FetchError as error:
            yield fault("discovery", str(error), "The provider's metadata are wrong there.")
            return
        yield from diagnosis.of_metadata(spec, self.metadata, document)

    def keys(self) -> Iterator[Finding]:
        spec = self._spec
        if spec.symmetric:
            number = len(spec.shared_secrets)
            yield ok("keys", f"tokens are verified with {number} shared secret(s)")
            return
        if self.held is None:
            yield from self._fetched()
        if self.held is not None:
            yield from diagnosis.of_keys(spec, self.held)

    def _fetched(self) -> Iterator[Finding]:
        spec = self._spec
        published = self.metadata.jwks_uri if self.metadata is not None else None
        uri = spec.jwks_uri or published
        if uri is None:
            return  # discovery has said why
        try:
            response = get_json(uri, spec.reach)
            self.held = KeySet.parse(response.json or {})
        except FetchError as error:
            yield diagnosis.of_fetch("keys", error)
        except ValueError as error:
            yield fault("keys", str(error), "The address is not that of a JWK Set.")
        else:
            yield from self._clocks(response)

    def _clocks(self, response: Response) -> Iterator[Finding]:
        """Once: by the first answer that says what time it is."""
        if not self._knows_clock:
            headers = response.headers
            found = list(
                diagnosis.of_clock(
                    self._spec, headers.get("date"), headers.get("age"), self._clock()
                )
            )
            self._knows_clock = bool(found)
            yield from found
