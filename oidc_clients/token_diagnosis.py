"""Why a sample token is accepted or not, in words that name the exact fault. Pure.

The verdict is that of the very functions that verify tokens in traffic; here it is only
explained. Nothing of the signature, and of the claims only what decides, is shown.
"""

from collections.abc import Iterator
from typing import Any

from oidc_clients import claims as rules
from oidc_clients.compact import MAX_TOKEN_BYTES, Compact, parse
from oidc_clients.finding import Finding, fault, listed, ok, shown, warning
from oidc_clients.jwks import KeySet
from oidc_clients.provider import ProviderSpec, media_type
from oidc_clients.strict import NotStrict, json_object
from oidc_clients.tokens import shared_secret_refusal, signature_refusal
from policies.core.values import Deny

_FOREIGN = ("nonce", "at_hash", "c_hash", "events")


def of_token(
    spec: ProviderSpec, keys: KeySet | None, token: bytes, now: float
) -> Iterator[Finding]:
    """Everything that keeps the token from being accepted, and what it would prove.

    ``keys`` is None when none could be had.
    """
    if len(token) > MAX_TOKEN_BYTES:
        yield _fault(rules.TOO_LARGE, f"it has {len(token)} bytes", "Let it carry fewer claims.")
        return
    try:
        parts = parse(token)
        claims = json_object(parts.payload)
    except NotStrict as error:
        yield _malformed(token, error)
        return
    found = [*_party(spec, claims), *_kind(spec, parts, claims)]
    found += _signature(spec, parts, keys)
    found += _times(spec, claims, now)
    found += _audience(spec, claims)
    yield from found
    if not found:
        verdict = rules.accept(spec, claims, now)
        if isinstance(verdict, Deny):
            yield _fault(verdict, verdict.detail, "Compare its claims with RFC 9068, section 2.2.")
            return
        scopes = listed(verdict.identity.scopes)
        yield ok("token", f"the token is accepted; its scopes are {scopes}")
        yield from _scope_hint(spec, claims)


def _fault(deny: Deny, message: str, advice: str) -> Finding:
    return fault("token", f"{deny.code}: {message}", advice)


def _malformed(token: bytes, error: NotStrict) -> Finding:
    dots = token.count(b".")
    if dots == 4:
        return _fault(
            rules.MALFORMED,
            "it has five parts: it is encrypted (JWE)",
            "Let the provider sign access tokens for this audience, and not encrypt them.",
        )
    if dots != 2:
        return _fault(
            rules.MALFORMED,
            "it is opaque, not a JWT",
            "Ask the provider for a JWT (often by naming an audience or a resource), or use the "
            "introspection policy.",
        )
    return _fault(rules.MALFORMED, str(error), "It was changed on its way, or is no signed JWT.")


def _party(spec: ProviderSpec, claims: dict[str, Any]) -> Iterator[Finding]:
    issuer = claims.get("iss")
    if issuer != spec.issuer:
        yield _fault(
            rules.ISSUER,
            f"its iss is {shown(issuer)}, the provider's issuer is {shown(spec.issuer)}",
            "They are compared character by character, the slash at the end included. If the "
            "token is this provider's, set issuer to what stands in it.",
        )


def _kind(spec: ProviderSpec, parts: Compact, claims: dict[str, Any]) -> Iterator[Finding]:
    typ = "" if parts.typ is None else media_type(parts.typ)
    foreign = [name for name in _FOREIGN if name in claims]
    if foreign:
        yield _fault(
            rules.TYPE,
            f"it holds {listed(foreign)}: it is an ID token or a logout token",
            "Send the access token. An ID token is for the application that signed somebody in.",
        )
    elif typ not in spec.token_types:
        name = "no typ" if parts.typ is None else f"the typ {shown(parts.typ)}"
        yield _fault(
            rules.TYPE,
            f"its header has {name}; token_types accepts {listed(spec.token_types)}",
            f"If it is an access token, add {shown(parts.typ or '')} to token_types.",
        )


