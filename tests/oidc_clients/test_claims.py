"""What verified claims prove, and what they do not."""

from typing import Any

import pytest

from oidc_clients import claims as rules
from oidc_clients.claims import Accepted, accept, type_refusal
from oidc_clients.compact import Compact
from oidc_clients.provider import ProviderSpec, media_type
from policies.core.values import Deny

NOW = 1_800_000_000
LEEWAY = 30


def spec(**changes: Any) -> ProviderSpec:
    usual: dict[str, Any] = {
        "name": "acme",
        "issuer": "https://op.example",
        "audiences": frozenset({"urn:api"}),
        "algorithms": frozenset({"RS256"}),
    }
    return ProviderSpec(**usual | changes)


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": "https://op.example", "sub": "u", "aud": "urn:api", "exp": NOW + 60}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def accepted(one: ProviderSpec | None = None, now: float = NOW, **changes: Any) -> Accepted:
    verdict = accept(one or spec(), claims(**changes), now)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def refused(one: ProviderSpec | None = None, now: float = NOW, **changes: Any) -> str:
    verdict = accept(one or spec(), claims(**changes), now)
    assert isinstance(verdict, Deny), verdict
    return verdict.code


def test_J11_exp_boundaries_without_and_with_leeway() -> None:
    exact = spec(leeway=0)
    for now in (NOW - 1, NOW - 0.001):
        accepted(exact, now, exp=NOW)
    for now in (NOW, NOW + 1):
        assert refused(exact, now, exp=NOW) == "token_expired"
    for now in (NOW - 1, NOW, NOW + LEEWAY - 0.001):
        accepted(spec(), now, exp=NOW)
    for now in (NOW + LEEWAY, NOW + LEEWAY + 1):
        assert refused(spec(), now, exp=NOW) == "token_expired"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_J11_nbf_and_iat_boundaries(claim: str) -> None:
    for now in (NOW, NOW - LEEWAY):
        accepted(spec(), now, **{claim: NOW})
    for now in (NOW - LEEWAY - 0.001, NOW - LEEWAY - 1):
        assert refused(spec(), now, **{claim: NOW}) == "token_not_yet_valid"
    assert refused(spec(leeway=0), NOW - 0.001, **{claim: NOW}) == "token_not_yet_valid"


NOT_TIMES = ["1800000060", "", None, True, False, -1, -0.5, 2**53, 10**400, [NOW], {}]


@pytest.mark.parametrize("value", [..., *NOT_TIMES])
def test_J11_exp_must_be_there_and_a_number(value: Any) -> None:
    assert refused(exp=value) == "token_malformed"


@pytest.mark.parametrize("value", NOT_TIMES)
@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_J11_nbf_and_iat_must_be_numbers_where_they_are(claim: str, value: Any) -> None:
    assert refused(**{claim: value}) == "token_malformed"


def test_J11_fractions_of_seconds_count() -> None:
    verdict = accepted(exp=NOW + 1.5, nbf=NOW - 2.5, iat=NOW - 3)
    assert (verdict.begins, verdict.ends) == (NOW - 2.5 - LEEWAY, NOW + 1.5 + LEEWAY)


@pytest.mark.parametrize("leeway", [-1, 121])
def test_J11_leeway_is_bounded(leeway: int) -> None:
    with pytest.raises(ValueError, match="leeway"):
        spec(leeway=leeway)


@pytest.mark.parametrize("audience", ["urn:api", ["urn:api"], ["urn:other", "urn:api"]])
def test_J10_audience_as_text_or_list(audience: Any) -> None:
    assert "urn:api" in accepted(aud=audience).identity.audiences


@pytest.mark.parametrize(
    "audience",
    [
        ...,
        None,
        "",
        "urn:other",
        "urn:ap",
        "urn:api2",
        "URN:API",
        " urn:api",
        "urn:api urn:other",
        [],
        ["urn:other"],
        ["urn:api", 1],
        [["urn:api"]],
        {"urn:api": True},
        7,
    ],
)
def test_J10_audiences_that_are_not_ours(audience: Any) -> None:
    assert refused(aud=audience) == "token_audience"


