"""Signing in and out with a browser, and what a person can see of it.

``GET /auth/{provider}/login?next=``, ``GET /auth/{provider}/callback``, ``POST /auth/logout``,
``GET /auth/session``, and ``POST /auth/{provider}/backchannel-logout`` for the provider itself.
A sign-in that fails is told in a page where a person looks at it, and as a problem otherwise.

Django's CSRF tokens are not used here: what changes something proves that a page of this origin
asks (``Visit.require_same_origin``), as on every route with a session.
"""

import logging
import time
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from oidc_clients.browser.desk import Party, desk
from oidc_clients.browser.grants import GrantRefused, GrantUnavailable, Tokens
from oidc_clients.browser.http import Visit, page, private, redirect, require_method
from oidc_clients.browser.id_tokens import Person, TokenRefused, TokenUndecided
from oidc_clients.browser.login import (
    LIFETIME,
    Begun,
    CallbackRefused,
    check_issuer,
    single,
)
from oidc_clients.browser.store import Found, Session, key_of, new_id
from oidc_clients.views import Refused
from policies.core.browser import shows_page
from policies.core.values import Deny, Identity
from policies.references import SecretUnreadable

logger = logging.getLogger(__name__)

_MAX_AGENT = 200  # characters of a browser's name that are kept
_UNKNOWN = Deny("route_not_found", "Nobody can sign in at such a provider.")
_NO_SESSION = Deny("session_invalid", "You are not signed in.")
_UNAVAILABLE = Deny("provider_unavailable", "The identity provider cannot be reached; try again.")
_MISCONFIGURED = Deny("misconfigured", "The gateway is not set up for this provider.")


class _NotSignedIn(Exception):
    """Why nobody was signed in: the ``Deny`` for the person, the message for the log."""

    def __init__(self, deny: Deny, reason: object) -> None:
        super().__init__(str(reason))
        self.deny = deny


@csrf_exempt
def login(request: HttpRequest, name: str) -> HttpResponse:
    """Send the browser to the provider."""
    visit = Visit.of(request, "GET")
    visit.require_cookies()
    party = _party(name)
    try:
        endpoint = desk().grants.metadata(party.sign_in).authorization_endpoint
        if endpoint is None:
            raise GrantUnavailable("its metadata name no authorization_endpoint")
    except GrantUnavailable as error:
        return _failed(request, visit, name, _NotSignedIn(_UNAVAILABLE, error))
    binding = visit.binding or new_id()
    url = async_to_sync(desk().logins.begin)(
        party.sign_in, endpoint, visit.base, request.GET.get("next", "/"), binding
    )
    response = redirect(url)
    visit.bind(response, binding, LIFETIME)
    return response


@csrf_exempt
def callback(request: HttpRequest, name: str) -> HttpResponse:
    """The provider sends the browser back: begin the session."""
    visit = Visit.of(request, "GET")
    visit.require_cookies()
    party = _party(name)
    try:
        begun, code = _answered(request, visit, party)
        tokens, person = _proven(party, begun, code)
    except _NotSignedIn as failure:
        return _failed(request, visit, name, failure)
    session_id = async_to_sync(_begin)(request, visit, party, person, tokens)
    response = redirect(begun.target)
    visit.signed_in(response, session_id)
    logger.info("request %s: provider %s: a browser signed in", _request_id(request), name)
    return response


def _party(name: str) -> Party:
    try:
        party = desk().party(name)
    except (SecretUnreadable, ValueError) as error:
        logger.error("provider %s: nobody can sign in: %s", name, error)
        raise Refused(_MISCONFIGURED) from error
    if party is None:
        raise Refused(_UNKNOWN)
    return party