def _signature(spec: ProviderSpec, parts: Compact, keys: KeySet | None) -> Iterator[Finding]:
    if parts.algorithm not in spec.algorithms:
        yield _fault(
            rules.ALGORITHM,
            f"it is signed with {shown(parts.algorithm)}; algorithms accepts "
            f"{listed(spec.algorithms)}",
            "If the provider means to sign with it, add it to algorithms.",
        )
        return
    if keys is None:
        yield _fault(rules.UNAVAILABLE, "no keys could be had to verify it", "See above.")
        return
    if spec.symmetric:
        refusal = shared_secret_refusal(parts, keys)
    else:
        refusal = signature_refusal(parts, parts.kid, keys)
    if refusal is rules.KEY_UNKNOWN:
        kids = listed(key.kid or "none" for key in keys.keys)
        yield _fault(
            rules.KEY_UNKNOWN,
            f"its kid is {shown(parts.kid)}; the keys published are {kids}",
            "It comes from another provider or tenant, was signed with a withdrawn key, or the "
            "provider is about to publish a new one.",
        )
    elif refusal is rules.ALGORITHM:
        yield _fault(
            rules.ALGORITHM,
            f"its key {shown(parts.kid)} is not one for {shown(parts.algorithm)}",
            "The provider's key set says what its keys are for: check its alg there.",
        )
    elif refusal is not None:
        yield _fault(
            refusal,
            "the signature does not verify with its key",
            "It was changed on its way, or signed with another key or secret of the same name.",
        )


def _times(spec: ProviderSpec, claims: dict[str, Any], now: float) -> Iterator[Finding]:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if (name in claims or name == "exp") and type(value) not in (int, float):
            yield _fault(
                rules.MALFORMED,
                f"its {name} is {shown(value)}, which is no number of seconds",
                "RFC 7519 wants a number there.",
            )
            return
    late = now - claims["exp"]
    if late >= spec.leeway:
        yield _fault(
            rules.EXPIRED,
            f"it expired {late:.0f} seconds ago (leeway {spec.leeway})",
            "Get a new one; if it is new, compare the clocks.",
        )
    early = max(claims.get("nbf", 0), claims.get("iat", 0)) - now
    if early > spec.leeway:
        yield _fault(
            rules.NOT_YET_VALID,
            f"it is valid in {early:.0f} seconds (leeway {spec.leeway})",
            "Compare the clocks: the provider's is ahead of this machine's.",
        )


def _audience(spec: ProviderSpec, claims: dict[str, Any]) -> Iterator[Finding]:
    value = claims.get(spec.audience_claim)
    named = [value] if isinstance(value, str) else value
    if isinstance(named, list) and any(item in spec.audiences for item in named):
        return
    claim, wanted = spec.audience_claim, listed(spec.audiences)
    if value is not None:
        yield _fault(
            rules.AUDIENCE,
            f"its {claim} is {shown(value)}; audiences accepts {wanted}",
            "If the token is meant for these APIs, add what it names to audiences.",
        )
        return
    advice = "Let the provider put the API's identifier into its access tokens."
    if claim == "aud" and isinstance(claims.get("client_id"), str):
        advice += " Where it cannot (Cognito), set audience_claim to client_id."
    elif claim != "aud" and "aud" in claims:
        advice = f"It has an aud: {shown(claims['aud'])}. Set audience_claim to aud."
    yield _fault(rules.AUDIENCE, f"it has no {claim}; audiences wants {wanted}", advice)


def _scope_hint(spec: ProviderSpec, claims: dict[str, Any]) -> Iterator[Finding]:
    if spec.scope_claim in claims:
        return
    others = [name for name in ("scope", "scp", "roles", "permissions") if name in claims]
    if others:
        yield warning(
            "token",
            f"it has no {spec.scope_claim}, but {listed(others)}",
            f"Routes that require scopes refuse it: set scope_claim to {others[0]}, if that is "
            "where this provider puts them.",
        )