def test_J10_the_audience_may_stand_in_another_claim() -> None:
    by_client = spec(audience_claim="client_id", audiences=frozenset({"app-1"}))
    assert accepted(by_client, client_id="app-1", aud=...).identity.audiences == {"app-1"}
    assert refused(by_client, client_id="app-2", aud="app-1") == "token_audience"
    assert refused(by_client, aud="app-1") == "token_audience"


@pytest.mark.parametrize(
    ("value", "scopes"),
    [
        ("read write", {"read", "write"}),
        ("read  write ", {"read", "write"}),
        ("administrator", {"administrator"}),
        ("read\twrite", {"read\twrite"}),
        (["read", "write all"], {"read", "write all"}),
        ("", set()),
        ([], set()),
        (None, set()),
        (..., set()),
        (7, set()),
        (["read", 7], set()),
        ({"read": True}, set()),
    ],
)
def test_J13_scopes_are_split_at_spaces_and_never_folded(value: Any, scopes: set[str]) -> None:
    assert accepted(scope=value).identity.scopes == scopes


def test_J13_the_scopes_may_stand_in_another_claim() -> None:
    by_roles = spec(scope_claim="roles")
    identity = accepted(by_roles, roles=["admin"], scope="read").identity
    assert identity.scopes == {"admin"}


def test_the_identity_that_a_token_proves() -> None:
    identity = accepted(client_id="app", scope="read", tenant={"id": 7}).identity
    assert identity.kind == "jwt"
    assert (identity.provider, identity.issuer) == ("acme", "https://op.example")
    assert (identity.subject, identity.client) == ("u", "app")
    assert identity.claims["tenant"] == {"id": 7}
    with pytest.raises(TypeError):
        identity.claims["sub"] = "other"  # type: ignore[index]


def test_a_client_token_may_come_without_subject() -> None:
    assert accepted(sub=..., client_id="app").identity.subject == "app"
    assert accepted(sub=..., azp="app").identity.subject == "app"
    assert accepted(azp="app").identity.client == "app"


@pytest.mark.parametrize("subject", [..., None, "", 7, ["u"], {}])
def test_a_token_of_nobody_is_malformed(subject: Any) -> None:
    assert refused(sub=subject) == "token_malformed"


@pytest.mark.parametrize("subject", [None, "", 7])
def test_an_ill_typed_subject_is_not_replaced_by_the_client(subject: Any) -> None:
    assert refused(sub=subject, client_id="app") == "token_malformed"


def typed(typ: str | None, one: ProviderSpec | None = None, **more: Any) -> Deny | None:
    token = Compact("RS256", "k", typ, b"", b"", b"")
    return type_refusal(one or spec(), token, claims(**more))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt"])
def test_J12_types_of_access_tokens(typ: str) -> None:
    assert typed(typ) is None


@pytest.mark.parametrize(
    "typ",
    [
        None,
        "",
        "logout+jwt",
        "id+jwt",
        "dpop+jwt",
        "at",
        "application/",
        "x/at+jwt",
        "\uff2a\uff37\uff34",
    ],
)
def test_J12_other_types(typ: str | None) -> None:
    assert typed(typ) is rules.TYPE


def test_J12_a_missing_type_passes_only_where_it_is_listed() -> None:
    untyped = spec(token_types=frozenset({"at+jwt", ""}))
    assert typed(None, untyped) is None
    assert typed("JWT", untyped) is rules.TYPE


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash", "events"])
@pytest.mark.parametrize("typ", ["at+jwt", "JWT"])
def test_J12_id_and_logout_tokens_are_refused_whatever_their_type(claim: str, typ: str) -> None:
    assert typed(typ, **{claim: "x"}) is rules.TYPE
    assert typed(typ, **{claim: None}) is rules.TYPE


def test_J12_media_types_are_compared_without_application() -> None:
    assert media_type("application/AT+jwt") == "at+jwt"
    assert media_type("application/a/b") == "application/a/b"
    assert media_type("text/at+jwt") == "text/at+jwt"
    assert media_type("\u212a+JWT") == "\u212a+JWT"  # the Kelvin sign is no k
    assert media_type("application/") == "application/"  # and this is no missing type
