"""What ``Signature-Input`` and ``Signature`` may say (H2)."""

import pytest

from policies.http.components import Component, SignatureRefused
from policies.http.signatures import Parameters, signature_fields, signatures
from tests.policies.http.messages import headers


def _refused(input_field: str, signature_field: str) -> bool:
    fields = f"Signature-Input: {input_field}\nSignature: {signature_field}"
    try:
        signatures(headers(fields))
    except SignatureRefused:
        return True
    return False


@pytest.mark.parametrize(
    ("inputs", "values"),
    [
        ("a=()", "b=:AA==:"),
        ("a=()", ""),
        ("a=(), b=()", "a=:AA==:"),
        ("a=(), a=()", "a=:AA==:"),
        ("a=()", "a=:AA==:, a=:AA==:"),
        ('a="x"', "a=:AA==:"),
        ("a=()", 'a="x"'),
        ("a=(1)", "a=:AA==:"),
        ("a=(token)", "a=:AA==:"),
        ('a=("@method" "@method")', "a=:AA==:"),
        ('a=("date";key="x";req "date";req;key="x")', "a=:AA==:"),
        ("a=();created=1.0", "a=:AA==:"),
        ('a=();created="1"', "a=:AA==:"),
        ("a=();created", "a=:AA==:"),
        ("a=();created=1;created=2", "a=:AA==:"),
        ("a=();nonce=token", "a=:AA==:"),
        ("a=();nonce=:AA==:", "a=:AA==:"),
        ("a=();keyid=1", "a=:AA==:"),
        ("a=();unknown=1", "a=:AA==:"),
        ("a=(", "a=:AA==:"),
        (", ".join(f"a{n}=()" for n in range(9)), ", ".join(f"a{n}=:AA==:" for n in range(9))),
        (f"a=({' '.join(f'{chr(34)}x{n}{chr(34)}' for n in range(65))})", "a=:AA==:"),
    ],
)
def test_H2_a_malformed_signature_is_refused(inputs: str, values: str) -> None:
    assert _refused(inputs, values)


def test_a_well_formed_one_is_not() -> None:
    assert not _refused('a=("@method" "date");created=1;keyid="k";nonce="n"', "a=:AA==:")


def test_a_signature_that_is_made_is_read_as_it_was_made() -> None:
    covered = [Component.parse(name) for name in ("@status", "content-digest;req", "date")]
    given = Parameters(created=1, keyid="k", alg="ed25519")
    text, member = signature_fields("sig", covered, given)
    (read,) = signatures(headers(f"Signature-Input: {member}\nSignature: sig=:AA==:"))
    assert read.components == tuple(covered)
    assert read.parameters == given
    assert read.parameters_text == text