def _answered(request: HttpRequest, visit: Visit, party: Party) -> tuple[Begun, str]:
    """The sign-in that is answered, and the code. Raises ``_NotSignedIn``."""
    query = dict(request.GET.lists())
    try:
        state, code = single(query, "state"), single(query, "code")
        begun = async_to_sync(desk().logins.take)(state, party.sign_in.provider, visit.binding)
        check_issuer(single(query, "iss"), party.sign_in, desk().grants.metadata(party.sign_in))
        if single(query, "error"):
            detail = "The provider did not sign you in, or you declined."
            raise _NotSignedIn(Deny("session_invalid", detail), "the provider answers an error")
        if not code:
            raise CallbackRefused("it holds no code")
    except CallbackRefused as error:
        deny = Deny("request_invalid", f"The sign-in cannot be completed: {error}.")
        raise _NotSignedIn(deny, error) from error
    except GrantUnavailable as error:
        raise _NotSignedIn(_UNAVAILABLE, error) from error
    return begun, code


def _proven(party: Party, begun: Begun, code: str) -> tuple[Tokens, Person]:
    """The tokens, and whom they prove. Raises ``_NotSignedIn``."""
    sign_in = party.sign_in
    try:
        tokens = desk().grants.exchange(
            sign_in, code, begun.redirect_uri, begun.verifier, time.time()
        )
        return tokens, async_to_sync(_verified)(party, begun, tokens)
    except (GrantRefused, TokenRefused) as error:
        detail = "The provider's answer does not prove who you are."
        raise _NotSignedIn(Deny("session_invalid", detail), error) from error
    except (GrantUnavailable, TokenUndecided) as error:
        raise _NotSignedIn(_UNAVAILABLE, error) from error


async def _verified(party: Party, begun: Begun, tokens: Tokens) -> Person:
    """Raises ``TokenRefused`` and ``TokenUndecided``, also for an access token that no route
    would take: a session with it would lead the browser round and round."""
    now = time.time()
    person = await party.verifier.id_token(tokens.id_token, begun.nonce, tokens.access_token, now)
    verdict = await party.tokens.verify((party.spec.name,), tokens.access_token.encode(), now)
    if isinstance(verdict, Identity):
        if "cnf" in verdict.claims:
            raise TokenRefused("its access token is bound to a key")
        return person
    if verdict.refusal.status == 503:
        raise TokenUndecided(verdict.detail)
    raise TokenRefused(f"its access token is refused: {verdict.detail} ({verdict.code})")


async def _begin(
    request: HttpRequest, visit: Visit, party: Party, person: Person, tokens: Tokens
) -> str:
    """A new session, in the place of the one that this browser had. Its id."""
    sessions, sign_in, now = desk().sessions, party.sign_in, time.time()
    former = await visit.session(sessions)
    if former is not None:
        await sessions.end(former.session.provider, former.session.subject, [former.key])
    ends = now + sign_in.lifetime
    agent = request.headers.get("User-Agent", "")[:_MAX_AGENT]
    session = Session(
        provider=sign_in.provider,
        issuer=sign_in.issuer,
        subject=person.subject,
        created=now,
        ends=ends if tokens.refresh_token else min(ends, tokens.expires),
        idle=sign_in.idle,
        access_token=tokens.access_token,
        renew_at=tokens.renew_at if tokens.refresh_token else tokens.expires,
        expires=tokens.expires,
        refresh_token=tokens.refresh_token,
        sid=person.sid,
        name=person.name,
        agent=agent if agent.isprintable() else "",
        address=str(request.META.get("REMOTE_ADDR", "")),
    )
    return await sessions.begin(session)


def _failed(request: HttpRequest, visit: Visit, name: str, failure: _NotSignedIn) -> HttpResponse:
    logger.warning(
        "request %s: provider %s: nobody was signed in: %s", _request_id(request), name, failure
    )
    deny = failure.deny
    if not shows_page(visit.headers):
        raise Refused(deny)
    context = {"deny": deny, "again": f"/auth/{name}/login", "request_id": _request_id(request)}
    response = page(request, "browser/failed.html", context, deny.refusal.status)
    if deny.refusal.status == 503:
        response["Retry-After"] = "5"
    return response


