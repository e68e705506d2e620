"""The family of refusals: every code a caller can meet, its status, and whose fault it is.

The codes are part of the product's public contract: they never change their meaning.
A policy refuses by returning ``Deny(code, detail)``; ``apis.gateway.render`` alone turns
that into bytes, so the wire form (RFC 9457) exists once.
"""

from enum import Enum
from typing import NamedTuple


class Fault(Enum):
    """Whose mistake a refusal reports: it decides what is logged, and how loudly."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    OPERATOR = "operator"


class Refusal(NamedTuple):
    """What the wire says for one code: the HTTP status and the short human title."""

    status: int
    title: str
    fault: Fault


def _family(fault: Fault, rows: dict[int, dict[str, str]]) -> dict[str, Refusal]:
    return {
        code: Refusal(status, title, fault)
        for status, titles in rows.items()
        for code, title in titles.items()
    }


_CLIENT = {
    400: {
        "request_malformed": "The request is not well-formed HTTP",
        "request_invalid": "The request does not match the API description",
        "credentials_ambiguous": "More than one credential was presented",
        "injection_detected": "The request looks like an injection attack",
        "digest_mismatch": "The content does not match its digest",
    },
    401: {
        "credentials_missing": "No credentials were presented",
        "token_malformed": "The token is malformed",
        "token_signature": "The token's signature is not valid",
        "token_algorithm": "The token's algorithm is not accepted",
        "token_expired": "The token has expired",
        "token_not_yet_valid": "The token is not valid yet",
        "token_issuer": "The token's issuer is not accepted",
        "token_audience": "The token is meant for another audience",
        "token_type": "The token is of another type",
        "token_revoked": "The token was revoked",
        "key_unknown": "The token's key is unknown",
        "api_key_invalid": "The API key is not valid",
        "signature_missing": "The request is not signed",
        "signature_invalid": "The request's signature is not valid",
        "timestamp_missing": "The request carries no timestamp",
        "timestamp_outside_window": "The request's timestamp is outside the accepted window",
        "nonce_missing": "The request carries no nonce",
        "nonce_replayed": "The request's nonce was used before",
        "session_invalid": "The session is not valid",
    },
    403: {
        "https_required": "HTTPS is required",
        "ip_refused": "The client's address is not accepted",
        "insufficient_scope": "The token lacks a required scope",
        "claim_refused": "A claim of the token is not accepted",
        "client_refused": "The client is not accepted here",
    },
    404: {"route_not_found": "No route matches the request"},
    405: {"method_not_allowed": "The route does not accept this method"},
    406: {"not_acceptable": "No acceptable representation exists"},
    408: {"request_timeout": "The request did not arrive in time"},
    413: {"body_too_large": "The request's body is too large"},
    415: {"media_type_unsupported": "The request's media type is not accepted"},
    421: {"host_refused": "The request's host is not served here"},
    426: {"upgrade_refused": "The route does not accept this upgrade"},
    429: {
        "rate_limited": "Too many requests",
        "quota_exhausted": "The quota is used up",
        "too_many_concurrent": "Too many requests at the same time",
    },
    431: {"headers_too_large": "The request's header section is too large"},
}

_UPSTREAM = {
    502: {
        "upstream_unreachable": "The upstream cannot be reached",
        "upstream_invalid": "The upstream's answer is not valid",
    },
    503: {"upstream_unavailable": "No target of the upstream is available"},
    504: {"upstream_timeout": "The upstream did not answer in time"},
}

_OPERATOR = {
    503: {
        "provider_unavailable": "The identity provider cannot be reached",
        "state_unavailable": "Shared state cannot be reached",
        "misconfigured": "The route is misconfigured",
        "draining": "The gateway is shutting down",
    },
}

REFUSALS: dict[str, Refusal] = {
    **_family(Fault.CLIENT, _CLIENT),
    **_family(Fault.UPSTREAM, _UPSTREAM),
    **_family(Fault.OPERATOR, _OPERATOR),
}


class StateUnavailable(Exception):
    """Shared state cannot answer: a dependency's failure, never a verdict on the caller."""
