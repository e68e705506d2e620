"""What is wrong with a provider, from what was fetched of it: metadata, keys, its clock. Pure."""

from collections.abc import Collection, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from oidc_clients.client_auth import ClientCredentials, ClientUnusable
from oidc_clients.fetch import FetchError
from oidc_clients.finding import Finding, fault, listed, ok, shown, warning
from oidc_clients.jwks import KeySet
from oidc_clients.metadata import Metadata
from oidc_clients.provider import ProviderSpec

NOTICEABLE = 5.0
"""Seconds by which clocks may differ without being mentioned."""


def of_issuer(spec: ProviderSpec, document: dict[str, Any]) -> Finding:
    """Whether a discovery document is that of the configured issuer (RFC 8414 3.3)."""
    named = document.get("issuer")
    if named == spec.issuer:
        return ok("discovery", f"the metadata are those of {shown(named)}")
    said = f"the metadata found there name the issuer {shown(named)}"
    if not isinstance(named, str):
        return fault("discovery", said, "The address is not that of an OpenID provider's issuer.")
    if "{" in named:
        return fault(
            "discovery",
            said,
            "That is a template for many tenants: configure the issuer of one tenant, as it "
            "stands in its tokens.",
        )
    if named.rstrip("/") == spec.issuer.rstrip("/"):
        return fault(
            "discovery",
            f"{said}, which differs by the slash at its end",
            f"Set issuer to exactly {shown(named)}: it is compared character by character.",
        )
    return fault(
        "discovery",
        said,
        f"If tokens carry that one as iss, set issuer to {shown(named)}; if not, the address "
        "belongs to another provider or tenant.",
    )


def of_fetch(subject: str, error: FetchError) -> Finding:
    """Why something could not be fetched."""
    text = str(error)
    advice = "Ask the address with curl from this machine, and compare."
    if "not a public address" in text:
        advice = "A provider in a private network is allowed by GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS."
    elif "certificate" in text:
        advice = "Add the authority that signed it to this machine's trust (SSL_CERT_FILE)."
    elif "status 404" in text:
        advice = (
            "Check the issuer: its path counts, and so does a realm, tenant or server id in it."
        )
    elif "redirects" in text:
        advice = "Redirects are not followed: configure the address that it leads to."
    return fault(subject, text, advice)


def of_metadata(
    spec: ProviderSpec, metadata: Metadata, document: dict[str, Any]
) -> Iterator[Finding]:
    """What the metadata lack for what is configured."""
    if metadata.jwks_uri is None and spec.jwks_uri is None and spec.fixed_keys() is None:
        yield fault("discovery", "the metadata name no jwks_uri", "Give jwks_uri or keys.")
    signed = document.get("id_token_signing_alg_values_supported")
    if isinstance(signed, list) and spec.algorithms.isdisjoint(map(str, signed)):
        yield warning(
            "discovery",
            f"the provider says that it signs with {listed(map(str, signed))}; algorithms accepts "
            f"{listed(spec.algorithms)}",
            "That list is about ID tokens; check a sample access token, or add the algorithm.",
        )


def of_keys(spec: ProviderSpec, keys: KeySet) -> Iterator[Finding]:
    """Which keys are used, and which algorithms have none."""
    for refused in keys.refused:
        name = "without kid" if refused.kid is None else shown(refused.kid)
        yield warning(
            "keys",
            f"the key {name} is not used: {refused.reason}",
            "Tokens signed with it are refused as key_unknown. An encryption key need not be used.",
        )
    verifiable = {name for key in keys.keys for name in key.algorithms}
    usable = spec.algorithms & verifiable
    if not usable:
        yield fault(
            "keys",
            f"no key of the provider verifies {listed(spec.algorithms)}",
            f"Its keys verify {listed(verifiable)}: add the one that it signs with to algorithms.",
        )
        return
    yield ok("keys", f"{len(keys.keys)} of {len(keys.entries)} keys are used, for {listed(usable)}")
    for name in sorted(spec.algorithms - verifiable):
        yield warning(
            "keys", f"no key verifies {name}", f"Take {name} off algorithms, if it is not meant."
        )
    for name in sorted(usable):
        fitting = keys.fitting(name)
        if len(fitting) > 1 and any(key.kid is None for key in fitting) and not spec.symmetric:
            yield warning(
                "keys",
                f"of several keys for {name} one has no kid",
                "Which key signed a token cannot be told then: let the provider name all of them.",
            )


def of_clock(
    spec: ProviderSpec, date: str | None, age: str | None, now: float
) -> Iterator[Finding]:
    """How far the provider's clock is off, by the ``Date`` of an answer that came at ``now``.

    ``age`` is how long a cache has had it (RFC 9111 5.1). Dates are of whole seconds.
    """
    try:
        said = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return
    held = int(age) if age is not None and age.isascii() and age.isdigit() else 0
    skew = said + held - now
    way = "ahead of" if skew > 0 else "behind"
    seconds = f"{abs(skew):.0f} seconds"
    if abs(skew) > spec.leeway + 1:
        yield fault(
            "clock",
            f"the provider's clock is {seconds} {way} this machine's, more than the leeway of "
            f"{spec.leeway}",
            "Fresh tokens are refused as not yet valid, or expired ones pass: synchronise this "
            "machine's clock (NTP), or the provider's.",
        )
    elif abs(skew) > NOTICEABLE:
        yield warning(
            "clock",
            f"the provider's clock is {seconds} {way} this machine's",
            f"The leeway of {spec.leeway} seconds covers it; synchronise both clocks (NTP).",
        )
    else:
        yield ok("clock", "the clocks agree")


def of_client(
    client: ClientCredentials | None, grants: Collection[str], metadata: Metadata
) -> Iterator[Finding]:
    """Whether the relay can do what it is set up for."""
    if "password" in grants:
        yield warning(
            "client",
            "the password grant is relayed (RFC 9700 2.4 advises against it)",
            "Move the applications to authorization_code, then take password off the grants.",
        )
    if client is None:
        if grants:
            yield warning(
                "client",
                "the gateway has no client of its own here",
                "Callers of the token relay must bring their own client credentials.",
            )
        return
    if metadata.token_endpoint is None:
        yield fault(
            "client",
            "the metadata name no token_endpoint",
            "No token can be asked for: check that the issuer is an authorization server.",
        )
        return
    try:
        client.proof(metadata, "token_endpoint")
    except ClientUnusable as error:
        yield fault("client", str(error), "Until then the relay answers 503 misconfigured.")
    else:
        yield ok("client", "the gateway's client can authenticate as it is registered here")
