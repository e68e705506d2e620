"""RFC 9530: every digest that its examples print, recomputed; and digests that prove nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.http.digests import DigestRefused, RunningDigest, digest_field, parse_digest
from tests.policies.http.messages import vectors

BLOCKS = 45
DIGESTS = 31
_FIELD = re.compile(r"^(Content|Repr)-Digest: (.+?)(?:\\r\\n)?$", re.MULTILINE)

HELLO = b'{"hello": "world"}\n'
# The text prints 8B 08 for the first two bytes; both of its digests are those of 0B 09.
BROTLI = b"\x0b\x09\x80" + HELLO + b"\x03"
# What the digests of a block are of, where the block does not print it itself.
CONTENT: dict[tuple[int, str], bytes] = {
    (18, "Content"): b"",  # the answer to HEAD
    (20, "Content"): HELLO[10:],
    (22, "Content"): HELLO[10:],
}
BROTLI_BLOCKS = {24, 26, 28}
# Their sha-512 is that of the plain text: the example mixes two contents.
BROTLI_SHA256_BLOCKS = {1, 3}
WHOLE_BLOCKS = {29, 30, 31, 32, 33, 34, 35}  # what they print, and the line's end


def _content(number: int, kind: str, algorithm: str, text: str) -> bytes:
    if number in BROTLI_SHA256_BLOCKS and algorithm == "sha-256":
        return BROTLI
    if number in WHOLE_BLOCKS:
        return text.partition("\n\n")[2].encode() + b"\n"
    return CONTENT.get((number, kind), BROTLI if number in BROTLI_BLOCKS else HELLO)


def test_every_printed_digest_is_that_of_its_content() -> None:
    blocks = vectors("digest/rfc9530_examples.json")
    assert len(blocks) == BLOCKS
    checked = 0
    for block in blocks:
        for kind, value in _FIELD.findall(block["text"]):
            for algorithm, digest in parse_digest([value.encode()]).items():
                running = RunningDigest({algorithm: digest})
                running.feed(_content(block["i"], kind, algorithm, block["text"]))
                assert running.agrees(), (block["i"], kind, algorithm)
                checked += 1
    assert checked == DIGESTS


def test_the_algorithms_of_the_last_block() -> None:
    text = vectors("digest/rfc9530_examples.json")[44]["text"]
    printed = dict(re.findall(r"^([a-z0-9-]+) +-? *(:\S+:)$", text, re.MULTILINE))
    field = ", ".join(f"{name}={value}" for name, value in printed.items()).encode()
    assert len(printed) == 8
    digests = parse_digest([field])
    assert digests.keys() == {"sha-256", "sha-512"}, "the others are broken and prove nothing"
    running = RunningDigest(digests)
    running.feed(HELLO.strip())
    assert running.agrees()


@given(st.binary(max_size=1000), st.sampled_from(["sha-256", "sha-512"]), st.integers(1, 50))
def test_what_is_made_is_what_is_checked(content: bytes, algorithm: str, size: int) -> None:
    expected = parse_digest([digest_field(content, algorithm)])
    running = RunningDigest(expected)
    for at in range(0, len(content), size):
        running.feed(content[at : at + size])
    assert running.agrees()
    running.feed(b"x")
    assert not running.agrees()


def test_all_digests_must_agree() -> None:
    right, wrong = digest_field(b"a", "sha-256"), digest_field(b"b", "sha-512")
    running = RunningDigest(parse_digest([right, wrong]))
    running.feed(b"a")
    assert not running.agrees()


def test_an_unknown_algorithm_is_as_good_as_none() -> None:
    assert parse_digest([b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:"]) == {}
    with pytest.raises(ValueError, match="nothing is expected"):
        RunningDigest({})


@pytest.mark.parametrize(
    "field",
    [b"sha-256=abc", b"sha-256", b"sha-256=(:AA==:)", b"sha-256=:AA==:, sha-256=:AA==:", b"="],
)
def test_a_malformed_field_is_refused(field: bytes) -> None:
    with pytest.raises(DigestRefused):
        parse_digest([field])
