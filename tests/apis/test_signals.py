"""Every change of the configuration is counted, whoever makes it."""

import pytest
from django.utils import timezone

from apis import signals
from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from oidc_clients.models import ApiKey, Client, Provider, ProviderClient, ProviderKey, SigningKey
from policies.models import Generation

pytestmark = pytest.mark.django_db


def rows():
    """One new row of every model, in an order in which they can be saved."""
    provider = Provider(name="p", issuer="https://p", audiences=["a"], algorithms=["RS256"])
    upstream = Upstream(name="u")
    api = Api(name="a", upstream=upstream)
    route = Route(api=api, path="/x")
    return [
        provider,
        ProviderClient(provider=provider, client_id="c"),
        upstream,
        Target(upstream=upstream, url="http://h"),
        api,
        route,
        AttachedPolicy(route=route, kind="public"),
    ]


def credentials():
    """One new row of every model of clients."""
    client = Client(name="c")
    return [
        client,
        ApiKey(client=client, name="k", digest="d"),
        SigningKey(client=client, key_id="s", algorithm="ed25519"),
    ]


def test_every_save_and_every_deletion_counts(operator):
    count = 0
    for row in rows():
        row.save()
        count += 1
        assert operator.generation() == count, row
        row.save()
        count += 1
        assert operator.generation() == count, row
    for row in reversed(rows()):
        before = operator.generation()
        type(row).objects.all().delete()
        assert operator.generation() > before, row


def test_clients_and_their_credentials_are_counted_apart(operator):
    for step, row in enumerate(credentials(), start=1):
        row.save()
        assert Generation.all_values() == {Generation.CREDENTIALS: step}, row
    for row in reversed(credentials()):
        before = Generation.all_values()[Generation.CREDENTIALS]
        type(row).objects.all().delete()
        after = Generation.all_values()
        assert after.pop(Generation.CREDENTIALS) > before, row
        assert not after, row


def test_keys_that_rotate_are_no_change_of_the_configuration(operator):
    provider = rows()[0]
    provider.save()
    before = operator.generation()
    key = ProviderKey(provider=provider, jwk={}, admitted=True, fetched_at=timezone.now())
    key.save()
    key.delete()
    assert operator.generation() == before


def test_one_step_counts_nothing_by_itself(operator):
    with signals.one_step():
        rows()[0].save()
    assert operator.generation() == 0
    rows()[2].save()
    assert operator.generation() == 1


def test_a_failed_step_counts_again_afterwards(operator):
    with pytest.raises(ZeroDivisionError), signals.one_step():
        raise ZeroDivisionError
    rows()[2].save()
    assert operator.generation() == 1
