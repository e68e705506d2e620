"""How files are cut: each short enough to be read at once, and each module says what it is for."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = 500
SOURCE = ("*.py", "*.css", "*.html", "*.js", "*.mjs")


def tracked(*patterns: str) -> list[Path]:
    """Files that are written by hand, as paths below the root."""
    command = ["git", "ls-files", "--", *patterns]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no working copy: which files are tracked is not known")
    paths = [Path(name) for name in listed.stdout.splitlines()]
    return [path for path in paths if "migrations" not in path.parts and (ROOT / path).exists()]


def lines(path: Path) -> int:
    return len((ROOT / path).read_text().splitlines())


def test_no_source_file_has_500_lines() -> None:
    found = {str(path): lines(path) for path in tracked(*SOURCE)}
    assert len(found) > 100
    assert {name: count for name, count in found.items() if count >= LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    """An ``__init__`` without content is no more than a mark."""
    modules = [path for path in tracked("*.py") if path.parts[0] != "tests"]
    trees = {str(path): ast.parse((ROOT / path).read_text()) for path in modules}
    assert len(trees) > 100
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []
