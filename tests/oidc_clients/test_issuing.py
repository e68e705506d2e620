"""API keys that are made here: rotated with an overlap, and written down when they were used."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from oidc_clients.credentials import ISSUED, Peppers
from oidc_clients.issuing import issue, rotate, write_used
from oidc_clients.models import ApiKey, Client
from policies.models import Generation

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def partner() -> Client:
    return Client.objects.create(name="partner-a")


def row_of(key: str) -> ApiKey:
    return ApiKey.objects.get(digest=Peppers(settings.SECRET_KEYS).digest(key))


def test_B5_an_issued_key_is_marked_as_one(partner: Client) -> None:
    key = issue(partner, "main", ["read"])
    assert row_of(key).source == ISSUED
    assert row_of(key).scopes == ["read"]


def test_B5_a_rotated_key_works_beside_its_successor_for_the_overlap(partner: Client) -> None:
    expires = timezone.now() + 30 * DAY
    former = row_of(issue(partner, "main", ["read"], expires))
    successor = row_of(rotate(former, DAY))
    assert (successor.scopes, successor.expires, successor.name) == (["read"], expires, "key-1")
    former.refresh_from_db()
    assert former.expires is not None
    assert timedelta(0) < timezone.now() + DAY - former.expires < timedelta(minutes=1)


def test_B5_an_overlap_does_not_lengthen_the_life_of_a_key(partner: Client) -> None:
    expires = timezone.now() + timedelta(hours=1)
    former = row_of(issue(partner, "main", expires=expires))
    rotate(former, DAY)
    former.refresh_from_db()
    assert former.expires == expires


def test_B5_rotation_at_the_command_line(partner: Client, capsys: pytest.CaptureFixture) -> None:
    issue(partner, "main", ["read"])
    call_command("create_api_key", "--client", "partner-a", "--rotate", "main", "--overlap", "0")
    key = capsys.readouterr().out.strip()
    assert row_of(key).scopes == ["read"]
    former = ApiKey.objects.get(name="main")
    assert former.expires is not None
    assert former.expires <= timezone.now()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rotate", "absent"], "partner-a has no key absent"),
        (["--rotate", "main", "--scopes", "x"], "--rotate takes scopes and expiry"),
        (["--rotate", "main", "--expires", "2100-01-01"], "--rotate takes scopes and expiry"),
        (["--rotate", "main", "--overlap", "-1"], "--overlap: give 0 to 2160 hours"),
        (["--rotate", "main", "--overlap", "nan"], "--overlap: give 0 to 2160 hours"),
        (["--overlap", "1"], "--overlap goes with --rotate"),
    ],
)
def test_a_rotation_that_cannot_be_is_refused(
    partner: Client, options: list[str], message: str
) -> None:
    issue(partner, "main")
    with pytest.raises(CommandError, match=message) as refused:
        call_command("create_api_key", "--client", "partner-a", *options)
    assert refused.value.returncode == 2
    assert ApiKey.objects.count() == 1


def test_use_is_written_down_forwards_only_and_is_no_change(partner: Client) -> None:
    used, unused = row_of(issue(partner, "a")), row_of(issue(partner, "b"))
    before, now = Generation.all_values(), timezone.now()
    write_used([used.digest, "of a key that is gone"], now)
    write_used([used.digest], now - DAY)
    used.refresh_from_db()
    unused.refresh_from_db()
    assert (used.last_used, unused.last_used) == (now, None)
    assert Generation.all_values() == before


def test_the_use_of_many_keys_is_written_in_few_queries(
    partner: Client, django_assert_num_queries
) -> None:
    ApiKey.objects.bulk_create(
        ApiKey(client=partner, name=f"k-{number}", digest=f"d-{number}") for number in range(1001)
    )
    with django_assert_num_queries(3):
        write_used([f"d-{number}" for number in range(1001)], timezone.now())
    assert not ApiKey.objects.filter(last_used=None).exists()
