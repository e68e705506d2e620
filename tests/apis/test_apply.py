"""Applying a configuration file: all of it or nothing, and nothing twice."""

import sqlite3

import pytest
from django.db import connection

from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from oidc_clients.models import ApiKey, Client, Provider, ProviderClient, SigningKey
from policies.models import Generation

CANARY = "canary-4711-not-to-be-seen"

FULL = """
format: 1
providers:
  - name: acme
    issuer: http://127.0.0.1:9101
    insecure_http: true
    audiences: [urn:test:api]
    algorithms: [RS256, ES256]
    client: {id: gw, secret: {env: ACME_SECRET}}
    grants: [client_credentials, password]
    scopes: [openid, read]
clients:
  - name: partner-a
    api_keys: [{name: main, value: {env: PARTNER_KEY}, scopes: [read], expires: 2027-01-01}]
    signing_keys:
      - {id: partner-a-2, algorithm: hmac-sha256, secret: {file: hmac.secret}}
policies:
  - security_headers: {}
apis:
  - name: orders
    base_path: /orders
    upstream:
      targets: [{url: http://127.0.0.1:9000}, {url: "http://127.0.0.1:9001/v2", weight: 3}]
      connect_timeout: 2.5
      health: {path: /healthz}
      breaker: {failures: 3}
    policies:
      - jwt: {providers: [acme], scopes: [read]}
      - rate_limit: {limit: 100, per: 60, by: identity}
    routes:
      - {methods: [GET], path: "/items/{id}"}
      - {methods: [POST], path: /items, policies: [{jwt: {providers: [acme], scopes: [write]}}]}
      - {methods: [GET], path: /status, policies: [{public: {}}]}
      - {methods: [GET], path: /feed, websocket: true}
"""

PUBLIC = """
format: 1
apis:
  - name: {name}
    base_path: /{name}
    upstream: {{targets: [{{url: "http://127.0.0.1:9000"}}]}}
    policies: [{{public: {{}}}}]
"""

MODELS = (Provider, ProviderClient, Client, ApiKey, SigningKey, Api, Upstream, Target, Route)


def counts() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (*MODELS, AttachedPolicy)}


@pytest.fixture
def secrets(operator, monkeypatch):
    """The environment and the file that ``FULL`` refers to."""
    monkeypatch.setenv("ACME_SECRET", f"{CANARY}-env")
    monkeypatch.setenv("PARTNER_KEY", f"{CANARY}-key")
    operator.write(f"{CANARY}-file\n", "hmac.secret")
    return monkeypatch


def test_everything_that_the_file_names_is_stored(operator, secrets):
    ran = operator.apply(FULL)
    assert ran.status == 0
    assert ran.out.startswith("--- before\n+++ after\n")
    assert ran.out.endswith("Applied.\n")
    assert counts() == {
        "Provider": 1,
        "ProviderClient": 1,
        "Client": 1,
        "ApiKey": 1,
        "SigningKey": 1,
        "Api": 1,
        "Upstream": 1,
        "Target": 2,
        "Route": 4,
        "AttachedPolicy": 5,
    }
    assert ProviderClient.objects.get().secret.reveal() == f"{CANARY}-env"
    assert SigningKey.objects.get().secret.reveal() == f"{CANARY}-file"
    assert operator.generation() == 1


def test_applying_again_changes_nothing(operator, secrets):
    operator.apply(FULL)
    before = [list(model.objects.values()) for model in MODELS]
    again = operator.apply(FULL)
    assert (again.status, again.out) == (0, "Nothing to change.\n")
    assert [list(model.objects.values()) for model in MODELS] == before
    assert operator.generation() == 1


def test_exporting_and_applying_changes_nothing(operator, secrets, tmp_path):
    operator.apply(FULL)
    exported = operator.export()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = elsewhere / "exported.yaml"
    path.write_text(exported)
    assert operator.run("apply_config", str(path), "--prune").out == "Nothing to change.\n"
    assert operator.export() == exported


