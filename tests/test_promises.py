"""The list of promises and the tests that carry their ids say the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| ([A-Z]\d+) \| .+ \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"def test_([A-Z]\d+)_")


def _listed() -> dict[str, set[str]]:
    page = (ROOT / "docs" / "promises.md").read_text()
    return {name: set(re.findall(r"`([^`]+)`", files)) for name, files in ROW.findall(page)}


def _tested() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in TEST.findall(path.read_text()):
            found.setdefault(name, set()).add(path.relative_to(ROOT / "tests").as_posix())
    return found


def test_every_listed_test_is_there() -> None:
    tested = _tested()
    for name, files in _listed().items():
        assert files <= tested.get(name, set()), name


def test_every_tested_promise_is_listed() -> None:
    assert set(_tested()) <= set(_listed())
