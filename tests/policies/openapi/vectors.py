"""Third-party test vectors from ``../shared/vectors``."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "vectors"


def load(name: str) -> Any:
    """A file of vectors; the test is skipped where there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the vectors are not here: {name}")
    return json.loads(path.read_text())