def test_a_dry_run_prints_the_difference_and_changes_nothing(operator, secrets):
    ran = operator.apply(FULL, "--dry-run")
    assert ran.status == 0
    assert "+- name: orders" in ran.out
    assert ran.out.endswith("Nothing was changed: dry run.\n")
    assert set(counts().values()) == {0}
    assert Generation.all_values() == {}


def test_a_change_is_one_generation_and_shows_as_a_difference(operator, secrets):
    operator.apply(FULL)
    ran = operator.apply(FULL.replace("limit: 100", "limit: 50"))
    changed = [line for line in ran.out.splitlines()[2:] if line[0] in "+-"]
    assert changed == ["-      limit: 100", "+      limit: 50"]
    assert operator.generation() == 2


def test_what_the_file_does_not_name_stays(operator):
    operator.apply(PUBLIC.format(name="one"))
    operator.apply(PUBLIC.format(name="two"))
    assert set(Api.objects.values_list("name", flat=True)) == {"one", "two"}


def test_prune_deletes_what_the_file_does_not_name(operator, secrets):
    operator.apply(FULL)
    ran = operator.apply(PUBLIC.format(name="two"), "--prune")
    assert ran.status == 0
    assert counts() == dict.fromkeys(counts(), 0) | {
        "Api": 1,
        "Upstream": 1,
        "Target": 1,
        "AttachedPolicy": 2,  # the file does not mention the global ones
    }
    assert operator.generation() == 2


def test_global_policies_are_named_by_their_key(operator):
    operator.apply(PUBLIC.format(name="one") + "policies: [{security_headers: {}}]\n")
    operator.apply(PUBLIC.format(name="one"))
    assert AttachedPolicy.objects.filter(api=None, route=None).count() == 1
    operator.apply(PUBLIC.format(name="one") + "policies: []\n")
    assert AttachedPolicy.objects.filter(api=None, route=None).count() == 0


def test_a_nested_part_that_is_left_out_goes(operator, secrets):
    operator.apply(FULL)
    without = FULL.replace("      health: {path: /healthz}\n", "").replace(
        "    client: {id: gw, secret: {env: ACME_SECRET}}\n", ""
    )
    operator.apply(without.replace("    api_keys:", "    #"))
    assert Upstream.objects.get().health is None
    assert not ProviderClient.objects.exists()
    assert not ApiKey.objects.exists()


def test_rows_that_stay_keep_their_identity(operator, secrets):
    operator.apply(FULL)
    before = dict(Route.objects.values_list("path", "id"))
    operator.apply(FULL.replace("path: /feed", "path: /stream"))
    after = dict(Route.objects.values_list("path", "id"))
    assert before.pop("/feed") != after.pop("/stream")
    assert before == after


@pytest.mark.parametrize(
    ("arrange", "reference"),
    [
        (lambda operator, env: env.setenv("ACME_SECRET", "another one"), "env: ACME_SECRET"),
        (lambda operator, env: env.setenv("PARTNER_KEY", "another key"), "env: PARTNER_KEY"),
        (
            lambda operator, env: operator.write("another secret, as long", "hmac.secret"),
            "file: {folder}/hmac.secret",
        ),
    ],
    ids=["env", "api key", "file"],
)
def test_a_changed_secret_shows_only_that_it_changed(operator, secrets, arrange, reference):
    operator.apply(FULL)
    arrange(operator, secrets)
    ran = operator.apply(FULL)
    reference = reference.format(folder=operator.folder)
    changed = [line for line in ran.out.splitlines() if line.startswith("+ ")]
    assert len(changed) == 1
    assert changed[0].strip().endswith(f"{{{reference}, changed: true}}")
    assert "another" not in ran.out
    assert operator.apply(FULL).out == "Nothing to change.\n"


def test_keep_leaves_the_stored_secret(operator, secrets):
    operator.apply(FULL)
    kept = FULL.replace("{env: ACME_SECRET}", "{keep: true}").replace(
        "{env: PARTNER_KEY}", "{keep: true}"
    )
    assert operator.apply(kept).out == "Nothing to change.\n"
    operator.apply(kept.replace("id: gw", "id: gateway"))
    client = ProviderClient.objects.get()
    assert (client.client_id, client.secret.reveal()) == ("gateway", f"{CANARY}-env")


