"""The JOSE library (PyJWT), behind the few functions that the product needs of it. Pure.

No other module imports it: which algorithm, key and claims hold is decided elsewhere, and what
is left here is arithmetic.
"""

import base64
import binascii
import contextlib
from typing import Any

import jwt
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ALGORITHMS: dict[str, Algorithm] = get_default_algorithms()


def verifies(algorithm: str, signing_input: bytes, key: Any, signature: bytes) -> bool:
    """Whether the signature is that of the key. ``algorithm`` is one that the key may verify."""
    return bool(_ALGORITHMS[algorithm].verify(signing_input, key, signature))


def signed(claims: dict[str, Any], algorithm: str, key: Any, kid: str | None) -> str:
    """A JWT with these claims; without ``kid`` its header has none."""
    return jwt.encode(claims, key, algorithm, headers={} if kid is None else {"kid": kid})


def is_key(text: str | bytes) -> bool:
    """Whether a text is a key, a certificate or a JWK in any usual serialisation: PEM, DER (also
    in base64), SSH, JSON.

    Everybody has a provider's public ones, so none of them is a shared secret (RFC 8725 2.1).
    """
    raw = text.encode() if isinstance(text, str) else text
    forms = [raw, raw.strip()]
    with contextlib.suppress(binascii.Error):
        forms.append(base64.b64decode(b"".join(raw.split()).translate(_URL_SAFE) + b"=="))
    return any(map(_is_key, filter(None, forms)))


def _is_key(form: bytes) -> bool:
    try:
        _ALGORITHMS["HS256"].prepare_key(form)
    except InvalidKeyError:
        return True
    return False
