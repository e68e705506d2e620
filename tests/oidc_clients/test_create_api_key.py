"""``create_api_key``: printed once, stored as a digest."""

import io
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from oidc_clients.credentials import Peppers
from oidc_clients.models import ApiKey, Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return Client.objects.create(name="partner-a")


def create(*options):
    out = io.StringIO()
    call_command("create_api_key", "--client", "partner-a", *options, stdout=out)
    return out.getvalue()


def refused(*options):
    with pytest.raises(CommandError) as error:
        create(*options)
    assert error.value.returncode == 2
    assert not ApiKey.objects.exists()
    return str(error.value)


def test_B5_the_key_alone_is_printed_and_only_its_digest_is_stored(partner):
    printed = create()
    key = printed.removesuffix("\n")
    row = ApiKey.objects.get()
    assert key.startswith("gh_")
    assert key.split() == [key]
    assert Peppers(settings.SECRET_KEYS).matches(row.digest, key)
    assert key.startswith(row.prefix)
    assert len(row.prefix) == 11
    assert key[11:] not in str(ApiKey.objects.values())


def test_scopes_and_expiry_are_stored(partner):
    create("--scopes", "read", "write,admin", "--expires", "2037-01-01")
    row = ApiKey.objects.get()
    assert row.scopes == ["read", "write", "admin"]
    assert row.expires == datetime(2037, 1, 1, tzinfo=UTC)


def test_every_key_gets_a_name_of_its_own(partner):
    keys = {create() for _ in range(3)}
    assert len(keys) == 3
    names = ["key-1", "key-2", "key-3"]
    assert sorted(ApiKey.objects.values_list("name", flat=True)) == names
    ApiKey.objects.get(name="key-2").delete()
    create()
    assert sorted(ApiKey.objects.values_list("name", flat=True)) == names


def test_an_unknown_client_gets_no_key():
    assert refused() == "no client is called partner-a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--expires", "soon"), "--expires: "),
        (("--expires", "2020-01-01"), "--expires: this moment has passed"),
        (("--scopes", "a\x07b"), "--scopes: "),
    ],
)
def test_what_cannot_be_is_refused(partner, options, message):
    assert refused(*options).startswith(message)
