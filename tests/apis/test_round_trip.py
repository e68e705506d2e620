"""Any configuration: applied, exported, applied again, changed into any other."""

import json
import os

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apis import config_file, salvage
from apis.apply import apply_file
from apis.config import Document
from apis.describe import describe
from policies.models import Generation
from policies.references import STORED, Sources

NAMES = [f"{letter}-{n}" for letter in "ab" for n in range(2)]
WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8)
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t ~|>:#-'\"{}[]"),
    min_size=8,
    max_size=24,
).filter(lambda text: text.strip() == text)
SECRETS = st.one_of(TEXT, st.sampled_from([{"env": "SECRET_ONE"}, {"env": "SECRET_TWO"}]))
SECONDS = st.floats(0.001, 3600, allow_subnormal=False) | st.integers(1, 3600)


def unique(items, by):
    return st.lists(items, max_size=3, unique_by=lambda item: item[by])


def members(required, **optional):
    return st.fixed_dictionaries(required, optional=optional)


PROVIDERS = unique(
    members(
        {
            "name": st.sampled_from(NAMES),
            "issuer": st.sampled_from(["https://one.example.org", "https://two.example.org/x"]),
            "audiences": st.lists(WORDS, min_size=1, max_size=2),
            "algorithms": st.lists(st.sampled_from(["RS256", "EdDSA"]), min_size=1, max_size=2),
        },
        enabled=st.booleans(),
        leeway=st.integers(0, 120),
        token_types=st.lists(st.sampled_from(["", "JWT", "x"]), min_size=1, max_size=3),
        client=members({"id": TEXT}, secret=SECRETS),
        grants=st.lists(
            st.sampled_from(["password", "refresh_token", "authorization_code"]), max_size=2
        ),
        scopes=st.lists(WORDS, max_size=2),
    ),
    "name",
)
CLIENTS = unique(
    members(
        {"name": st.sampled_from(NAMES)},
        enabled=st.booleans(),
        api_keys=unique(
            members(
                {"name": st.sampled_from(NAMES)},
                scopes=st.lists(WORDS, max_size=2),
                expires=st.datetimes().map(lambda moment: moment.isoformat()),
            ),
            "name",
        ),
    ),
    "name",
)
LIMITS = members(
    {"limit": st.integers(1, 1000), "per": st.integers(1, 60)},
    mode=st.sampled_from(["enforce", "report", "off"]),
    by=st.sampled_from(["identity", "ip", "header:X-Team"]),
    on_failure=st.sampled_from(["deny", "allow"]),
)
POLICIES = st.fixed_dictionaries(
    {}, optional={"rate_limit": LIMITS, "body_limit": st.just({})}
).map(lambda kinds: [{kind: options} for kind, options in kinds.items()])
ROUTES = unique(
    members(
        {"path": st.sampled_from(["/", "/x", "/x/{id}", "/{rest*}"])},
        methods=st.lists(st.sampled_from(["GET", "POST"]), max_size=2, unique=True),
        policies=POLICIES,
    ),
    "path",
)
APIS = unique(
    members(
        {
            "name": st.sampled_from(NAMES),
            "upstream": members(
                {
                    "targets": st.lists(
                        members(
                            {"url": st.sampled_from(["http://127.0.0.1:1", "https://h/v1"])},
                            weight=st.integers(1, 9),
                        ),
                        min_size=1,
                        max_size=2,
                    )
                },
                connect_timeout=SECONDS,
                host=st.sampled_from(["h", "h:80", None]),
                retries=st.integers(0, 3),
                health=st.just({"path": "/up"}),
                breaker=st.just({"failures": 2}),
            ),
        },
        hosts=st.lists(st.sampled_from(["*", "a.b", "*.c"]), min_size=1, max_size=2, unique=True),
        strip_base_path=st.booleans(),
        routes=ROUTES,
        policies=POLICIES,
    ),
    "name",
)


@st.composite
def files(draw):
    """A valid configuration file, as data."""
    clients = draw(CLIENTS)
    for number, client in enumerate(clients):
        for key in client.get("api_keys", []):
            key["value"] = f"key {number} {key['name']}"
    apis = draw(APIS)
    for api in apis:
        api["base_path"] = f"/{api['name']}"
        api["policies"] = [*api.get("policies", []), {"public": {}}]
    data = {"format": 1, "providers": draw(PROVIDERS), "clients": clients, "apis": apis}
    data["policies"] = draw(POLICIES)
    return json.loads(json.dumps(data))  # nothing shared: YAML would write it as an alias


ENVIRONMENT = {"SECRET_ONE": "the first secret", "SECRET_TWO": "the second secret"}


def apply(raw: str, folder, *, prune: bool = True) -> str:
    sources = Sources(folder, {**os.environ, **ENVIRONMENT})
    outcome = apply_file(raw.encode(), sources, dry_run=False, prune=prune)
    assert outcome.problems == ()
    return outcome.diff


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files())
def test_any_file_can_be_applied_over_any_other_exported_and_applied_again(operator, data):
    """Examples follow each other in one database: each is a change of the one before."""
    before = Generation.all_values()
    diff = apply(yaml.safe_dump(data, allow_unicode=True), operator.folder)
    counted = Generation.all_values()
    assert (counted != before) == bool(diff)
    exported = config_file.write(describe())
    for secret in ENVIRONMENT.values():
        assert secret not in exported
    assert apply(exported, operator.folder) == ""
    assert apply(yaml.safe_dump(data), operator.folder) == ""
    assert config_file.write(describe()) == exported
    assert Generation.all_values() == counted


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy"), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def broken(draw):
    """A file with junk put in at any places."""
    data = draw(files())
    for _ in range(draw(st.integers(1, 4))):
        node = data
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.booleans()):
                node = node[key]
                continue
            node[key] = draw(JUNK)
            break
    return data


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken())
def test_what_is_saved_of_a_broken_file_is_valid_and_nothing_is_saved_silently(data):
    found = salvage.validate(data, None)
    if found.document is None:
        assert found.problems
        return
    assert (found.problems == []) == (found.left_out is None)
    if not found.problems:
        assert found.document == Document.model_validate(data)
    for at, api in enumerate(found.document.apis):
        _, number = found.place(f"apis[{at}]").rstrip("]").split("[")
        assert data["apis"][int(number)]["name"] == api.name


def test_a_stored_form_is_refused_from_outside():
    sealed = {"sealed": "x", "context": "y"}
    data = {"format": 1, "clients": [{"name": "c", "api_keys": [{"name": "k", "value": sealed}]}]}
    assert salvage.validate(data, STORED).problems == []
    (problem,) = salvage.validate(data, None).problems
    assert problem.path == "clients[0].api_keys[0].value"
