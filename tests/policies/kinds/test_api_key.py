"""``api_key``: which key is accepted where, and what the refusal says."""

import asyncio
from typing import Any

import pytest

from policies.core.callers import NoClients
from policies.core.chain import Attached, compile_chain
from policies.core.values import PASS, Deny, Identity
from policies.kinds.api_key import ApiKey, ApiKeyPolicyConfig

PARTNER = Identity(
    kind="api_key", subject="partner-a", client="partner-a", scopes=frozenset({"read"})
)
KEY = (b"x-api-key", b"the key")


class Clients(NoClients):
    """One key of one client."""

    def api_key(self, key: bytes, now: float) -> Identity | None:
        return PARTNER if key == b"the key" else None


@pytest.fixture
def run(make_services: Any, make_call: Any) -> Any:
    """What a route with the policy says of a call with these header lines."""

    def ask(*fields: tuple[bytes, bytes], mode: Any = "enforce", **options: Any) -> Any:
        policy = ApiKey(ApiKeyPolicyConfig(**options), make_services(clients=Clients()))
        chain = compile_chain([Attached(policy, "api_key", mode)], lambda *_: None)
        call = make_call(fields=list(fields))
        decision = asyncio.run(chain.run(call))
        assert (decision is PASS) == (call.identity is PARTNER)
        return decision

    return ask


def code(decision: Any) -> str:
    assert isinstance(decision, Deny), decision
    return decision.code


def test_B5_the_key_of_a_client_passes(run: Any) -> None:
    assert run(KEY) is PASS


@pytest.mark.parametrize("value", [b"", b"another", b"the key, the key", b"ApiKey the key"])
def test_B5_any_other_key_is_one_and_the_same_refusal(run: Any, value: bytes) -> None:
    refused = run((b"x-api-key", value))
    assert (refused.code, refused.refusal.status) == ("api_key_invalid", 401)
    assert refused == run((b"x-api-key", b"a third one"))


def test_B1_a_refusal_says_how_to_authenticate(run: Any) -> None:
    for refused in (run(), run((b"x-api-key", b"?"))):
        assert refused.fields == ((b"www-authenticate", b'ApiKey realm="gatehouse"'),)
    refused = run(KEY, scopes=("write",))
    assert refused.refusal.status == 403
    assert b'error="insufficient_scope", scope="write"' in refused.fields[0][1]


def test_B2_two_keys_are_none(run: Any) -> None:
    assert code(run(KEY, KEY)) == "credentials_ambiguous"
    assert code(run(KEY, (b"x-api-key", b"?"))) == "credentials_ambiguous"


def test_the_header_is_the_routes_choice(run: Any) -> None:
    assert run((b"x-partner", b"the key"), header="X-Partner") is PASS
    assert code(run(KEY, header="X-Partner")) == "credentials_missing"


def test_J13_every_scope_is_needed_and_compared_exactly(run: Any) -> None:
    assert run(KEY, scopes=("read",)) is PASS
    for scopes in (("read", "write"), ("reader",), ("READ",)):
        assert code(run(KEY, scopes=scopes)) == "insufficient_scope"


def test_only_the_named_clients_may_call(run: Any) -> None:
    assert run(KEY, clients=("partner-a", "b")) is PASS
    refused = run(KEY, clients=("partner",))
    assert (refused.code, refused.refusal.status) == ("client_refused", 403)


def test_P14_the_key_is_kept_from_the_upstream(make_services: Any) -> None:
    policy = ApiKey(ApiKeyPolicyConfig(header="X-Partner"), make_services())
    assert policy.consumes == {b"x-partner"}
