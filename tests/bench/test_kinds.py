"""The table of costs: no kind is missing from it, and every sample passes its own policy."""

import asyncio

import pytest

from bench import kinds
from bench.kinds import Cost, SampleMissing, complete, measure, table
from bench.samples import SAMPLES
from bench.world import World
from policies.registry import KINDS


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_every_kind_has_a_sample() -> None:
    complete(KINDS, SAMPLES)


def test_a_kind_without_a_sample_stops_the_measurement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SampleMissing, match="lacks b and has samples of no kind: c"):
        complete({"a", "b"}, {"a", "c"})
    monkeypatch.setattr(kinds, "SAMPLES", {})
    assert kinds.main() == 2
    assert "cors" in capsys.readouterr().err


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_sample_passes_and_is_measured(world: World, kind: str) -> None:
    cost = asyncio.run(measure(kind, world, runs=1, seconds=0.001))
    assert cost.kind == kind
    assert cost.about


def test_the_dearest_stands_last() -> None:
    page = table([Cost("dear", 9.128, "much"), Cost("cheap", 0.1, "little")])
    assert page.splitlines()[2:] == ["| `cheap` | 0.10 | little |", "| `dear` | 9.13 | much |"]
