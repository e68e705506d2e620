"""Configuration files of these tests, as dictionaries; each call makes a new one."""

from collections.abc import Sequence
from typing import Any

from tests.e2e.provider import AUDIENCE, Provider, secret
from tests.e2e.upstream import Upstream

Document = dict[str, Any]


def acme(provider: Provider, **changes: Any) -> Document:
    """The npm provider as the configuration names it."""
    return {
        "name": "acme",
        "issuer": provider.issuer,
        "insecure_http": True,
        "audiences": [AUDIENCE],
        "algorithms": ["RS256", "ES256"],
        "token_types": ["at+jwt"],
        "client": {"id": "gateway", "secret": secret("gateway")},
        "grants": ["client_credentials", "password", "refresh_token"],
        "scopes": ["read", "write"],
        **changes,
    }


def api(name: str, target: str, policies: Sequence[Document] = (), **changes: Any) -> Document:
    """An API below ``/name``; without policies anyone may call it."""
    upstream = {"targets": [{"url": target}], **changes.pop("upstream", {})}
    return {
        "name": name,
        "base_path": f"/{name}",
        "upstream": upstream,
        "policies": list(policies) or [{"public": {}}],
        **changes,
    }


def protected(name: str, target: str, *more: Document, **changes: Any) -> Document:
    """An API for tokens of ``acme`` with the scope ``read``."""
    jwt = {"jwt": {"providers": ["acme"], "scopes": ["read"]}}
    return api(name, target, [jwt, *more], **changes)


def document(provider: Provider | None, *apis: Document, **changes: Any) -> Document:
    """A whole file."""
    providers = [acme(provider)] if provider is not None else []
    return {"format": 1, "providers": providers, "apis": list(apis), **changes}


def standard(provider: Provider, upstream: Upstream) -> Document:
    """What most tests need: ``/orders`` with tokens, ``/open`` without, ``/ws`` for tunnels.

    ``/orders/write`` needs the scope write, ``/orders/claimed`` the client ``service``.
    """
    identity = {"forward_identity": {"headers": {"X-Subject": "sub", "X-Client": "client_id"}}}
    routes = [
        {"path": "/{rest*}"},
        {"path": "/write", "policies": [_jwt(scopes=["write"])]},
        {"path": "/claimed", "policies": [_jwt(claims={"client_id": "service"})]},
        {"path": "/cookie", "policies": [_jwt(cookie="access")]},
    ]
    websocket = [{"path": "/{rest*}", "websocket": True}]
    return document(
        provider,
        protected("orders", upstream.url, identity, routes=routes),
        api("open", upstream.url),
        protected("ws", upstream.websocket_url, routes=websocket),
    )


def sessions(provider: Provider, upstream: Upstream, **changes: Any) -> Document:
    """``/pages`` sends browsers to the sign-in, ``/api`` does not and forwards the token.

    ``changes`` are of the provider.
    """
    identity = {"forward_identity": {"headers": {"X-Subject": "sub"}}}
    session = {"provider": "acme", "scopes": ["read"]}
    routes = [
        {"path": "/{rest*}"},
        {"path": "/admin", "policies": [{"session": {"provider": "acme", "scopes": ["admin"]}}]},
        {
            "path": "/watched",
            "policies": [{"public": {}}, {"session": {**session, "mode": "report"}}],
        },
    ]
    made = document(
        provider,
        api("pages", upstream.url, [{"session": {**session, "redirect": True}}, identity]),
        api(
            "api", upstream.url,
            [{"session": {**session, "forward_token": True}}, identity], routes=routes,
        ),
        api("open", upstream.url),
    )  # fmt: skip
    client = {"id": "browser", "secret": secret("browser")}
    made["providers"] = [acme(provider, client=client, **changes)]
    return made


def _jwt(**options: Any) -> Document:
    return {"jwt": {"providers": ["acme"], **options}}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
