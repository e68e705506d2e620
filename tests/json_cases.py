"""The JSON parsing set of ``../shared/vectors`` (nst/JSONTestSuite)."""

import base64
import json
from pathlib import Path
from typing import NamedTuple

import pytest

VECTORS = Path(__file__).parents[2] / "shared" / "vectors" / "json" / "json_parsing.json"
COUNT = 317

# Well-formed by RFC 8259, which only says that keys SHOULD be unique: here they must be (O1).
REFUSED_ON_PURPOSE = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


class Case(NamedTuple):
    """One text, and what parsers should do with it: accept, reject, or either."""

    name: str
    expect: str
    content: bytes


def json_cases() -> list[Case]:
    """Every case. Skips the test where the vectors are absent."""
    if not VECTORS.exists():
        pytest.skip(f"the vectors are not here: {VECTORS.name}")
    rows = json.loads(VECTORS.read_text())
    return [Case(row["name"], row["expect"], base64.b64decode(row["b64"])) for row in rows]
