"""RFC 9421 appendix B: every signature, the TLS proxy of B.3 and the transformations of B.4."""

import base64
import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from policies.core.values import Headers
from policies.http.algorithms import load_public_key, verify
from policies.http.components import (
    Message,
    RequestMessage,
    ResponseMessage,
    SignatureRefused,
)
from policies.http.signatures import Signature, signatures
from tests.policies.http.messages import request, response, vectors, with_fields

SET = "httpsig/rfc9421_appendix_b.json"
# The text prints another message's digest in the response; the signature base has the right one.
MISPRINTED = (
    "JlEy2bfUz7WrWIjc1qV6KVLpdr/7L5/L4h7Sxvh6sNHpDQWDCL+GauFQWcZBvVDhiyOnAQsxzZFYwi0wDH+1pw=="
)
RIGHT = "mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ=="
NAMES = ["B.2.1", "B.2.2", "B.2.3", "B.2.4", "B.2.5", "B.2.6"]


def _key(name: str, algorithm: str) -> Any:
    text = vectors(SET)["keys"][name][0]
    if algorithm == "hmac-sha256":
        return base64.b64decode(text)
    # PKCS#1, in which B.1.1 prints its key, is not what administrators are asked for.
    public = load_pem_public_key(text.encode())
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return load_public_key(algorithm, pem.decode())


def _case(number: int) -> tuple[dict[str, Any], str]:
    case = vectors(SET)["cases"][number]
    message = vectors(SET)["messages"][1 if number == 3 else 0].replace(MISPRINTED, RIGHT)
    return case, with_fields(message, case["blocks"][1])


def _read(text: str) -> Message:
    return response(text)[0] if text.startswith("HTTP/") else request(text)[0]


def _only(message: Message) -> Signature:
    (signature,) = signatures(message.headers)
    return signature


def _verifies(message: Message, name: str, algorithm: str) -> bool:
    signature = _only(message)
    return verify(algorithm, _key(name, algorithm), signature.value, signature.base(message))


def test_the_set_has_six_signatures_and_five_transformed_messages() -> None:
    assert len(vectors(SET)["cases"]) == len(NAMES) == 6
    assert len(vectors(SET)["transformations"]) == 2 + 5


@pytest.mark.parametrize("number", range(6), ids=NAMES)
def test_H5_the_signature_base_is_that_of_the_text_and_the_signature_verifies(number: int) -> None:
    case, text = _case(number)
    message = _read(text)
    assert _only(message).base(message).decode() == case["blocks"][0]
    assert _verifies(message, case["key"], case["alg"])


@pytest.mark.parametrize("number", range(6), ids=NAMES)
def test_H5_a_flipped_bit_of_signature_or_base_fails(number: int) -> None:
    case, text = _case(number)
    message = _read(text)
    signature, base = _only(message), _only(message).base(message)
    key = _key(case["key"], case["alg"])
    for at in range(0, len(signature.value), 7):
        flipped = bytearray(signature.value)
        flipped[at] ^= 1
        assert not verify(case["alg"], key, bytes(flipped), base)
    assert not verify(case["alg"], key, signature.value, base[:-1] + b"!")
    assert not verify(case["alg"], key, signature.value[:-1], base)
    assert not verify(case["alg"], key, b"", base)


def _changes(message: Message) -> Iterator[tuple[set[str], Message]]:
    """The message with one thing changed, and the components that are derived from it."""
    fields = message.headers.fields
    for at, (name, value) in enumerate(fields):
        if not name.startswith(b"signature"):
            other = Headers([*fields[:at], (name, value + b"x"), *fields[at + 1 :]])
            yield {name.decode()}, replace(message, headers=other)
    if isinstance(message, ResponseMessage):
        yield {"@status"}, replace(message, status=message.status + 1)
        return
    yield {"@method"}, replace(message, method="PUT")
    yield {"@path"}, replace(message, path=message.path + "x")
    yield {"@authority"}, replace(message, authority="other.example")
    yield {"@query", "@query-param"}, replace(message, query=(message.query or b"") + b"x")


@pytest.mark.parametrize("number", range(6), ids=NAMES)
def test_H5_each_covered_component_changed_fails_and_an_uncovered_one_does_not(number: int) -> None:
    case, text = _case(number)
    message = _read(text)
    covered = {component.name for component in _only(message).components}
    changes = list(_changes(message))
    assert covered <= {name for names, _ in changes for name in names}
    for names, changed in changes:
        assert _verifies(changed, case["key"], case["alg"]) is covered.isdisjoint(names), names


@pytest.mark.parametrize("number", range(6), ids=NAMES)
def test_H5_a_covered_field_that_is_removed_fails(number: int) -> None:
    _, text = _case(number)
    message = _read(text)
    for component in _only(message).components:
        if not component.name.startswith("@"):
            kept = [f for f in message.headers.fields if f[0] != component.name.encode()]
            without = replace(message, headers=Headers(kept))
            with pytest.raises(SignatureRefused):
                _only(without).base(without)


def test_H5_the_deterministic_algorithms_sign_identically() -> None:
    case, text = _case(4)
    message = _read(text)
    key = _key(case["key"], case["alg"])
    assert hmac.digest(key, _only(message).base(message), "sha256") == _only(message).value

    case, text = _case(5)
    message = _read(text)
    private = load_pem_private_key(_private(vectors(SET)["keys"][case["key"]][0]), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert private.sign(_only(message).base(message)) == _only(message).value


def test_H5_rsa_v1_5_signs_and_verifies() -> None:
    """The appendix has no signature of rsa-v1_5-sha256: its key signs one of its bases."""
    private: Any = load_pem_private_key(_private(vectors(SET)["keys"]["test-key-rsa"][0]), None)
    _, text = _case(2)
    base = _only(_read(text)).base(_read(text))
    signed = private.sign(base, PKCS1v15(), SHA256())
    key = _key("test-key-rsa", "rsa-v1_5-sha256")
    assert verify("rsa-v1_5-sha256", key, signed, base)
    assert not verify("rsa-pss-sha512", key, signed, base)


def _private(text: str) -> bytes:
    return text[text.rindex("-----BEGIN") :].encode()


def test_H5_the_tls_proxy_of_B_3() -> None:
    blocks = vectors(SET)["tls_proxy"]
    message, _ = request(blocks[4])
    assert _only(message).base(message).decode() == blocks[2]
    assert _verifies(message, "test-key-ecc-p256", "ecdsa-p256-sha256")


@pytest.mark.parametrize(
    ("number", "valid"), [(0, True), (2, True), (3, True), (4, True), (5, False), (6, False)]
)
def test_H5_the_transformations_of_B_4(number: int, valid: bool) -> None:
    message, _ = request(vectors(SET)["transformations"][number])
    assert _verifies(message, "test-key-ed25519", "ed25519") is valid


def test_H5_the_base_of_B_4() -> None:
    first, base = vectors(SET)["transformations"][:2]
    message, _ = request(first)
    assert isinstance(message, RequestMessage)
    assert _only(message).base(message).decode() == base


def test_two_signatures_of_one_message() -> None:
    (text,) = [e["text"] for e in vectors("httpsig/rfc9421_body_examples.json") if e["i"] == 80]
    message, _ = request(text)
    assert [signature.label for signature in signatures(message.headers)] == ["sig1", "proxy_sig"]
    proxy = signatures(message.headers)[1]
    key = _key("test-key-rsa", "rsa-v1_5-sha256")
    assert verify("rsa-v1_5-sha256", key, proxy.value, proxy.base(message))
