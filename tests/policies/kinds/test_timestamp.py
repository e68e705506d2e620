"""``timestamp``: which texts name a moment, the exact edges of the window, and the nonce."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.services import Services
from policies.core.values import PASS, Call, Deny, Identity
from policies.kinds.public import Public
from policies.kinds.timestamp import Timestamp, TimestampConfig, epoch_seconds
from tests.policies.conftest import NOW, Clock
from tests.policies.outage import Down, used_twice

Ask = Callable[..., str]


@pytest.fixture
def ask(make_services: Callable[..., Services], make_call: Callable[..., Call]) -> Any:
    """The code with which calls of one policy are refused, "" when they pass."""

    def make(services: Services | None = None, **options: Any) -> Ask:
        policy = Timestamp(TimestampConfig(**options), services or make_services())

        def one(
            *values: bytes, now: float = NOW, nonces: tuple[bytes, ...] = (), **call: Any
        ) -> str:
            fields = [(b"x-timestamp", value) for value in values]
            fields += [(b"x-nonce", nonce) for nonce in nonces]
            made = make_call(fields=fields, **call)
            made.now = now
            decision = policy.check(made)
            if hasattr(decision, "__await__"):
                decision = asyncio.run(decision)
            return decision.code if isinstance(decision, Deny) else ""

        return one

    return make


def seconds(moment: float) -> bytes:
    return b"%d" % moment


# Moments


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (b"1800000000", 1800000000),
        (b"2027-01-15T08:00:00Z", 1800000000),
        (b"2027-01-15t08:00:00z", 1800000000),
        (b"2027-01-15T08:00:00.5Z", 1800000000.5),
        (b"2027-01-15T08:00:00.123456789Z", 1800000000.123456789),
        (b"2027-01-15T09:30:00+01:30", 1800000000),
        (b"2027-01-15T00:00:00-08:00", 1800000000),
        (b"2027-01-14T08:01:00-23:59", 1800000000),
        (b"2027-01-15T08:00:00-00:00", 1800000000),
        (b"2028-02-29T00:00:00Z", 1835395200),
    ],
)
def test_H4_a_moment_has_one_of_two_spellings(value: bytes, moment: float) -> None:
    assert epoch_seconds(value) == moment


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"now",
        b"+1800000000",
        b"-1800000000",
        b"1800000000.0",
        b"18e8",
        b"1e9",
        b"0x6b49d200",
        b"1_800_000_000",
        b"1 800 000 000",
        b"01800000000",
        b"0",
        b"1800000000s",
        b"1800000000\n",
        "\u0661\u0668\u0660".encode(),
        b"1800000000, 1800000000",
        b"1800000000000",
        b"NaN",
        b"inf",
        b"2027-01-15",
        b"2027-01-15T08:00:00",
        b"2027-01-15 08:00:00Z",
        b"20270115T080000Z",
        b"2027-01-15T08:00Z",
        b"2027-01-15T08:00:00+0100",
        b"2027-01-15T08:00:00+01",
        b"2027-01-15T08:00:60Z",
        b"2026-12-31T23:59:60Z",
        b"2027-01-15T24:00:00Z",
        b"2027-02-29T00:00:00Z",
        b"2027-13-01T00:00:00Z",
        b"2027-01-15T08:60:00Z",
        b"0000-01-01T00:00:00Z",
        b"2027-01-15T08:00:00+24:00",
        b"2027-01-15T08:00:00+00:60",
        b"2027-01-15T08:00:00.Z",
        b"2027-01-15T08:00:00.1234567891Z",
        b"2027-01-15T08:00:00,5Z",
        b"Fri, 15 Jan 2027 08:00:00 GMT",
    ],
)
def test_H4_no_other_text_is_one(value: bytes, ask: Any) -> None:
    assert epoch_seconds(value) is None
    assert ask()(value) == "timestamp_outside_window"


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(-1439, 1439))
def test_both_spellings_of_a_moment_are_the_same_moment(moment: datetime, offset: int) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    epoch = int(whole.timestamp())
    shifted = datetime.fromtimestamp(epoch + offset * 60, UTC)
    sign, size = "-+"[offset >= 0], abs(offset)
    text = f"{shifted:%Y-%m-%dT%H:%M:%S}{sign}{size // 60:02}:{size % 60:02}"
    assert epoch_seconds(text.encode()) == epoch_seconds(str(epoch).encode()) == epoch


@given(st.binary(max_size=40))
def test_any_bytes_are_a_moment_or_none(value: bytes) -> None:
    assert epoch_seconds(value) is None or value[:1].isdigit()


# The window


@pytest.mark.parametrize("window", [60, 61, 299, 300])
def test_H4_the_window_is_exact_on_both_sides(ask: Any, window: int) -> None:
    one = ask(window=window)
    for value in (seconds(NOW), b"2027-01-15T08:00:00Z"):
        assert one(value, now=NOW + window) == ""
        assert one(value, now=NOW - window) == ""
        assert one(value, now=NOW + window + 0.001) == "timestamp_outside_window"
        assert one(value, now=NOW - window - 0.001) == "timestamp_outside_window"


@pytest.mark.parametrize("window", [59, 301, 0, -60])
def test_no_other_window_can_be_configured(window: int) -> None:
    with pytest.raises(ValidationError):
        TimestampConfig(window=window)


def test_a_missing_and_a_repeated_timestamp(ask: Any) -> None:
    assert ask()() == "timestamp_missing"
    assert ask()(seconds(NOW), seconds(NOW)) == "timestamp_outside_window"


def test_H4_a_clock_that_was_set_forward_refuses_and_set_back_again_accepts(ask: Any) -> None:
    one = ask()
    assert one(seconds(NOW)) == ""
    assert one(seconds(NOW), now=NOW + 3600) == "timestamp_outside_window"
    assert one(seconds(NOW)) == ""


# The nonce


def test_H4_a_nonce_is_asked_for_and_accepted_once(ask: Any) -> None:
    one = ask(nonce_header="X-Nonce")
    assert one(seconds(NOW)) == "nonce_missing"
    assert one(seconds(NOW), nonces=(b"a", b"b")) == "nonce_missing"
    for bad in (b"", b"a b", b"\xff", b"x" * 257):
        assert one(seconds(NOW), nonces=(bad,)) == "nonce_missing"
    assert one(seconds(NOW), nonces=(b"x" * 256,)) == ""
    assert one(seconds(NOW), nonces=(b"a",)) == ""
    assert one(seconds(NOW), nonces=(b"a",)) == "nonce_replayed"
    assert one(seconds(NOW + 1), nonces=(b"a",)) == "nonce_replayed"
    assert one(seconds(NOW), nonces=(b"A",)) == ""


def test_H4_a_nonce_is_remembered_as_long_as_its_timestamp_is_accepted(
    ask: Any, clock: Clock
) -> None:
    one = ask(nonce_header="X-Nonce", window=300)
    stamp = seconds(NOW + 300)  # the furthest that is accepted now
    assert one(stamp, nonces=(b"a",)) == ""
    clock.now = NOW + 600  # and the last moment at which it is
    assert one(stamp, nonces=(b"a",), now=clock.now) == "nonce_replayed"
    clock.now = NOW + 661
    assert one(stamp, nonces=(b"a",), now=clock.now) == "timestamp_outside_window"


def test_H4_a_clock_that_was_set_back_accepts_no_nonce_again(ask: Any, clock: Clock) -> None:
    one = ask(nonce_header="X-Nonce")
    assert one(seconds(NOW), nonces=(b"a",)) == ""
    clock.now = NOW - 30
    assert one(seconds(NOW), nonces=(b"a",), now=clock.now) == "nonce_replayed"


def test_one_callers_nonce_is_not_anothers(ask: Any) -> None:
    one = ask(nonce_header="X-Nonce")
    alice = Identity(kind="jwt", subject="alice", issuer="https://op")
    bob = Identity(kind="jwt", subject="bob", issuer="https://op")
    assert one(seconds(NOW), nonces=(b"a",), identity=alice) == ""
    assert one(seconds(NOW), nonces=(b"a",), identity=bob) == ""
    assert one(seconds(NOW), nonces=(b"a",), identity=alice) == "nonce_replayed"


def test_an_anonymous_nonce_is_used_up_for_every_address(ask: Any) -> None:
    one = ask(nonce_header="X-Nonce")
    assert one(seconds(NOW), nonces=(b"a",), client="192.0.2.1") == ""
    assert one(seconds(NOW), nonces=(b"a",), client="192.0.2.2") == "nonce_replayed"


@used_twice
def test_H4_a_store_that_is_down_does_what_on_failure_says(
    ask: Any, make_services: Callable[..., Services], on_failure: str, codes: list[str]
) -> None:
    services = make_services(state=Down())
    one = ask(services, nonce_header="X-Nonce", on_failure=on_failure)
    assert [one(seconds(NOW), nonces=(b"a",)) for _ in range(2)] == codes


def test_a_nonce_header_of_its_own_is_needed(make_services: Callable[..., Services]) -> None:
    config = TimestampConfig(header="X-Nonce", nonce_header="x-nonce")
    with pytest.raises(ValueError, match="nonce_header"):
        Timestamp(config, make_services())


def test_in_report_mode_it_is_reported_and_passes(
    make_services: Callable[..., Services], make_call: Callable[..., Call]
) -> None:
    services = make_services()
    reported: list[tuple[str, str]] = []
    attached = [
        Attached(Public(PolicyConfig(), services), "public"),
        Attached(Timestamp(TimestampConfig(), services), "timestamp", "report"),
    ]
    chain = compile_chain(attached, lambda name, call, deny: reported.append((name, deny.code)))
    assert asyncio.run(chain.run(make_call())) is PASS
    assert reported == [("timestamp", "timestamp_missing")]
