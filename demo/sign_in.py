"""Browser sign-in at the demo provider: one page, and a code for the one person it knows.

DEMO ONLY, as the rest of the provider: the page has no protection against being posted to by
others, nobody is remembered, and any port of loopback may be returned to (RFC 8252 7.3).
"""

import hashlib
import html
import re
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

LIFETIME = 60
"""Seconds in which a code must be used."""
MAX_CODES = 1000

CLIENT = "gatehouse"
_RETURN = re.compile(r"http://(?:127\.0\.0\.1|localhost):[0-9]{1,5}/auth/demo/callback")
_ASKED = ("client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge")

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Demo provider</title>
<h1>Sign in at the demo provider</h1><p>{said}</p>
<form method="post">{hidden}
<p><label>User <input name="username" value="demo"></label></p>
<p><label>Password <input name="password" type="password"></label> (demo-password)</p>
<p><button>Sign in</button></p></form></html>"""


class SignInError(Exception):
    """The request is not one that a sign-in can begin with; the message says why."""


@dataclass(frozen=True)
class Code:
    """What a code stands for, until it is used or ``ends``."""

    subject: str
    redirect_uri: str
    scopes: str
    nonce: str
    challenge: str
    ends: float


class SignIns:
    """Sign-ins under way. Safe to use from several threads."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._codes: dict[str, Code] = {}
        self._lock = threading.Lock()

    def page(self, asked: Mapping[str, str], said: str = "") -> str:
        """The form. Raises ``SignInError`` for a request by another way than code with PKCE."""
        self._check(asked)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(asked.get(name, ""))}">'
            for name in (*_ASKED, "response_type", "code_challenge_method")
        )
        return _PAGE.format(said=html.escape(said), hidden=hidden)

    def answer(self, asked: Mapping[str, str], subject: str) -> str:
        """Where the browser returns to with a code. Raises ``SignInError``."""
        self._check(asked)
        code = secrets.token_urlsafe(32)
        values = [asked.get(name, "") for name in _ASKED]
        _, redirect_uri, scope, state, nonce, challenge = values
        with self._lock:
            if len(self._codes) >= MAX_CODES:
                del self._codes[next(iter(self._codes))]
            ends = time.time() + LIFETIME
            self._codes[code] = Code(subject, redirect_uri, scope, nonce, challenge, ends)
        return f"{redirect_uri}?{urlencode({'code': code, 'state': state, 'iss': self._issuer})}"

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> Code | None:
        """What the code stands for, once; None when any of the three is wrong."""
        with self._lock:
            found = self._codes.pop(code, None)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if found is None or time.time() >= found.ends:
            return None
        return found if (redirect_uri, challenge) == (found.redirect_uri, found.challenge) else None

    @staticmethod
    def _check(asked: Mapping[str, str]) -> None:
        if asked.get("client_id") != CLIENT:
            raise SignInError("the client is unknown")
        if not _RETURN.fullmatch(asked.get("redirect_uri", "")):
            raise SignInError("the redirect URI is not registered")
        way = (asked.get("response_type"), asked.get("code_challenge_method"))
        if way != ("code", "S256") or not asked.get("code_challenge"):
            raise SignInError("only the code flow with PKCE (S256) is offered")