@csrf_exempt
def session(request: HttpRequest) -> HttpResponse:
    """Who is signed in, for the pages of this origin."""
    found = async_to_sync(Visit.of(request, "GET").session)(desk().sessions)
    if found is None:
        raise Refused(_NO_SESSION)
    held = found.session
    content = {
        "provider": held.provider,
        "issuer": held.issuer,
        "subject": held.subject,
        "name": held.name,
        "created": int(held.created),
        "expires": int(held.ends),
        "idle": held.idle,
    }
    return private(JsonResponse(content))


@csrf_exempt
def logout(request: HttpRequest) -> HttpResponse:
    """End the session here, and lead a person on to the provider's own sign-out."""
    visit = Visit.of(request, "POST")
    visit.require_same_origin()
    sessions = desk().sessions
    found = async_to_sync(visit.session)(sessions)
    if found is not None:
        held = found.session
        async_to_sync(sessions.end)(held.provider, held.subject, [found.key])
    url = end_session_url(visit, found)
    if shows_page(visit.headers):
        response = redirect(url or "/auth/signed-out", 303)
    else:
        response = private(JsonResponse({"end_session_url": url or None}))
    visit.signed_out(response)
    return response


def end_session_url(visit: Visit, found: Found | None) -> str:
    """Where the provider signs the person out (RP-Initiated Logout 1.0, 2); empty: nowhere.

    No ``id_token_hint`` goes there: a token has no place in a URL. So the provider asks the
    person before it signs them out.
    """
    party = desk().party(found.session.provider) if found is not None else None
    if party is None:
        return ""
    try:
        endpoint = desk().grants.metadata(party.sign_in).end_session_endpoint
    except GrantUnavailable as error:
        logger.warning("provider %s: no sign-out there: %s", party.sign_in.provider, error)
        return ""
    if endpoint is None:
        return ""
    query = {
        "client_id": party.sign_in.client.client_id,
        "post_logout_redirect_uri": f"{visit.base}/auth/signed-out",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


@csrf_exempt
def signed_out(request: HttpRequest) -> HttpResponse:
    """Where a sign-out ends."""
    require_method(request, "GET")
    return page(request, "browser/signed_out.html", {})


@csrf_exempt
def backchannel_logout(request: HttpRequest, name: str) -> HttpResponse:
    """The provider ends sessions (Back-Channel Logout 1.0). Not limited by address: all of a
    provider's sign-outs come from its own."""
    require_method(request, "POST")
    party = _party(name)
    given = request.POST.getlist("logout_token")
    try:
        if len(given) != 1:
            raise TokenRefused("give one logout_token")
        ended = async_to_sync(_logged_out)(party, given[0])
    except TokenRefused as error:
        logger.warning(
            "request %s: provider %s: a logout token is refused: %s",
            _request_id(request), name, error,
        )  # fmt: skip
        content = {"error": "invalid_request", "error_description": f"The logout token: {error}."}
        return private(JsonResponse(content, status=400))
    except TokenUndecided:
        raise Refused(_UNAVAILABLE) from None
    logger.info(
        "request %s: provider %s: %d sessions ended by logout token",
        _request_id(request), name, ended,
    )  # fmt: skip
    return private(HttpResponse(status=200))


async def _logged_out(party: Party, token: str) -> int:
    """End the sessions that a logout token names; their number."""
    now, provider, sessions = time.time(), party.sign_in.provider, desk().sessions
    logout = await party.verifier.logout_token(token, now)
    once = f"logout:{provider}:{key_of(logout.token_id.encode())}"
    if not await desk().state.remember_once(once, max(1.0, logout.expires + 300 - now)):
        raise TokenRefused("it was used before")
    rows = await (
        sessions.of_person(provider, logout.subject)
        if logout.subject
        else sessions.of_provider(provider)
    )
    # A session of which the provider never said its sid may be the one that is meant.
    ended = [row for row in rows if not logout.sid or row.sid in ("", logout.sid)]
    if not logout.subject:
        ended = [row for row in ended if row.sid]
    for row in ended:
        await sessions.end(provider, row.subject, [row.key])
    return len(ended)


def _request_id(request: HttpRequest) -> str:
    return request.headers.get("X-Request-Id", "")
