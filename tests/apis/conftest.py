"""An operator at the command line: writes files, runs commands, reads what they print."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.management import CommandError, call_command

from policies.models import Generation


@dataclass(frozen=True)
class Ran:
    """What one command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        assert self.status == 2
        assert self.out == ""
        *problems, last = self.err.splitlines()
        assert last == "Nothing was changed."
        return problems


class Operator:
    """Works in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "gatehouse.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def run(self, *arguments: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*arguments, stdout=out, stderr=err)
        except CommandError as error:
            return Ran(error.returncode, out.getvalue(), str(error))
        return Ran(0, out.getvalue(), err.getvalue())

    def apply(self, text: str, *options: str) -> Ran:
        return self.run("apply_config", str(self.write(text)), *options)

    def export(self) -> str:
        ran = self.run("export_config")
        assert ran.status == 0
        return ran.out

    @staticmethod
    def generation() -> int:
        return Generation.all_values().get(Generation.CONFIGURATION, 0)


@pytest.fixture
def operator(db, tmp_path, settings, monkeypatch) -> Operator:
    """An operator of a gateway that may use upstreams and providers on loopback."""
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(
        update={"allow_private_upstreams": ("127.0.0.0/8",)}
    )
    monkeypatch.chdir(tmp_path)
    return Operator(tmp_path)


@pytest.fixture(scope="session")
def authority() -> str:
    """A certificate that could stand as ``ca``, in PEM form."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start.replace(year=2050))
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()
