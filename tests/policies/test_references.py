"""Secrets and texts that are referred to: what is read, and what is never shown."""

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from policies.core.config import problems_of
from policies.references import (
    CHANGES,
    MAX_SECRET_BYTES,
    STORED,
    FileText,
    SecretText,
    Sources,
)

CANARY = "canary-4711"
FORMS = "give a string, {env: NAME}, {file: path} or {keep: true}"


@pytest.fixture
def sources(tmp_path) -> Sources:
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "nul").write_bytes(b"a\0b")
    os.mkfifo(tmp_path / "pipe")
    return Sources(tmp_path, {"NAME": CANARY, "NOTHING": ""})


@pytest.mark.parametrize("data", [CANARY, {"env": "NAME"}, {"file": "secret"}])
def test_a_secret_is_read_and_never_shown(sources, data):
    secret = SecretText.model_validate(data, context=sources)
    assert secret.value.get_secret_value() == CANARY
    shown = [repr(secret), str(secret), secret.model_dump_json()]
    shown += [str(secret.model_dump(context=context)) for context in (None, STORED, CHANGES)]
    assert not any(CANARY in text for text in shown)


def test_a_secret_remembers_where_it_came_from(sources):
    from_env = SecretText.model_validate({"env": "NAME"}, context=sources)
    from_file = SecretText.model_validate({"file": "secret"}, context=sources)
    assert from_env.model_dump() == {"env": "NAME"}
    assert from_file.model_dump() == {"file": str(sources.base / "secret")}
    assert SecretText.model_validate(CANARY).model_dump() == {"keep": True}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"env": "ABSENT"}, "the environment variable ABSENT is not set: set it and apply again"),
        ({"env": "NOTHING"}, "the environment variable NOTHING is not set: set it and apply again"),
        ({"env": ""}, "env needs a name"),
        ({"env": ["NAME"]}, "env needs a name"),
        ({"file": "absent"}, "the file absent cannot be read: No such file or directory"),
        ({"file": "."}, ". is not a regular file"),
        ({"file": "pipe"}, "pipe is not a regular file"),
        ({"file": "empty"}, "the secret is empty"),
        ({"file": "large"}, "the file large is larger than 65536 bytes"),
        ({"file": "binary"}, "the file binary is not UTF-8 text"),
        ({"file": "nul"}, "the file nul holds NUL characters: it is no text"),
        ({"keep": False}, "keep can only be true"),
        ("", "the secret is empty"),
        ("é" * MAX_SECRET_BYTES, "the secret is larger than 65536 bytes"),
        (12, FORMS),
        ({}, FORMS),
        ({"env": "NAME", "file": "secret"}, FORMS),
        ({"sealed": "x"}, FORMS),
        ({"value": "x"}, FORMS),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_read_is_refused(sources, data, message):
    with pytest.raises(ValidationError) as refused:
        SecretText.model_validate(data, context=sources)
    assert [problem.message for problem in problems_of(refused.value)] == [message]


def test_A1_the_sealed_form_is_accepted_from_the_installation_alone():
    sealed = {"sealed": "k:abc", "context": "table.column:1", "env": "NAME"}
    secret = SecretText.model_validate(sealed, context=STORED)
    assert secret.model_dump(context=STORED) == sealed
    assert secret.model_dump() == {"env": "NAME"}
    with pytest.raises(ValidationError):
        SecretText.model_validate(sealed)


def test_a_reference_without_sources_is_not_read():
    secret = SecretText.model_validate({"env": "PATH"})
    with pytest.raises(ValueError, match="the secret was not read"):
        secret.reveal(None)


def test_a_text_is_read_with_its_place(tmp_path):
    (tmp_path / "a.pem").write_text("PEM")
    text = FileText.model_validate({"file": "a.pem"}, context=Sources(tmp_path, {}))
    assert (text.text, text.file) == ("PEM", str(tmp_path / "a.pem"))
    assert text.model_dump() == {"file": str(tmp_path / "a.pem")}
    assert FileText.model_validate("inline").model_dump() == "inline"
    stored = text.model_dump(context=STORED)
    assert FileText.model_validate(stored, context=STORED) == text


@pytest.mark.parametrize(
    "data", ["", " \n", {"file": ""}, {"text": "x"}, {"file": "absent"}, 1, []]
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(ValidationError):
        TypeAdapter(FileText).validate_python(data, context=Sources(Path("/nowhere"), {}))
