"""What the OpenAPI Initiative's own schemas say of a document: is it one at all?

The schemas are data of the package openapi-spec-validator, which itself is never imported: it
would follow references over the network.
"""

import json
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema_rs

from policies.core.config import Problem
from policies.openapi.document import MAX_PROBLEMS, Source, place_in, problem
from policies.openapi.rewriting import DRAFT_4


def malformed(source: Source) -> list[Problem]:
    """Everything that makes it no OpenAPI document, up to ``MAX_PROBLEMS``."""
    found: list[Problem] = []
    for error in _validator(source.version).iter_errors(source.data):
        path, message = complaint(error)
        found.append(problem(place_in(source.data, path), message))
        if len(found) == MAX_PROBLEMS:
            break
    return found


@lru_cache(maxsize=2)
def _validator(version: str) -> Any:
    package = distribution("openapi-spec-validator")
    path = package.locate_file(f"openapi_spec_validator/resources/schemas/v{version}/schema.json")
    schema = json.loads(Path(str(path)).read_bytes())
    if version == DRAFT_4:
        return jsonschema_rs.Draft4Validator(schema, offline=True, mask="the value")
    return jsonschema_rs.Draft202012Validator(schema, offline=True, mask="the value")


def complaint(error: Any) -> tuple[list[int | str], str]:
    """Path and words of the complaint that helps: of alternatives not "or it is a reference"."""
    while error.kind.name in ("oneOf", "anyOf", "oneOfNotValid") and error.kind.context:
        branches = [b for b in error.kind.context if b and not _wants_reference(b)]
        if not branches:
            break
        error = max(branches, key=lambda b: max(len(e.instance_path) for e in b))[0]
    if error.kind.name in ("additionalProperties", "unevaluatedProperties"):
        names = ", ".join(error.kind.unexpected)[:200]
        return error.instance_path, f"unknown key: {names}"
    if error.kind.name == "required":
        return [*error.instance_path, error.kind.property], "is missing"
    return error.instance_path, str(error.message)[:300]


def _wants_reference(branch: list[Any]) -> bool:
    return any(e.kind.name == "required" and e.kind.property == "$ref" for e in branch)
