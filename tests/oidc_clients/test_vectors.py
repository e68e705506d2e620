"""Third-party vectors, run whole: Wycheproof's JWS and key sets, the RFC 7520 cookbook, and
the JSON parsing suite as headers and claims of tokens."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidc_clients.compact import parse
from oidc_clients.jwks import ALGORITHMS, KeySet
from oidc_clients.strict import NotStrict, json_object
from oidc_clients.tokens import signature_refusal

VECTORS = Path(__file__).parents[2] / "../shared/vectors"
WYCHEPROOF = VECTORS / "jose/wycheproof"
COOKBOOK = VECTORS / "jose/cookbook"

pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="../shared/vectors is absent")

# Where the verifier differs from the set's own verdict, and why.
JWS_DEVIATIONS = {
    346: "the key says PS256 and the token PS384: the key's alg is binding",
    347: "the key says ES521, which is no algorithm",
    350: "as 346, with key_ops",
    351: "as 347, with key_ops",
    367: "byte for byte the correctly signed token of 372 without its '?': a defect of the set",
    370: "byte for byte the correctly signed token of 373 without its '?': a defect of the set",
    372: "'?' within base64url is refused (RFC 7515 2)",
    373: "'?' within base64url is refused (RFC 7515 2)",
}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


def cases(name: str) -> Iterator[tuple[dict, dict]]:
    for group in json.loads((WYCHEPROOF / name).read_text())["testGroups"]:
        for case in group["tests"]:
            yield group, case


def key_sets(document: dict) -> list[KeySet]:
    """A group's keys as the gateway would come by them: one published key set, or, where all
    of them are symmetric and distinct, one provider with a shared secret for each."""
    keys = document.get("keys", [document])
    kids = {key.get("kid") for key in keys}
    if any(key["kty"] != "oct" for key in keys) or len(kids) != len(keys):
        return [KeySet.parse({"keys": keys})]
    return [made for key in keys for made in shared_secret(key)]


def shared_secret(key: dict) -> Iterator[KeySet]:
    """None for an algorithm that no provider can be configured with, or a short secret."""
    if key["alg"] in ALGORITHMS:
        secret = base64.urlsafe_b64decode(key["k"] + "==")
        try:
            yield KeySet.of_secrets([secret])
        except ValueError:
            assert len(secret) < 32


def accepts(keys: KeySet, token: object) -> bool:
    """Whether the verifier's JWS layer lets a token pass with these keys."""
    try:
        parts = parse(token.encode() if isinstance(token, str) else json.dumps(token).encode())
    except NotStrict:
        return False
    by_secret = [key.kid for key in keys.keys] == [None]
    return signature_refusal(parts, None if by_secret else parts.kid, keys) is None


def disagreements(name: str) -> tuple[Counter[str], set[int]]:
    """How many cases there are of each result, and those that the verifier judges otherwise."""
    results: Counter[str] = Counter()
    different = set()
    for group, case in cases(name):
        results[case["result"]] += 1
        document = group.get("public") or group["private"]
        token = case.get("jws", case.get("jwe"))
        if any(accepts(keys, token) for keys in key_sets(document)) != (case["result"] == "valid"):
            different.add(case["tcId"])
    return results, different


def test_J1_wycheproof_json_web_signature() -> None:
    results, different = disagreements("json_web_signature_test.json")
    assert results == {"valid": 46, "invalid": 355}
    assert different == JWS_DEVIATIONS.keys()


def test_J5_wycheproof_json_web_key() -> None:
    results, different = disagreements("json_web_key_test.json")
    assert results == {"valid": 5, "invalid": 21}
    assert different == set()


