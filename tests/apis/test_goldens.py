"""Files in pairs: what is applied, and what is exported or reported of it.

``NAME.in.yaml`` is applied to an empty gateway. ``NAME.out.yaml`` is the export, and applying
that one changes nothing; ``NAME.problems.txt`` is what a refused file is told. The folder of
the test is written as FOLDER, the list of all policy kinds as KINDS.
"""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policies.registry import KINDS

GOLDENS = Path(__file__).parent / "goldens"
ORDERS = """
openapi: 3.1.0
paths:
  /items: {get: {}, post: {}}
  /items/{id}: {get: {}}
"""


@pytest.fixture
def surroundings(operator, monkeypatch, authority):
    for name in ("ACME_SECRET", "PARTNER_KEY", "A_SECRET"):
        monkeypatch.setenv(name, f"the value of {name}")
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    operator.write(pem, "a.pem")
    operator.write(authority, "ca.pem")
    operator.write(ORDERS, "orders.yaml")
    return operator


def named(suffix):
    return sorted(path.name.removesuffix(suffix) for path in GOLDENS.glob(f"*{suffix}"))


def test_every_golden_has_its_other_half():
    halves = {*named(".out.yaml"), *named(".problems.txt")}
    assert set(named(".in.yaml")) == halves
    assert len(halves) == 4


@pytest.mark.parametrize("name", named(".out.yaml"))
def test_an_applied_file_is_exported(surroundings, name):
    expected = (GOLDENS / f"{name}.out.yaml").read_text()
    ran = surroundings.apply((GOLDENS / f"{name}.in.yaml").read_text())
    assert ran.status == 0
    exported = surroundings.export()
    assert exported.replace(str(surroundings.folder), "FOLDER") == expected
    assert surroundings.apply(exported, "--prune").out == "Nothing to change.\n"
    applied_again = surroundings.apply((GOLDENS / f"{name}.in.yaml").read_text(), "--prune")
    assert applied_again.out == "Nothing to change.\n"


@pytest.mark.parametrize("name", named(".problems.txt"))
def test_a_refused_file_is_told_everything(surroundings, name):
    expected = (GOLDENS / f"{name}.problems.txt").read_text()
    expected = expected.replace("KINDS", ", ".join(sorted(KINDS)))
    ran = surroundings.apply((GOLDENS / f"{name}.in.yaml").read_text())
    assert "\n".join([*ran.problems, ""]) == expected
    assert surroundings.generation() == 0
