"""What is refused because values do not go together, each with its place in the document."""

import pytest

from apis.config import Document
from apis.validation import NO_IDENTITY, problems
from policies.core.addresses import networks
from tests.apis.described import BROKEN, PROBLEM, USABLE

LOOPBACK = networks(("127.0.0.0/8",))


def provider(name="acme", **members):
    return {
        "name": name,
        "issuer": f"https://{name}.example.org",
        "audiences": ["urn:a"],
        "algorithms": ["RS256"],
        **members,
    }


def api(name="orders", **members):
    return {
        "name": name,
        "base_path": f"/{name}",
        "upstream": {"targets": [{"url": "https://orders.example.org"}]},
        "policies": [{"public": {}}],
        **members,
    }


def found(allowed=LOOPBACK, left_out=None, **sections):
    document = Document.model_validate({"format": 1, **sections})
    return [(p.path, p.message) for p in problems(document, allowed, left_out=left_out)]


def places(**sections):
    return [place for place, _ in found(**sections)]


def test_a_sound_document_has_no_problems():
    assert found(providers=[provider()], clients=[{"name": "a"}], apis=[api()]) == []


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"providers": [provider(), provider()]}, "providers[1].name"),
        ({"clients": [{"name": "a"}, {"name": "a"}]}, "clients[1].name"),
        ({"apis": [api(), api(base_path="/other")]}, "apis[1].name"),
        ({"apis": [api(hosts=["a.b", "c.d", "a.b"])]}, "apis[0].hosts[2]"),
        (
            {
                "clients": [
                    {"name": "a", "api_keys": [{"name": "k", "value": f"{n}" * 9} for n in (1, 2)]}
                ]
            },
            "clients[0].api_keys[1].name",
        ),
        (
            {
                "clients": [
                    {
                        "name": name,
                        "signing_keys": [
                            {"id": "k", "algorithm": "hmac-sha256", "secret": "s" * 16}
                        ],
                    }
                    for name in "ab"
                ]
            },
            "clients[1].signing_keys[0].id",
        ),
    ],
)
def test_a_name_is_used_once(sections, place):
    assert places(**sections) == [place]


@pytest.mark.parametrize(
    ("policies", "place"),
    [
        ([{"jwt": {"providers": ["acme", "none"]}}], "apis[0].policies[0].jwt.providers[1]"),
        (
            [{"jwt": {"providers": ["acme"], "audiences": ["urn:a", "urn:b"]}}],
            "apis[0].policies[0].jwt.audiences[1]",
        ),
        ([{"public": {}}, {"public": {}}], "apis[0].policies[1].public"),
        (
            [{"public": {}}, *[{"rate_limit": {"limit": 1, "per": 1, "name": "x"}}] * 2],
            "apis[0].policies[2].rate_limit",
        ),
    ],
)
def test_a_policy_fits_the_document(policies, place):
    assert places(providers=[provider()], apis=[api(policies=policies)]) == [place]


def test_a_provider_that_is_switched_off_may_stay_referenced():
    policies = [{"jwt": {"providers": ["acme"]}}]
    assert found(providers=[provider(enabled=False)], apis=[api(policies=policies)]) == []


@pytest.mark.parametrize(
    ("first", "second", "collide"),
    [
        ({"path": "/x/{a}"}, {"path": "/x/{b}"}, True),
        ({"path": "/x", "methods": ["GET"]}, {"path": "/x", "methods": ["PUT", "GET"]}, True),
        ({"path": "/x", "methods": ["GET"]}, {"path": "/x", "methods": ["PUT"]}, False),
        ({"path": "/x", "methods": ["GET"]}, {"path": "/x"}, False),
        ({"path": "/x"}, {"path": "/x/"}, False),
        ({"path": "/x/{a}"}, {"path": "/x/{a*}"}, False),
    ],
)
def test_two_routes_must_not_match_the_same_request(first, second, collide):
    assert places(apis=[api(routes=[first, second])]) == (["apis[0].routes[1]"] * collide)


def test_routes_of_two_apis_collide_by_host_and_base_path():
    one, two = api("one", base_path="/"), api("two", base_path="/")
    assert found(apis=[one, two]) == [
        ("apis[1]", "one ANY /{rest*} has the same host, path and method: keep one of them")
    ]
    assert found(apis=[one, {**two, "hosts": ["two.example.org"]}]) == []
    assert found(apis=[one, {**two, "base_path": "/two"}]) == []


