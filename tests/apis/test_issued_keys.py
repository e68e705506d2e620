"""Keys that were issued here, and files that name their client."""

import pytest
from django.conf import settings

from oidc_clients.credentials import Peppers
from oidc_clients.issuing import issue
from oidc_clients.models import ApiKey, Client
from policies.models import Generation

ONE = "format: 1\nclients: [{name: partner-a, api_keys: [{name: main, value: {env: PARTNER_KEY}}]}]"
NONE = "format: 1\nclients: [{name: partner-a}]\n"
TAKEN = (
    "format: 1\nclients:\n- name: partner-a\n  api_keys:\n"
    "  - {name: issued, value: {keep: true}, scopes: [read]}\n"
)


@pytest.fixture
def key(operator, monkeypatch) -> str:
    """A key issued to a client that a file has made."""
    monkeypatch.setenv("PARTNER_KEY", "partner-key-canary")
    assert operator.apply(ONE).status == 0
    return issue(Client.objects.get(), "issued")


def names() -> set[str]:
    return set(ApiKey.objects.values_list("name", flat=True))


@pytest.mark.parametrize("file", [ONE, NONE])
def test_a_file_that_does_not_name_an_issued_key_leaves_it_alone(operator, key, file):
    ran = operator.apply(file)
    assert ran.status == 0
    assert "issued" in names()
    assert Peppers(settings.SECRET_KEYS).matches(ApiKey.objects.get(name="issued").digest, key)
    assert "-  - name: issued" not in ran.out


def test_a_key_of_the_file_goes_when_the_file_no_longer_names_it(operator, key):
    assert operator.apply(NONE).status == 0
    assert names() == {"issued"}


def test_prune_revokes_issued_keys_and_says_so(operator, key):
    ran = operator.apply(ONE, "--prune")
    assert ran.status == 0
    assert "-  - name: issued" in ran.out
    assert names() == {"main"}


def test_a_file_that_names_an_issued_key_takes_it_over(operator, key):
    assert operator.apply(TAKEN).status == 0
    assert names() == {"issued"}
    assert ApiKey.objects.get().scopes == ["read"]
    assert operator.apply(TAKEN).out == "Nothing to change.\n"
    assert operator.apply(NONE).status == 0
    assert names() == set()


def test_an_export_names_issued_keys_and_so_takes_them_over(operator, key):
    exported = operator.export()
    assert "name: issued" in exported
    assert operator.apply(exported).status == 0
    assert operator.apply(NONE).status == 0
    assert names() == set()


def test_a_file_may_replace_an_issued_key_by_one_of_its_own(operator, key):
    ran = operator.apply(ONE.replace("name: main", "name: issued"))
    assert ran.status == 0
    (row,) = ApiKey.objects.all()
    assert row.source == "env:PARTNER_KEY"


def test_a_dry_run_changes_no_generation(operator, key):
    before = Generation.all_values()
    assert operator.apply(NONE, "--dry-run").status == 0
    assert Generation.all_values() == before
    assert names() == {"main", "issued"}
