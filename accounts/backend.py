"""Console sign-in at the provider: mozilla-django-oidc's backend, made safe.

The stock class takes a code from any request, verifies little of the ID token and finds users by
e-mail address. Here:

1. It runs only for the callback of a sign-in that this browser began: without the nonce and the
   PKCE verifier of that sign-in Django does not even call it, so no password form can.
2. Code, keys and userinfo are asked for by ``oidc_clients``: checked addresses, bounded answers,
   no redirects, one key store. The ID token is verified as OpenID Connect Core 3.1.3.7 says:
   algorithm, signature, iss, aud, azp, exp, iat, nonce, at_hash.
3. Userinfo counts only with the same ``sub`` (Core 5.3.2).
4. A user is found by issuer and subject, and gets exactly what the roles grant, each time.
5. Whatever goes wrong is a sign-in that failed: logged, and never an exception.
"""

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from accounts.models import ConsoleIdentity
from accounts.provider import ConsoleProvider, NoProvider, console_provider
from accounts.roles import Granted, assign, granted, meets
from accounts.second_factor import PROVIDER_SESSION_KEY
from oidc_clients.browser.desk import desk
from oidc_clients.browser.grants import GrantRefused, GrantUnavailable, Tokens
from oidc_clients.browser.id_tokens import TokenRefused, TokenUndecided
from oidc_clients.browser.login import CallbackRefused, check_issuer, single
from oidc_clients.fetch import FetchError, get_json

logger = logging.getLogger(__name__)

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9@.+_-]+")
_MAX_NAME = 100

Claims = dict[str, Any]


class ConsoleBackend(OIDCAuthenticationBackend):  # type: ignore[misc]
    """One is made for each sign-in."""

    provider: ConsoleProvider

    def __init__(self) -> None:
        """The stock class reads settings here; ours come from the console, when they are needed."""
        self.UserModel = get_user_model()

    def authenticate(
        self, request: HttpRequest, *, nonce: str, code_verifier: str, redirect_uri: str
    ) -> User | None:
        """The user that the callback in ``request`` proves; None when it proves none."""
        self.request = request
        if not nonce or not code_verifier:
            return None
        try:
            self.provider = console_provider()
            tokens = self._tokens(code_verifier, redirect_uri)
            claims = self.verify_token(
                tokens.id_token, nonce=nonce, access_token=tokens.access_token
            )
            request.META[PROVIDER_SESSION_KEY] = self.provider.sign_in.issuer
            return self.get_or_create_user(tokens.access_token, tokens.id_token, claims)
        except (
            CallbackRefused, FetchError, GrantRefused, IntegrityError, GrantUnavailable, NoProvider,
            SuspiciousOperation, TokenRefused, TokenUndecided,
        ) as error:  # fmt: skip
            logger.warning("console sign-in at the provider: nobody was signed in: %s", error)
            return None

    def get_token(self, payload: Mapping[str, Any]) -> Any:
        """Tokens for a code, asked for with the client's secret in the header alone."""
        return desk().grants.exchange(
            self.provider.sign_in,
            payload["code"],
            payload["redirect_uri"],
            payload["code_verifier"],
            time.time(),
        )

    def verify_token(self, token: str, **kwargs: Any) -> Claims:
        """What an ID token says, once all of it holds; ``kwargs`` are the nonce and the access
        token that it must belong to. Raises ``TokenRefused`` and ``TokenUndecided``."""
        verified = async_to_sync(self.provider.party.verifier.id_claims)
        return verified(token, kwargs["nonce"], kwargs["access_token"], time.time())

    def get_userinfo(self, access_token: str, id_token: str, payload: Claims) -> Claims:
        """What the ID token and userinfo say of one and the same subject; the token's word counts
        where both speak. Raises ``FetchError`` and ``TokenRefused``."""
        url = self.provider.metadata().userinfo_endpoint
        if url is None:
            return payload
        answer = get_json(url, self.provider.sign_in.reach, token=access_token).json or {}
        if answer.get("sub") != payload["sub"]:
            raise TokenRefused("userinfo speaks of another subject")
        return {**answer, **payload}

    def verify_claims(self, claims: Claims) -> bool:
        """Whether they say what they must."""
        return meets(self.provider.chosen.required_claims, claims)

    @transaction.atomic
    def get_or_create_user(self, access_token: str, id_token: str, payload: Claims) -> User | None:
        """The user of the subject, with what the roles grant now. Whom nothing is granted loses
        what there was, and is not signed in."""
        claims = self.get_userinfo(access_token, id_token, payload)
        chosen = self.provider.chosen
        grant = None
        if self.verify_claims(claims):
            roles = chosen.roles.select_related("group")
            grant = granted(roles, claims, chosen.group_claim)
        identity = (
            ConsoleIdentity.objects.select_related("user")
            .filter(issuer=self.provider.sign_in.issuer, subject=payload["sub"])
            .first()
        )
        if identity is not None:
            return self.update_user(identity.user, claims, grant)
        if grant is None:
            logger.warning("console sign-in at the provider: no role is granted to a new subject")
            return None
        return self.create_user(claims, grant)

    def update_user(self, user: User, claims: Claims, grant: Granted | None = None) -> User | None:
        """Bring an account up to date."""
        assign(user, grant)
        if grant is None:
            logger.warning("console sign-in at the provider: no role is granted to %s", user.pk)
        return user if grant is not None and self.user_can_authenticate(user) else None

    def create_user(self, claims: Claims, grant: Granted | None = None) -> User:
        """A new account, which nobody can sign in to with a password."""
        user = User(username=self.get_username(claims))
        user.set_unusable_password()
        user.save(force_insert=True)
        ConsoleIdentity.objects.create(
            user=user, issuer=self.provider.sign_in.issuer, subject=claims["sub"]
        )
        assign(user, grant)
        return user

    def get_username(self, claims: Claims) -> str:
        """A name that tells people who it is, and that no account has yet."""
        given = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        name = _NOT_IN_A_NAME.sub("-", str(given))[:_MAX_NAME].strip("-") or "person"
        base = f"{name}@{self.provider.sign_in.provider}"[: _MAX_NAME + 30]
        taken = set(
            User.objects.filter(username__istartswith=base).values_list("username", flat=True)
        )
        folded = {each.casefold() for each in taken}
        candidates = (base if n == 1 else f"{base}-{n}" for n in range(1, len(folded) + 2))
        return next(each for each in candidates if each.casefold() not in folded)

    def get_user(self, user_id: Any) -> User | None:
        """The user of a session, unless switched off since."""
        user: User | None = super().get_user(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None

    def _tokens(self, code_verifier: str, redirect_uri: str) -> Tokens:
        query = dict(self.request.GET.lists())
        code = single(query, "code")
        check_issuer(single(query, "iss"), self.provider.sign_in, self.provider.metadata())
        if not code:
            raise CallbackRefused("it holds no code")
        tokens: Tokens = self.get_token(
            {"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        )
        if not tokens.id_token:
            raise TokenRefused("there is none")
        return tokens