def test_keep_is_a_problem_when_nothing_is_stored(operator, secrets):
    ran = operator.apply(FULL.replace("{env: ACME_SECRET}", "{keep: true}"))
    assert ran.problems == [
        "providers[0].client.secret (line 9): nothing is stored that could be kept: give the "
        "secret, {env: NAME} or {file: path}"
    ]


def test_a_secret_written_into_the_file_is_exported_as_kept(operator, secrets):
    operator.apply(FULL.replace("{env: ACME_SECRET}", f"{CANARY}-plain"))
    assert "secret: {keep: true}" in operator.export()
    assert operator.apply(operator.export()).out == "Nothing to change.\n"


def test_A1_no_secret_is_printed_or_stored_in_clear(operator, secrets, tmp_path):
    text = FULL.replace("{env: ACME_SECRET}", f"{CANARY}-plain")
    printed = [operator.apply(text), operator.apply(FULL), operator.apply(FULL + "unknown: 1\n")]
    assert [ran.status for ran in printed] == [0, 0, 2]
    assert not any(CANARY in ran.out + ran.err for ran in printed)
    assert CANARY not in operator.export()
    assert CANARY not in _dump()


def _dump() -> str:
    """Everything that the configuration's tables hold, as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            if table.startswith(("apis_", "oidc_clients_", "policies_")):
                cursor.execute(f'SELECT * FROM "{table}"')
                rows += cursor.fetchall()
    assert len(rows) > 10
    return str(rows)


REFUSED = """
format: 1
surprise: 1
providers:
  - name: acme
    issuer: http://op.example.org
    audiences: [x]
    leeway: 121
    algorithms: [HS256, RS256]
    client: {id: gw, secret: {env: ABSENT}}
apis:
  - name: orders
    base_path: /orders/
    upstream: {targets: [{url: "http://10.0.0.1"}]}
    policies:
      - jwt: {providers: [unheard-of]}
      - antivirus: {}
    routes:
      - {methods: [get], path: /x}
