"""Values that a configuration may refer to instead of holding them: secrets, and texts in files.

A secret is written as a string, ``{env: NAME}``, ``{file: path}`` or ``{keep: true}``; a text
(certificate, OpenAPI document) as a string or ``{file: path}``. What a reference points to is
read while the configuration is validated, and only when a ``Sources`` is given as the
validation context: the configuration file has one, a form has none.

What the database holds is described by the same classes, with ``STORED`` as context of both
validation and dump: sealed secrets and the content of files, for a copy kept by the
installation itself. That form is never accepted from outside. With ``CHANGES`` as context of a
dump it says as well which secrets are new and what content a file had, for people to compare.
"""

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from pydantic import Field, SecretStr, model_serializer, model_validator
from pydantic_core.core_schema import SerializationInfo, ValidationInfo

from policies.core.config import Options

MAX_SECRET_BYTES = 65_536
MAX_TEXT_BYTES = 4 * 1024 * 1024

STORED: Final = {"form": "stored"}
CHANGES: Final = {"form": "changes"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the references of one configuration are looked up.

    ``base`` is the folder that relative paths start from. Both methods raise ``ValueError``
    with a message that tells what to do and holds nothing of what was read.
    """

    base: Path
    environ: Mapping[str, str]

    def variable(self, name: str) -> str:
        value = self.environ.get(name)
        if not value:
            raise ValueError(f"the environment variable {name} is not set: set it and apply again")
        return value

    def path(self, name: str) -> str:
        """The absolute path: what is remembered, so that an export works from any folder."""
        return str((self.base / name).absolute())

    def text(self, name: str, limit: int) -> str:
        path = Path(self.path(name))
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise ValueError(f"{name} is not a regular file")
            with path.open("rb") as file:
                raw = file.read(limit + 1)
        except OSError as error:
            raise ValueError(f"the file {name} cannot be read: {error.strerror}") from error
        if len(raw) > limit:
            raise ValueError(f"the file {name} is larger than {limit} bytes")
        try:
            if b"\0" not in raw:
                return raw.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"the file {name} is not UTF-8 text") from error
        raise ValueError(f"the file {name} holds NUL characters: it is no text")


class SecretUnreadable(Exception):
    """No configured key opens the stored secret; the message names column and row, no content."""


class Opener(Protocol):
    """What opens sealed values, or raises ``SecretUnreadable``: ``policies.secrets.Keyring``."""

    def open(self, stored: str, context: str) -> str: ...


class SecretText(Options):
    """A secret, or where it is found. Its dump and its repr never hold the secret itself."""

    value: SecretStr | None = Field(
        default=None, title="Value", description="The secret itself.", repr=False
    )
    env: str = Field(
        default="", title="Environment variable", description="Name of the variable that holds it."
    )
    file: str = Field(default="", title="File", description="Path of the file that holds it.")
    keep: bool = Field(default=False, title="Keep", description="Leave the stored one as it is.")
    sealed: str = Field(default="", title="Sealed", description="As stored.", repr=False)
    context: str = Field(default="", title="Context", description="What it was sealed for.")
    issued: bool = Field(default=False, title="Issued", description="Made here, by no file.")

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, cls) or info.context is STORED:
            return data
        if isinstance(data, str):
            return {"value": _not_empty(data)}
        if (
            not isinstance(data, dict)
            or len(data) != 1
            or not data.keys() <= {"env", "file", "keep"}
        ):
            raise ValueError("give a string, {env: NAME}, {file: path} or {keep: true}")
        ((key, reference),) = data.items()
        if key == "keep":
            if reference is not True:
                raise ValueError("keep can only be true")
            return data
        if not isinstance(reference, str) or not reference:
            raise ValueError(f"{key} needs a name")
        if not isinstance(info.context, Sources):
            return data
        return _read_secret(key, reference, info.context)

    @model_serializer(mode="plain")
    def _dump(self, info: SerializationInfo) -> dict[str, Any]:
        if info.context is STORED:
            stored = ("env", "file", "sealed", "context", "issued")
            members = {name: getattr(self, name) for name in stored}
            return {name: value for name, value in members.items() if value}
        if info.context is CHANGES and self.value is not None:
            return {**self.reference(), "changed": True}
        return self.reference()

    def reference(self) -> dict[str, Any]:
        """How the secret is written where it must not be shown."""
        if self.env:
            return {"env": self.env}
        if self.file:
            return {"file": self.file}
        return {"keep": True}

    @property
    def source(self) -> str:
        """``env:NAME`` or ``file:/path``, as it is stored beside the secret; empty: not known."""
        if self.env:
            return f"env:{self.env}"
        return f"file:{self.file}" if self.file else ""

    def reveal(self, opener: Opener) -> str:
        """The secret itself. Raises what ``opener`` raises, ``ValueError`` when there is none."""
        if self.value is not None:
            return self.value.get_secret_value()
        if not self.sealed:
            raise ValueError("the secret was not read")
        return opener.open(self.sealed, self.context)


def _read_secret(key: str, reference: str, sources: Sources) -> dict[str, str]:
    if key == "env":
        return {"env": reference, "value": _not_empty(sources.variable(reference))}
    text = sources.text(reference, MAX_SECRET_BYTES)
    # Files end with a line break that is not meant to be part of the secret.
    text = text.removesuffix("\n").removesuffix("\r")
    return {"file": sources.path(reference), "value": _not_empty(text)}


def _not_empty(secret: str) -> str:
    if not secret:
        raise ValueError("the secret is empty")
    if len(secret.encode()) > MAX_SECRET_BYTES:
        raise ValueError(f"the secret is larger than {MAX_SECRET_BYTES} bytes")
    return secret


def text_digest(text: str) -> str:
    """Says whether a stored text is still what the file held that it was read from."""
    return hashlib.sha256(text.encode()).hexdigest()


class FileText(Options):
    """A public text that may stand in a file of its own: a certificate, an OpenAPI document."""

    text: str = Field(default="", title="Text", description="The content.", repr=False)
    file: str = Field(default="", title="File", description="Path of the file that holds it.")

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, cls) or info.context is STORED:
            return data
        if isinstance(data, str):
            if len(data.encode()) > MAX_TEXT_BYTES:
                raise ValueError(f"the text is larger than {MAX_TEXT_BYTES} bytes")
            return {"text": data}
        if not isinstance(data, dict) or data.keys() != {"file"}:
            raise ValueError("give the text itself or {file: path}")
        name = data["file"]
        if not isinstance(name, str) or not name:
            raise ValueError("file needs a path")
        if not isinstance(info.context, Sources):
            return data
        text = info.context.text(name, MAX_TEXT_BYTES)
        return {"file": info.context.path(name), "text": text}

    @model_validator(mode="after")
    def _some_text(self, info: ValidationInfo) -> Self:
        if not self.text.strip() and (not self.file or isinstance(info.context, Sources)):
            raise ValueError("the text is empty")
        return self

    @model_serializer(mode="plain")
    def _dump(self, info: SerializationInfo) -> Any:
        if info.context is STORED:
            return {"text": self.text, "file": self.file}
        if info.context is CHANGES and self.file:
            return {"file": self.file, "sha256": text_digest(self.text)[:16]}
        return {"file": self.file} if self.file else self.text