@pytest.mark.parametrize("methods", [["POST"], ["POST", "PUT"]])
def test_a_websocket_begins_with_get(methods):
    route = {"path": "/feed", "methods": methods, "websocket": True}
    assert places(apis=[api(routes=[route])]) == ["apis[0].routes[0].websocket"]
    assert found(apis=[api(routes=[{**route, "methods": ["GET", *methods]}])]) == []


def test_a_route_that_nobody_protects_must_say_public():
    unprotected = {"path": "/x", "policies": [{"security_headers": {}}]}
    public = {"path": "/y", "policies": [{"public": {}}]}
    reported = {"path": "/z", "policies": [{"public": {"mode": "report"}}]}
    routes = [unprotected, public, reported]
    assert found(apis=[api(policies=[], routes=routes)]) == [
        ("apis[0].routes[0]", NO_IDENTITY),
        ("apis[0].routes[2]", NO_IDENTITY),
    ]
    assert found(apis=[api(policies=[])]) == [("apis[0]", NO_IDENTITY)]
    assert found(policies=[{"public": {}}], apis=[api(policies=[], routes=routes)]) == []


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("https://orders.example.org", False),
        ("https://93.184.215.14", False),
        ("http://127.0.0.1:9000", False),
        ("http://[::1]:9000", True),
        ("http://10.1.2.3", True),
        ("http://169.254.169.254", True),
        ("http://[::ffff:169.254.169.254]", True),
        ("http://localhost:9000", False),
    ],
)
def test_S1_a_literal_address_is_judged_at_once_and_a_name_when_it_is_resolved(address, refused):
    upstream = {"targets": [{"url": address}]}
    expected = ["apis[0].upstream.targets[0].url"] if refused else []
    assert places(apis=[api(upstream=upstream)]) == expected


def test_S1_addresses_of_providers_are_judged_where_they_are_asked():
    private = {"issuer": "https://10.0.0.1", "jwks_uri": "https://10.0.0.2/keys"}
    assert places(providers=[provider(**private)]) == ["providers[0].jwks_uri"]
    relayed = provider(**private, grants=["client_credentials"])
    assert places(providers=[relayed]) == ["providers[0].issuer", "providers[0].jwks_uri"]


def test_what_is_merely_left_out_is_no_problem():
    policies = [{"jwt": {"providers": ["acme", "none"]}}]
    assert [
        place
        for place, _ in found(
            left_out={"acme"}, apis=[api(policies=policies), api("b", policies=[])]
        )
    ] == ["apis[0].policies[0].jwt.providers[1]"]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"openapi": USABLE}, None),
        ({}, "the policy openapi needs the API's document: add it"),
        (
            {"openapi": BROKEN},
            f"in the OpenAPI document: {PROBLEM}",
        ),
        (
            {"openapi": "{}"},
            "in the OpenAPI document: openapi: give an OpenAPI document of version",
        ),
    ],
)
@pytest.mark.parametrize("level", ["global", "api", "route"])
def test_the_policy_openapi_needs_a_document_that_compiles(level, members, problem):
    judge = [{"openapi": {}}]
    sections = {
        "global": {"policies": judge, "apis": [api(**members)]},
        "api": {"apis": [api(policies=[{"public": {}}, *judge], **members)]},
        "route": {"apis": [api(routes=[{"path": "/items", "policies": judge}], **members)]},
    }[level]
    problems = found(**sections)
    if problem is None:
        assert problems == []
    else:
        ((place, message),) = problems
        assert place == "apis[0].openapi"
        assert message.startswith(problem)


def test_a_document_that_nothing_is_judged_by_may_be_unusable():
    assert found(apis=[api(openapi=BROKEN)]) == []
    off = [{"public": {}}, {"openapi": {"mode": "off"}}]
    assert found(apis=[api(openapi=BROKEN, policies=off)]) == []


def test_a_document_that_was_left_out_is_not_missed():
    judging = api(policies=[{"public": {}}, {"openapi": {}}])
    assert found(apis=[judging], left_out=[]) == []
