"""Which policies hold on a route, told as configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis.config import ApiConfig, RouteConfig
from apis.precedence import effective_policies
from policies.entries import PolicyEntry

JWT = {"jwt": {"providers": ["acme"]}}
WRITE = {"jwt": {"providers": ["acme"], "scopes": ["write"]}}
PUBLIC = {"public": {}}
LIMIT = {"rate_limit": {"limit": 1, "per": 60}}
STRICT = {"rate_limit": {"limit": 2, "per": 60}}
NAMED = {"rate_limit": {"limit": 3, "per": 1, "name": "burst"}}
HEADERS = {"security_headers": {}}


def mode(policy, mode):
    return {kind: {**options, "mode": mode} for kind, options in policy.items()}


def effective(everywhere=(), api=(), route=()):
    """``(scope, policy as in the file)`` of what holds on GET /x of orders."""
    config = ApiConfig.model_validate(
        {
            "name": "orders",
            "upstream": {"targets": [{"url": "http://h"}]},
            "policies": list(api),
            "routes": [{"methods": ["GET"], "path": "/x", "policies": list(route)}],
        }
    )
    entries = [PolicyEntry.model_validate(policy) for policy in everywhere]
    found = effective_policies(entries, config, config.routes[0])
    return [(item.scope, item.entry.model_dump()) for item in found]


G, A, R = "global", "api:orders", "route:orders GET /x"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (([HEADERS], [JWT], [LIMIT]), [(G, HEADERS), (A, JWT), (R, LIMIT)]),
        (([LIMIT], [STRICT], []), [(A, STRICT)]),
        (([LIMIT], [STRICT], [LIMIT]), [(R, LIMIT)]),
        (([LIMIT], [NAMED], []), [(G, LIMIT), (A, NAMED)]),
        (([LIMIT], [], [mode(LIMIT, "off")]), [(R, mode(LIMIT, "off"))]),
        # the identity kinds count as one
        (([JWT], [PUBLIC], []), [(A, PUBLIC)]),
        (([PUBLIC], [JWT], []), [(A, JWT)]),
        (([], [JWT], [PUBLIC]), [(R, PUBLIC)]),
        (([], [JWT], [WRITE]), [(R, WRITE)]),
        (([JWT], [], [PUBLIC, WRITE]), [(R, PUBLIC), (R, WRITE)]),
        # in mode report or off they count as none
        (([], [JWT], [mode(PUBLIC, "report")]), [(A, JWT), (R, mode(PUBLIC, "report"))]),
        (([], [JWT], [mode(JWT, "off")]), [(A, JWT), (R, mode(JWT, "off"))]),
        (([JWT], [mode(WRITE, "report")], [PUBLIC]), [(R, PUBLIC)]),
        (([mode(JWT, "report")], [mode(WRITE, "report")], []), [(A, mode(WRITE, "report"))]),
    ],
)
def test_what_holds(levels, expected):
    assert effective(*levels) == expected


POLICIES = st.lists(
    st.sampled_from([JWT, WRITE, PUBLIC, LIMIT, NAMED, HEADERS]).flatmap(
        lambda policy: st.sampled_from(["enforce", "report", "off"]).map(
            lambda name: policy if name == "enforce" else mode(policy, name)
        )
    ),
    max_size=4,
)


@given(POLICIES, POLICIES, POLICIES)
def test_no_route_loses_its_protection_by_a_policy_that_is_not_enforced(everywhere, api, route):
    """What is not enforced can be taken away without changing who may call."""

    def identities(*levels):
        return [
            (scope, policy)
            for scope, policy in effective(*levels)
            if policy.keys() & {"jwt", "public"} and "mode" not in next(iter(policy.values()))
        ]

    def enforced(level):
        return [policy for policy in level if "mode" not in next(iter(policy.values()))]

    assert identities(everywhere, api, route) == identities(
        enforced(everywhere), enforced(api), enforced(route)
    )


def test_a_route_is_called_by_its_api_methods_and_path():
    config = RouteConfig.model_validate({"methods": ["GET", "POST"], "path": "/x/{id}"})
    api = ApiConfig.model_validate(
        {
            "name": "orders",
            "upstream": {"targets": [{"url": "http://h"}]},
        }
    )
    entry = PolicyEntry.of("public", {})
    (item,) = effective_policies([], api, config.model_copy(update={"policies": (entry,)}))
    assert item.scope == "route:orders GET POST /x/{id}"
    any_method = RouteConfig(path="/y", policies=(entry,))
    assert effective_policies([], api, any_method)[0].scope == "route:orders ANY /y"