def test_J5_wycheproof_keys_one_by_one() -> None:
    """What the admission filter says of every published key of the key file."""
    reasons = {}
    for group, case in cases("json_web_key_test.json"):
        keys = KeySet.parse({"keys": (group.get("public") or group["private"])["keys"]})
        reasons[case["tcId"]] = [refused.reason for refused in keys.refused]
    symmetric = "a symmetric key does not belong in a published key set"
    twice = "its kid stands on more than one key of the set"
    assert reasons.pop(2) == reasons.pop(3) == [symmetric, symmetric]
    assert reasons.pop(4) == [twice, twice]
    assert reasons.pop(5) == []
    assert reasons == {
        1: [symmetric],
        6: ["its use is not sig"],
        7: ["its modulus has the ROCA fingerprint (CVE-2017-15361)"],
        8: ["its modulus is not of 2048 to 8192 bits"],
        9: ["its exponent is not odd and at least 65537"],
        **{number: [symmetric] for number in range(10, 19)},
        19: ["its alg does not fit its type and curve"],
        20: ["its alg does not fit its type and curve"],
        21: ["its use is not sig"],
        22: ["its point is not on its curve"],
        23: ["a coordinate has not the length of its curve"],
        24: ["its member n is missing"],
        25: [symmetric],
        26: [symmetric],
    }


def test_J3_wycheproof_json_web_crypto_and_encryption() -> None:
    """The JWS cases are judged alike; every JWE is refused, a well-made one too."""
    results, different = disagreements("json_web_crypto_test.json")
    assert results == {"valid": 6, "invalid": 77}
    encrypted = {
        case["tcId"]
        for _, case in cases("json_web_crypto_test.json")
        if "jwe" in case and case["result"] == "valid"
    }
    assert len(encrypted) == 2
    assert different == encrypted
    tokens = [case["jwe"] for _, case in cases("json_web_encryption_test.json")]
    assert len(tokens) == 139
    for token in tokens:
        with pytest.raises(NotStrict):
            parse(token.encode())


def cookbook(pattern: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(COOKBOOK.glob(pattern))}


def cookbook_keys(example: dict) -> KeySet:
    key = {name: value for name, value in example["input"]["key"].items() if name not in PRIVATE}
    (keys,) = key_sets(key)
    return keys


def test_J1_cookbook_signatures_verify() -> None:
    examples = [
        example
        for name, example in (cookbook("jws/*.json") | cookbook("curve25519/jws.json")).items()
        if name.startswith(("4_1", "4_2", "4_3", "4_4", "jws"))
    ]
    assert len(examples) == 5
    for example in examples:
        keys, token = cookbook_keys(example), example["output"]["compact"]
        assert accepts(keys, token), example["title"]
        head, _, signature = token.split(".")
        changed = base64.urlsafe_b64encode(b"another payload.").decode().rstrip("=")
        assert not accepts(keys, f"{head}.{changed}.{signature}")
        assert parse(token.encode()).payload == example["input"]["payload"].encode()


def test_J3_cookbook_everything_but_compact_jws_is_refused() -> None:
    signed = {
        name: example
        for name, example in (cookbook("jws/*.json") | cookbook("rfc7797/*.json")).items()
        if not name.startswith(("4_1", "4_2", "4_3", "4_4"))
    }
    assert len(signed) == 6
    encrypted = cookbook("jwe/*.json") | cookbook("curve25519/ecdh-es.json")
    assert len(encrypted) == 14
    for example in (*signed.values(), *encrypted.values()):
        for form in example["output"].values():
            token = form if isinstance(form, str) else json.dumps(form)
            if example["title"].startswith("Signature with Detached"):
                # Well-formed with an empty payload, which the signature is not made for.
                assert not accepts(cookbook_keys(example), token)
            else:
                with pytest.raises(NotStrict):
                    parse(token.encode())


def json_cases() -> list[tuple[str, str, bytes]]:
    suite = json.loads((VECTORS / "json/json_parsing.json").read_text())
    return [(case["name"], case["expect"], base64.b64decode(case["b64"])) for case in suite]


def is_strict(document: bytes) -> bool:
    try:
        json_object(document)
    except NotStrict:
        return False
    return True


def test_J4_json_parsing_suite() -> None:
    suite = json_cases()
    assert len(suite) == 317
    verdicts = Counter(expect for _, expect, _ in suite)
    assert verdicts == {"accept": 95, "reject": 187, "either": 35}
    for name, expect, document in suite:
        member = b'{"claim": ' + document + b"}"
        if expect == "reject":
            assert not is_strict(document), name
            assert not is_strict(member), name
        elif expect == "accept":
            once = "duplicated" not in name
            assert is_strict(member) == once, name
            assert is_strict(document) == (once and document.strip().startswith(b"{")), name
        else:
            is_strict(document)  # implementation defined: either verdict, but no other exception
            is_strict(member)
