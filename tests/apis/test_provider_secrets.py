"""Shared secrets and client keys through the configuration file: read, kept, rotated, exported."""

import pytest

from oidc_clients.models import Provider
from policies.models import Generation
from tests.oidc_clients.relay.conftest import private_key

NEW, OLD = "n" * 32 + "-canary", "o" * 32 + "-canary"
HS = """
format: 1
providers:
  - name: acme
    issuer: https://op.example.org
    audiences: [urn:a]
    algorithms: [HS256]
    shared_secret: {shared}
    former_shared_secret: {former}
"""
KEYED = """
format: 1
providers:
  - name: acme
    issuer: https://op.example.org
    audiences: [urn:a]
    algorithms: [ES256]
    client: {id: gw, key: {file: gw.pem}, key_id: k1, assertion_audience: endpoint}
    grants: [authorization_code]
"""


@pytest.fixture(autouse=True)
def secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("NEW", NEW)
    (tmp_path / "old.txt").write_text(OLD + "\n")
    (tmp_path / "gw.pem").write_text(private_key())


def hs(shared="{env: NEW}", former="{file: old.txt}"):
    return HS.replace("{shared}", shared).replace("{former}", former)


def test_A1_shared_secrets_are_stored_sealed_and_exported_as_references(operator):
    assert operator.apply(hs()).status == 0
    row = Provider.objects.get()
    assert (row.shared_secret.reveal(), row.former_shared_secret.reveal()) == (NEW, OLD)
    exported = operator.export()
    assert "shared_secret:\n    env: NEW" in exported or "shared_secret: {env: NEW}" in exported
    assert "old.txt" in exported
    assert "canary" not in exported
    assert "canary" not in repr(list(Provider.objects.values()))
    again = operator.apply(exported)
    assert (again.status, operator.generation()) == (0, 1)


def test_a_rotation_is_two_changes(operator):
    operator.apply(hs("{file: old.txt}", "null"))
    ran = operator.apply(hs("{env: NEW}", "{file: old.txt}"))
    assert "shared_secret" in ran.out
    assert "canary" not in ran.out
    operator.apply(hs("{keep: true}", "null"))
    row = Provider.objects.get()
    assert (row.shared_secret.reveal(), bool(row.former_shared_secret)) == (NEW, False)
    assert Generation.all_values()[Generation.CONFIGURATION] == 3


def test_a_secret_is_sealed_anew_for_another_provider(operator):
    """A row is new when its name is: what was sealed for the other row must still open."""
    operator.apply(hs())
    operator.apply(hs().replace("name: acme", "name: other"), "--prune")
    row = Provider.objects.get()
    assert (row.name, row.shared_secret.reveal()) == ("other", NEW)


@pytest.mark.parametrize(
    ("shared", "former", "place"),
    [
        ("null", "null", "providers[0].shared_secret"),
        ("null", "{file: old.txt}", "providers[0].shared_secret"),
        ("short", "null", "providers[0].shared_secret"),
        ("{env: NEW}", "short", "providers[0].former_shared_secret"),
        ("{file: gw.pem}", "null", "providers[0].shared_secret"),
        ("{keep: true}", "null", "providers[0].shared_secret"),
    ],
)
def test_J1_what_is_no_shared_secret_is_refused(operator, shared, former, place):
    ran = operator.apply(hs(shared, former))
    assert [line.split(" ")[0].rstrip(":") for line in ran.problems] == [place]
    assert not Provider.objects.exists()


def test_a_client_key_is_stored_sealed_and_exported_as_a_reference(operator, tmp_path):
    assert operator.apply(KEYED).status == 0
    client = Provider.objects.get().client
    assert client.key.reveal() + "\n" == (tmp_path / "gw.pem").read_text()
    assert (client.key_id, client.assertion_audience) == ("k1", "endpoint")
    exported = operator.export()
    assert "gw.pem" in exported
    assert "PRIVATE" not in exported
    again = operator.apply(exported)
    assert (again.status, operator.generation()) == (0, 1)


def test_S1_the_issuer_of_a_shared_secret_may_be_a_mere_name(operator):
    """Nothing is ever asked there, unless grants are relayed."""
    named = hs("{env: NEW}", "null").replace("https://op.example.org", "https://10.9.9.9")
    assert operator.apply(named).status == 0
    relayed = named + "    grants: [refresh_token]\n"
    assert "10.9.9.9" in operator.apply(relayed).problems[0]
