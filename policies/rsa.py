"""Which RSA public keys are strong enough to verify signatures with. Pure.

Sources: RFC 7518 3.3 (2048 bits and more); ROCA: Nemec et al., "The Return of Coppersmith's
Attack", ACM CCS 2017, and the fingerprint published with it (crocs-muni/roca).
"""

MIN_BITS = 2048
MAX_BITS = 8192  # a larger one only makes verifying slow
MIN_EXPONENT = 65537
MAX_EXPONENT_BITS = 64  # as OpenSSL bounds it


def weakness(n: int, e: int) -> str | None:
    """Why a key of modulus ``n`` and exponent ``e`` is not admitted, as what "its ..." says."""
    if not MIN_BITS <= n.bit_length() <= MAX_BITS:
        return f"its modulus is not of {MIN_BITS} to {MAX_BITS} bits"
    if e < MIN_EXPONENT or e % 2 == 0 or e.bit_length() > MAX_EXPONENT_BITS:
        return f"its exponent is not odd and at least {MIN_EXPONENT}"
    if n % 2 == 0 or any(n % prime == 0 for prime in _ROCA_RESIDUES):
        return "its modulus has a small factor"
    if has_roca_fingerprint(n):
        return "its modulus has the ROCA fingerprint (CVE-2017-15361)"
    return None


_ROCA_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83),
    *(89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)
_ROCA_RESIDUES = {
    prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime - 1))
    for prime in _ROCA_PRIMES
}


def has_roca_fingerprint(n: int) -> bool:
    """Whether a modulus comes from the flawed generator of CVE-2017-15361.

    Its primes are ``k * M + 65537**a mod M`` with ``M`` a product of small primes, so that the
    modulus is a power of 65537 modulo each of them; a random one is so by chance about once
    in 2**27 times.
    """
    return all(n % prime in residues for prime, residues in _ROCA_RESIDUES.items())
