"""What the identity kinds share: how a credential stands in a request, and how one is asked for.

A credential that stands there twice is never chosen between (B2), and a refusal with 401 says
how to authenticate (RFC 9110 11.6.1) in texts that are ours or checked by a config.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from policies.core.values import Deny, Headers
from policies.core.values import Field as HeaderField

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")  # RFC 6749 3.3
_WORD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token of RFC 9110 5.6.2


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError("a scope is one word of printable ASCII without quotes and backslashes")
    return text


def _header(text: str) -> str:
    if not _WORD.fullmatch(text) or "_" in text:
        raise ValueError("a header name is made of letters, digits and hyphens")
    return text


def word(text: str) -> str:
    """The text, if it is empty or a token of RFC 9110 5.6.2. Raises ``ValueError``."""
    if text and not _WORD.fullmatch(text):
        raise ValueError("use letters, digits and hyphens")
    return text


Scope = Annotated[str, AfterValidator(_scope)]
HeaderName = Annotated[str, AfterValidator(_header)]
Text = Annotated[str, Field(min_length=1, max_length=255)]


def challenge(scheme: str, **parameters: str) -> tuple[HeaderField, ...]:
    """``WWW-Authenticate`` of a scheme (RFC 9110 11.6.1); empty parameters are left out."""
    given = {"realm": "gatehouse", **parameters}
    text = ", ".join(f'{name}="{value}"' for name, value in given.items() if value)
    return ((b"www-authenticate", f"{scheme} {text}".encode()),)


def stands_twice(headers: Headers, name: bytes) -> bool:
    """Whether a header (lower case) has more than one line."""
    return headers.repeats and len(headers.all(name)) > 1


def all_missing(missing: list[Deny]) -> Deny:
    """The refusal of a call without credentials where several kinds would do: every challenge."""
    first = missing[0]
    fields = dict.fromkeys(field for deny in missing for field in deny.fields)
    return Deny(first.code, first.detail, tuple(fields), first.errors)
