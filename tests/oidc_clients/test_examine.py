"""A provider check against a provider on loopback: each thing that can be wrong has its name."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.examine import examine
from oidc_clients.finding import Finding, Severity
from tests.oidc_clients.conftest import Keys
from tests.oidc_clients.loopback import AUDIENCE, Provider
from tests.oidc_clients.test_shared_secrets import SECRET, minted, spec

Check = Callable[..., list[Finding]]
CANARY = "canary-signature"


@pytest.fixture
def check(provider: Provider) -> Check:
    """A check of the provider on loopback; ``token`` may be a function of good claims."""

    def checked(token: Any = None, grants: Any = (), client: Any = None, **changes: Any) -> Any:
        return list(examine(provider.spec(**changes), client, grants, token))

    return checked


def claims(provider: Provider, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual: dict[str, Any] = {"iss": provider.issuer, "sub": "u", "aud": AUDIENCE, "scope": "read"}
    usual |= {"iat": now, "exp": now + 300} | changes
    return {name: value for name, value in usual.items() if value is not ...}


def said(found: list[Finding], severity: Severity) -> str:
    return "\n".join(
        f"{f.subject}: {f.message} | {f.advice}" for f in found if f.severity is severity
    )


def faults(found: list[Finding]) -> str:
    return said(found, Severity.FAULT)


def test_a_good_provider_and_a_good_token_have_no_fault(
    check: Check, provider: Provider, keys: Keys
) -> None:
    found = check(keys.rsa.mint(claims(provider)))
    assert {finding.severity for finding in found} == {Severity.OK}
    subjects = [finding.subject for finding in found]
    assert subjects == ["clock", "discovery", "keys", "token"]
    assert found[-1].message == "the token is accepted; its scopes are read"


def test_it_asks_twice_and_changes_nothing(check: Check, provider: Provider) -> None:
    check(grants=["password"], client=ClientCredentials("gw", "s"))
    assert dict(provider.hits) == {"metadata": 1, "jwks": 1}


@pytest.mark.parametrize(
    ("named", "advice"),
    [
        ("{issuer}/", "differs by the slash"),
        ("https://op.example/{{tenantid}}/v2.0", "a template for many tenants"),
        ("https://elsewhere.example", "set issuer to"),
        (None, "not that of an OpenID provider"),
    ],
)
def test_D1_another_issuer_is_named(
    check: Check, provider: Provider, named: str | None, advice: str
) -> None:
    provider.metadata["issuer"] = named and named.format(issuer=provider.issuer)
    text = faults(check())
    assert text.startswith("discovery: the metadata found there name the issuer")
    assert advice in text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("down", "cannot be reached"),
        ("error", "answered with status 500"),
        ("html", "content that is not JSON"),
        ("garbage", "invalid JSON"),
        ("redirect", "redirects, which is not followed | Redirects are not followed"),
        ("huge", "more than"),
    ],
)
def test_D1_what_cannot_be_fetched_is_told(
    check: Check, provider: Provider, fault: str, text: str
) -> None:
    provider.fault = fault
    assert text in faults(check())


def test_S1_a_private_address_is_told_with_the_setting(check: Check) -> None:
    text = faults(check(private_networks=()))
    assert "GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS" in text


def test_metadata_that_cannot_be_used_are_told(check: Check, provider: Provider) -> None:
    provider.metadata = {"token_endpoint": "file:///etc/passwd"}
    assert "token_endpoint cannot be used" in faults(check())
    provider.metadata = {"jwks_uri": None}
    assert "name no jwks_uri | Give jwks_uri or keys." in faults(check())
    provider.metadata = {"id_token_signing_alg_values_supported": ["PS384"]}
    assert "it signs with PS384" in said(check(), Severity.WARNING)


def test_keys_are_told_with_their_reason(check: Check, provider: Provider, keys: Keys) -> None:
    provider.keys = [keys.p256.jwk, keys.rsa.jwk | {"use": "enc"}]
    found = check()
    assert 'the key "rsa-1" is not used: its use is not sig' in said(found, Severity.WARNING)
    assert "no key verifies RS256" in said(found, Severity.WARNING)
    assert faults(found) == ""
    found = check(algorithms=frozenset({"PS256"}))
    assert "no key of the provider verifies PS256 | Its keys verify ES256" in faults(found)
    provider.keys = [keys.rsa.jwk, keys.rsa_2.named(None).jwk]
    assert "one has no kid" in said(check(), Severity.WARNING)
    provider.keys = []
    assert "no key of the provider verifies" in faults(check())


def test_a_key_set_that_is_none_is_told(check: Check, provider: Provider) -> None:
    assert "no list of keys | The address is not that of a JWK Set" in faults(
        check(jwks_uri=provider.url("/token"))
    )


@pytest.mark.parametrize(
    ("skew", "severity", "text"),
    [
        (0, Severity.OK, "the clocks agree"),
        (20, Severity.WARNING, "20 seconds ahead of this machine's"),
        (-300, Severity.FAULT, "300 seconds behind this machine's, more than the leeway of 30"),
    ],
)
def test_the_clock_is_compared(
    provider: Provider, skew: int, severity: Severity, text: str
) -> None:
    def clock() -> float:
        return int(time.time()) - skew

    found = [f for f in examine(provider.spec(), clock=clock) if f.subject == "clock"]
    (finding,) = found
    assert finding.severity is severity
    # A second may end between the answer and the question.
    assert text in finding.message or str(abs(skew) - 1) in finding.message


@pytest.mark.parametrize(
    ("changes", "header", "text"),
    [
        ({"iss": "https://other"}, {}, 'token_issuer: its iss is "https://other"'),
        ({"aud": "urn:x"}, {}, 'token_audience: its aud is "urn:x"; audiences accepts urn:test'),
        ({"aud": ...}, {}, "token_audience: it has no aud"),
        ({"aud": ..., "client_id": "c"}, {}, "set audience_claim to client_id"),
        ({"exp": 1}, {}, "token_expired: it expired"),
        ({"exp": "soon"}, {}, 'token_malformed: its exp is "soon"'),
        ({"exp": ...}, {}, "token_malformed: its exp is null"),
        ({"nbf": 4_000_000_000}, {}, "token_not_yet_valid: it is valid in"),
        ({"nonce": "n"}, {}, "token_type: it holds nonce: it is an ID token"),
        ({}, {"typ": "jose"}, 'token_type: its header has the typ "jose"'),
        ({}, {"typ": None}, "token_type: its header has no typ"),
        ({}, {"alg": "RS512"}, 'token_algorithm: it is signed with "RS512"'),
        ({}, {"kid": "other"}, 'key_unknown: its kid is "other"; the keys published are ec-1, rsa'),
        ({}, {"kid": "ec-1"}, 'token_algorithm: its key "ec-1" is not one for "RS256"'),
        ({"sub": 1}, {}, "token_malformed: The token names no subject"),
    ],
)
def test_a_token_is_told_its_exact_fault(
    check: Check,
    provider: Provider,
    keys: Keys,
    changes: dict[str, Any],
    header: dict[str, Any],
    text: str,
) -> None:
    token = keys.rsa.mint(claims(provider, **changes), header)
    assert text in faults(check(token))


def test_every_fault_of_a_token_is_told_at_once(
    check: Check, provider: Provider, keys: Keys
) -> None:
    token = keys.rsa_2.named("rsa-1").mint(claims(provider, aud="x", exp=1, iss="y"))
    text = faults(check(token))
    for code in ("token_issuer", "token_signature", "token_expired", "token_audience"):
        assert code in text


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (b"opaque-token", "opaque, not a JWT"),
        (b"a.b.c.d.e", "five parts: it is encrypted"),
        (b"a$.b.c", "token_malformed"),
        (b"x" * 9000, "it has 9000 bytes"),
        (b"..", "token_malformed"),
        ("ünïcode".encode(), "opaque"),
    ],
)
def test_what_is_no_jwt_is_told(check: Check, token: bytes, text: str) -> None:
    assert text in faults(check(token))


def test_scopes_under_another_name_are_told(check: Check, provider: Provider, keys: Keys) -> None:
    token = keys.rsa.mint(claims(provider, scope=..., scp="read"))
    assert "set scope_claim to scp" in said(check(token), Severity.WARNING)


@pytest.mark.parametrize(
    ("members", "client", "text"),
    [
        ({"token_endpoint": None}, ClientCredentials("gw", "s"), "name no token_endpoint"),
        (
            {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
            ClientCredentials("gw", "s"),
            "client_secret_post",
        ),
    ],
)
def test_D7_a_client_that_cannot_authenticate_is_told(
    check: Check, provider: Provider, members: dict[str, Any], client: Any, text: str
) -> None:
    provider.metadata = members
    assert text in faults(check(grants=["refresh_token"], client=client))


def test_D6_the_password_grant_is_warned_of(check: Check) -> None:
    found = check(grants=["password"])
    assert "RFC 9700 2.4" in said(found, Severity.WARNING)
    assert "no client of its own" in said(found, Severity.WARNING)


def test_a_shared_secret_asks_nobody(provider: Provider) -> None:
    good = minted(claims(provider, iss="https://op.example.org"), SECRET)
    bad = minted(claims(provider, iss="https://op.example.org"), SECRET + b"x")
    assert faults(list(examine(spec(SECRET), token=good))) == ""
    assert "token_signature" in faults(list(examine(spec(SECRET), token=bad)))
    assert not provider.hits


def test_a_provider_that_is_switched_off_is_told(check: Check) -> None:
    assert "switched off" in said(check(enabled=False), Severity.WARNING)


def test_B4_nothing_of_a_token_or_secret_is_shown(
    check: Check, provider: Provider, keys: Keys
) -> None:
    own = ClientCredentials("gw", CANARY)
    for changes in ({}, {"exp": 1}, {"jti": CANARY}, {"sub": CANARY}, {"email": CANARY}):
        token = keys.rsa_2.mint(claims(provider, **changes))
        found = str(check(token, grants=["password"], client=own))
        assert CANARY not in found
        assert not any(part in found for part in token.decode().split("."))


def test_what_strangers_write_is_shown_harmlessly(
    check: Check, provider: Provider, keys: Keys
) -> None:
    nasty = "\x1b[31m\r\n" + "é" * 500
    token = keys.rsa.mint(claims(provider, iss=nasty, aud=[nasty]), {"kid": "a" * 100})
    provider.metadata = {"id_token_signing_alg_values_supported": [nasty]}
    for finding in check(token):
        assert finding.message.isprintable()
        assert finding.message.isascii()
        assert len(finding.message) < 700
