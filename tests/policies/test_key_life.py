"""The life of the gateway's keys in the database: an overlap at both ends, and revocation."""

from typing import Any

import pytest
from django.conf import settings

from policies import key_life
from policies.gateway_keys import AHEAD, DAY, KEEP, MAX_AGE, PERIOD, GatewaySigner
from policies.management.commands.rotate_secrets import rotate as rotate_secrets
from policies.models import GatewayKey, Generation
from policies.secrets import Keyring
from policies.tasks import rotate_signing_keys

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000.0


def generation() -> int:
    return Generation.all_values().get(Generation.SIGNING, 0)


def signing(now: float) -> str | None:
    """The id of the key with which a worker signs at that moment."""
    signer = GatewaySigner("gatehouse")
    signer.replace(key_life.opened(key_life.sealed_keys()))
    key = signer.current(now)
    return key.id if key is not None else None


def published() -> set[str]:
    return {key.key_id for key in key_life.sealed_keys()}


def test_the_first_key_signs_at_once_and_is_made_once() -> None:
    assert signing(NOW) is None
    assert key_life.ensure(now=NOW)
    made = signing(NOW)
    assert made is not None
    assert not key_life.ensure(now=NOW + 1)
    assert signing(NOW + 1) == made
    assert generation() == 1


def test_without_a_first_key_there_is_nothing_to_rotate() -> None:
    assert not key_life.rotate(now=NOW)
    assert published() == set()


def test_a_successor_is_published_before_it_signs_and_the_old_key_after() -> None:
    key_life.ensure(now=NOW)
    old = signing(NOW)
    assert not key_life.rotate(now=NOW + PERIOD - AHEAD - 1)

    made = NOW + PERIOD - AHEAD
    assert key_life.rotate(now=made)
    assert not key_life.rotate(now=made + 1)
    (new,) = published() - {old}
    assert AHEAD > MAX_AGE
    assert signing(made + AHEAD - 1) == old
    assert signing(made + AHEAD) == new

    assert not key_life.rotate(now=made + AHEAD + KEEP)
    assert published() == {old, new}
    before = generation()
    assert key_life.rotate(now=made + AHEAD + KEEP + 1)
    assert published() == {new}
    assert generation() > before


def test_a_rotation_that_comes_late_still_publishes_ahead() -> None:
    key_life.ensure(now=NOW)
    old = signing(NOW)
    late = NOW + PERIOD + 10 * DAY
    assert key_life.rotate(now=late)
    assert signing(late) == old
    assert signing(late + AHEAD) != old


def test_keys_follow_each_other_for_years_with_one_that_signs_at_every_moment() -> None:
    key_life.ensure(now=NOW)
    for hour in range(0, 24 * 365, 12):
        now = NOW + hour * 3600
        key_life.rotate(now=now)
        assert signing(now) in published()
        assert len(published()) <= 2


def test_a_succession_can_be_ordered() -> None:
    key_life.ensure(now=NOW)
    old = signing(NOW)
    assert key_life.succeed(now=NOW + 10)
    assert not key_life.succeed(now=NOW + 20)
    assert signing(NOW + 10) == old
    assert signing(NOW + 10 + AHEAD) != old


def test_a_revoked_key_is_replaced_at_once() -> None:
    key_life.ensure(now=NOW)
    row = GatewayKey.objects.get()
    before = generation()
    assert key_life.revoke(row, now=NOW + 5)
    assert not key_life.revoke(row, now=NOW + 6)
    assert row.key_id not in published()
    assert signing(NOW + 5) not in (None, row.key_id)
    assert generation() > before


def test_a_waiting_successor_takes_the_place_of_a_revoked_key() -> None:
    key_life.ensure(now=NOW)
    row = GatewayKey.objects.get()
    key_life.succeed(now=NOW)
    (waiting,) = published() - {row.key_id}
    key_life.revoke(row, now=NOW + 5)
    assert published() == {waiting}
    assert signing(NOW + 5) == waiting


def test_revoking_an_old_key_leaves_the_one_that_signs() -> None:
    key_life.ensure(now=NOW)
    row = GatewayKey.objects.get()
    key_life.succeed(now=NOW)
    later = NOW + AHEAD + 1
    signs = signing(later)
    key_life.revoke(row, now=later)
    assert published() == {signs}
    assert signing(later) == signs


def test_a_revoked_key_is_shown_for_a_while_and_forgotten() -> None:
    key_life.ensure(now=NOW)
    row = GatewayKey.objects.get()
    key_life.revoke(row, now=NOW)
    key_life.rotate(now=NOW + KEEP)
    assert GatewayKey.objects.filter(pk=row.pk).exists()
    key_life.rotate(now=NOW + KEEP + 1)
    assert not GatewayKey.objects.filter(pk=row.pk).exists()


def test_A1_a_key_is_sealed_at_rest_and_resealed_like_every_secret() -> None:
    key_life.ensure(now=NOW)
    row = GatewayKey.objects.get()
    assert "PRIVATE" not in row.private_key.stored
    assert "PRIVATE" not in repr(row.private_key)
    before, made = generation(), signing(NOW)
    newer = Keyring(["a newer key of enough characters", *settings.SECRET_KEYS])
    assert rotate_secrets(newer)[0] == []
    assert generation() > before
    assert signing(NOW) == made


def test_F5_a_key_that_cannot_be_opened_is_left_out(caplog: Any) -> None:
    key_life.ensure(now=NOW)
    GatewayKey.objects.update(private_key="00000000:AAAA")
    assert signing(NOW) is None
    assert "cannot be used" in caplog.text


def test_the_task_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    key_life.ensure(now=NOW - 2 * PERIOD)
    monkeypatch.setattr("time.time", lambda: NOW)
    rotate_signing_keys()
    assert len(published()) == 2
