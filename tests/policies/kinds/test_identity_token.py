"""``forward_identity`` with a token: what it says, to whom, for how long, and by which key."""

import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from policies.core.services import Services
from policies.core.values import ANONYMOUS, PASS, Call, Deny, Identity
from policies.kinds.forward_identity import ForwardIdentity, ForwardIdentityConfig
from tests.policies.conftest import NOW
from tests.policies.gateway_signer import ISSUER, made_key, made_signer

HEADER = b"x-identity"
Make = Callable[..., ForwardIdentity]


@pytest.fixture
def policy(make_services: Callable[..., Services]) -> Make:
    def make(signer: Any = None, **options: Any) -> ForwardIdentity:
        services = make_services(signer=signer or made_signer())
        config = ForwardIdentityConfig(**{"headers": {}, "token": "X-Identity"} | options)
        return ForwardIdentity(config, services)

    return make


def alice(**claims: Any) -> Identity:
    return Identity(
        kind="jwt",
        subject="alice",
        issuer="https://op",
        client="web",
        scopes=frozenset({"write", "read"}),
        claims=MappingProxyType({"sub": "alice", "email": "a@example.org", **claims}),
    )


@pytest.fixture
def call(make_call: Callable[..., Call]) -> Callable[..., Call]:
    def make(identity: Identity | None = None, now: float = NOW, **members: Any) -> Call:
        made = make_call(identity=identity or alice(), **members)
        made.now = now
        return made

    return make


def sent(policy: ForwardIdentity, call: Call) -> str:
    """The token that the upstream gets with a call."""
    assert policy.check(call) is PASS
    (value,) = (value for name, value in call.upstream_fields if name in policy.sets)
    return value.decode()


def read(token: str, signer: Any, **checks: Any) -> dict[str, Any]:
    """The claims, verified as an upstream verifies them: by the published keys alone."""
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = (k for k in json.loads(signer.jwks)["keys"] if k["kid"] == kid)
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, jwt.PyJWK(key), ["ES256"], options=options, **checks)
    return dict(claims)


def test_the_upstream_verifies_who_is_calling(policy: Make, call: Any) -> None:
    signer = made_signer()
    token = sent(policy(signer), call())
    assert read(token, signer, audience="orders", issuer=ISSUER) == {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "client_id": "web",
        "scope": "read write",
        "idp": "https://op",
    }
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "g-1", "typ": "JWT"}


def test_what_it_says_can_be_chosen(policy: Make, call: Any) -> None:
    signer = made_signer()
    options = {
        "token_audience": "urn:orders",
        "token_issuer": "https://edge.example",
        "token_lifetime": 300,
        "token_type": "identity+jwt",
        "token_claims": ("email", "absent", "groups"),
    }
    token = sent(policy(signer, **options), call(alice(groups=["a", "b"])))
    claims = read(token, signer, audience="urn:orders", issuer="https://edge.example")
    assert claims["exp"] - claims["iat"] == 300
    assert claims["email"] == "a@example.org"
    assert claims["groups"] == ["a", "b"]
    assert "absent" not in claims
    assert jwt.get_unverified_header(token)["typ"] == "identity+jwt"


def test_each_api_gets_an_audience_of_its_own(policy: Make, call: Any) -> None:
    signer, identity = made_signer(), alice()
    one = policy(signer)
    orders = sent(one, call(identity, route="orders GET /items"))
    again = sent(one, call(identity, route="orders POST /items"))
    stock = sent(one, call(identity, route="stock GET /items"))
    assert orders == again
    assert read(stock, signer, audience="stock")["aud"] == "stock"
    with pytest.raises(jwt.InvalidAudienceError):
        read(stock, signer, audience="orders")


def test_one_token_serves_until_half_of_its_life_is_over(policy: Make, call: Any) -> None:
    one, identity = policy(), alice()
    first = sent(one, call(identity))
    assert sent(one, call(identity, NOW + 29.9)) == first
    second = sent(one, call(identity, NOW + 30))
    assert second != first
    assert sent(one, call(alice(), NOW + 30)) != second  # another credential, another token


def test_a_token_changes_with_the_key_at_once(policy: Make, call: Any) -> None:
    signer, identity = made_signer(made_key("old")), alice()
    one = policy(signer)
    sent(one, call(identity))
    signer.replace([made_key("new")])
    assert jwt.get_unverified_header(sent(one, call(identity)))["kid"] == "new"


def test_nobody_is_told_of_an_anonymous_caller(policy: Make, call: Any) -> None:
    made = call(ANONYMOUS)
    assert policy().check(made) is PASS
    assert made.upstream_fields == []


def test_P2_the_name_of_the_header_is_reserved(policy: Make) -> None:
    assert policy().sets == {HEADER}
    assert policy(headers={"X-Subject": "sub"}).sets == {HEADER, b"x-subject"}


def test_in_authorization_it_is_a_bearer_token(policy: Make, call: Any) -> None:
    assert sent(policy(token="Authorization"), call()).startswith("Bearer eyJ")
    with pytest.raises(ValueError, match="Authorization"):
        policy(token="Authorization", authorization="pass")
    with pytest.raises(ValueError, match="twice"):
        policy(token="X-Subject", headers={"x-subject": "sub"})


def test_without_a_key_the_call_is_refused(policy: Make, call: Any) -> None:
    decision = policy(made_signer(made_key(signs_from=NOW + 1))).check(call())
    assert isinstance(decision, Deny)
    assert decision.code == "misconfigured"


def test_P13_claims_that_fit_no_line_are_refused(policy: Make, call: Any) -> None:
    decision = policy(token_claims=("email",)).check(call(alice(email="x" * 5000)))
    assert isinstance(decision, Deny)
    assert decision.code == "claim_refused"


@pytest.mark.parametrize(
    "options",
    [
        {"token": "X_Identity"},
        {"token": "Host"},
        {"token": ""},
        {"token_lifetime": 9},
        {"token_lifetime": 601},
        {"token_claims": ("iss",)},
        {"token_claims": ("exp",)},
        {"token_type": "a b"},
        {"token_audience": ""},
    ],
)
def test_what_would_mislead_an_upstream_cannot_be_configured(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ForwardIdentityConfig(**options)


def test_it_says_whether_it_needs_a_key() -> None:
    assert not ForwardIdentityConfig().signs
    assert ForwardIdentityConfig(token="X-Identity").signs