"""


def test_every_problem_is_listed_by_its_path_and_nothing_changes(operator):
    operator.apply(PUBLIC.format(name="one"))
    before, generation = counts(), operator.generation()
    ran = operator.apply(REFUSED)
    places = [line.split(": ")[0] for line in ran.problems]
    assert places == [
        "providers[0].algorithms[0] (line 9)",
        "providers[0].leeway (line 8)",
        "providers[0].client.secret (line 10)",
        "apis[0].base_path (line 13)",
        "apis[0].policies[1] (line 17)",
        "apis[0].routes[0].methods[0] (line 19)",
        "surprise (line 3)",
        "providers[0].issuer (line 6)",
        "apis[0].upstream.targets[0].url (line 14)",
        "apis[0].policies[0].jwt.providers[0] (line 16)",
    ]
    assert counts() == before
    assert operator.generation() == generation


def test_F6_a_refused_file_leaves_the_configuration_as_it_is(operator, secrets):
    operator.apply(FULL)
    exported = operator.export()
    ran = operator.apply(FULL.replace("limit: 100", "limit: 50") + "surprise: 1\n", "--prune")
    assert ran.problems == ["surprise (line 35): unknown key"]
    assert operator.export() == exported
    assert operator.generation() == 1


def test_F6_a_failure_while_writing_leaves_the_configuration_as_it_is(
    operator, secrets, monkeypatch
):
    def fails(*args, **kwargs):
        raise sqlite3.OperationalError("disk full")

    operator.apply(PUBLIC.format(name="one"))
    monkeypatch.setattr("apis.store._save_routes", fails)
    with pytest.raises(sqlite3.OperationalError):
        operator.apply(FULL)
    assert not Provider.objects.exists()
    assert operator.generation() == 1


def test_F7_an_unknown_kind_is_refused(operator):
    ran = operator.apply(PUBLIC.format(name="one").replace("public", "pubic"))
    assert len(ran.problems) == 1
    assert ran.problems[0].startswith(
        "apis[0].policies[0] (line 7): unknown policy kind; known are"
    )


def test_a_policy_may_use_what_is_stored_already(operator, secrets):
    operator.apply(FULL)
    text = PUBLIC.format(name="two").replace("public: {}", "jwt: {providers: [acme]}")
    assert operator.apply(text).status == 0
    ran = operator.apply(text.replace("acme", "umbrella"))
    assert ran.problems == [
        "apis[0].policies[0].jwt.providers[0] (line 7): no provider is called umbrella: "
        "add it to providers"
    ]


def test_a_change_that_breaks_what_the_file_does_not_name_is_refused(operator, secrets):
    operator.apply(FULL)
    operator.apply(PUBLIC.format(name="two").replace("public: {}", "security_headers: {}")
                   + "policies: [{public: {}}]\n")  # fmt: skip
    ran = operator.apply("format: 1\npolicies: []\n")
    assert ran.problems == [
        "apis.two: nothing here says who may call: attach an identity policy such as jwt, "
        "or say public: {} for everybody (in the stored configuration)"
    ]


def test_two_keys_of_one_value_are_refused(operator, secrets):
    operator.apply(FULL)
    ran = operator.apply(
        "format: 1\nclients: [{name: b, api_keys: [{name: x, value: {env: PARTNER_KEY}},"
        " {name: y, value: {env: ACME_SECRET}}, {name: z, value: {env: ACME_SECRET}}]}]\n"
    )
    assert ran.problems == [
        "clients[0].api_keys[0].value (line 2): the key main of partner-a has the same value: "
        "every key needs one of its own",
        "clients[0].api_keys[2].value (line 2): the key y of b has the same value: "
        "every key needs one of its own",
    ]


def test_a_key_may_change_its_name_and_its_client(operator, secrets):
    operator.apply(FULL)
    renamed = FULL.replace("name: main", "name: first")
    assert operator.apply(renamed).status == 0
    ran = operator.apply(renamed.replace("name: partner-a", "name: partner-b"), "--prune")
    assert ran.status == 0
    assert ApiKey.objects.get().client.name == "partner-b"


def test_an_upstream_that_others_use_is_left_to_them(operator, secrets):
    operator.apply(PUBLIC.format(name="one"))
    shared = Upstream.objects.get()
    operator.apply(PUBLIC.format(name="two"))
    Api.objects.filter(name="two").update(upstream=shared)
    Upstream.objects.exclude(id=shared.id).delete()
    operator.apply(PUBLIC.format(name="two").replace(":9000", ":9002"))
    urls = dict(Api.objects.values_list("name", "upstream__targets__url"))
    assert urls == {"one": "http://127.0.0.1:9000", "two": "http://127.0.0.1:9002"}


@pytest.mark.parametrize("tls", ["{}", "null", "{ca: null, server_name: null}"])
def test_tls_that_says_nothing_changes_nothing(operator, tls):
    operator.apply(PUBLIC.format(name="one"))
    text = PUBLIC.format(name="one").replace("upstream: {", f"upstream: {{tls: {tls}, ")
    assert operator.apply(text).out == "Nothing to change.\n"


def test_a_file_that_is_not_there_is_refused(operator):
    ran = operator.run("apply_config", "absent.yaml")
    assert (ran.status, ran.err) == (2, "absent.yaml: No such file or directory")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the text is empty"),
        ("- 1", "a configuration file is a mapping: format: 1, apis: ..."),
        ("apis: []", "format: is missing"),
        ("format: 2", "format (line 1): give 1"),
        ("format: 1\napis: {}", "apis (line 2): give a list"),
        ("format: 1\nformat: 1", "line 2: format is given on line 1 already"),
    ],
)
def test_what_is_no_configuration_file_is_refused(operator, text, problem):
    assert operator.apply(text).problems == [problem]
