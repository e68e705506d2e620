"""What a configuration document says about more than one value: the second half of its check.

The first half are the declarations (``apis.config``, ``provider_config`` and ``client_config``
of ``oidc_clients``, and the kinds' own ``Config``), which judge each value alone. Admin,
configuration file and REST all build a ``Document`` and ask ``problems``; there is no other
validator.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import TypeVar

from apis.config import ApiConfig, Document, RouteConfig
from apis.precedence import Effective, effective_policies, route_name, whole_api
from apis.syntax import template_shape
from oidc_clients.provider_config import ProviderConfig
from policies.core.addresses import Networks, refusal
from policies.core.config import Problem, location
from policies.entries import PolicyEntry
from policies.kinds.openapi import OpenApiConfig
from policies.kinds.session import SessionConfig
from policies.openapi.compiled import document_problems
from policies.urls import web_address

NO_IDENTITY = (
    "nothing here says who may call: attach an identity policy such as jwt, "
    "or say public: {} for everybody"
)
SHADOWING = ("/-", "/auth")  # whatever is registered, these are the gateway's
OWN_PATHS = (*SHADOWING, "/.well-known")

Place = tuple[int | str, ...]
Key = TypeVar("Key", bound=Hashable)
_Found = Iterator[tuple[Place, str]]


def problems(
    document: Document,
    allowed_networks: Networks,
    *,
    left_out: Collection[str] | None = None,
) -> list[Problem]:
    """Everything that is wrong between the values of a document, with its place.

    ``allowed_networks`` are those an address may stand in beside public ones. ``left_out`` says
    that parts of the document are missing because they are wrong by themselves, and names the
    providers and clients there were: what could be the mere absence of such a part is then
    not reported.
    """
    found = [
        *_names(document),
        *_addresses(document, allowed_networks),
        *_own_paths(document),
        *_collisions(document),
        *_websockets(document),
        *_repeated_policies(document),
        *_openapi_documents(document, whole=left_out is None),
        *_references(document, left_out or ()),
    ]
    if left_out is None:
        found += [*_identities(document), *_shared_secrets(document)]
    return [Problem(path=location(place), message=message) for place, message in found]


def policy_lists(document: Document) -> Iterator[tuple[Place, tuple[PolicyEntry, ...]]]:
    """Every list of policies of the document, with its place."""
    yield ("policies",), document.policies
    for at, api in enumerate(document.apis):
        yield ("apis", at, "policies"), api.policies
        for number, route in enumerate(api.routes):
            yield ("apis", at, "routes", number, "policies"), route.policies


def signs(document: Document) -> bool:
    """Whether anything in a document uses the gateway's own signing keys."""
    entries = (entry for _, entries in policy_lists(document) for entry in entries)
    return any(entry.mode != "off" and entry.config.signs for entry in entries)


def _repeats(names: Iterable[Key]) -> Iterator[tuple[int, Key]]:
    """Index and name of everything that was there before."""
    seen: Counter[Key] = Counter()
    for at, name in enumerate(names):
        if seen[name]:
            yield at, name
        seen[name] += 1


def _names(document: Document) -> _Found:
    for section in ("providers", "clients", "apis"):
        for at, name in _repeats(item.name for item in getattr(document, section)):
            yield (section, at, "name"), f"the name {name} is used twice"
    signing = []
    for at, api in enumerate(document.apis):
        for number, host in _repeats(api.hosts):
            yield ("apis", at, "hosts", number), f"the host {host} stands here twice"
    for at, client in enumerate(document.clients):
        for number, name in _repeats(key.name for key in client.api_keys):
            yield ("clients", at, "api_keys", number, "name"), f"the name {name} is used twice"
        signing += [(at, number, key.id) for number, key in enumerate(client.signing_keys)]
    for position, name in _repeats(key_id for _, _, key_id in signing):
        at, number, _ = signing[position]
        yield ("clients", at, "signing_keys", number, "id"), f"the key id {name} is used twice"
    yield from _certificates(document)


def _certificates(document: Document) -> _Found:
    """A certificate names one client."""
    known = [
        (at, number, certificate)
        for at, client in enumerate(document.clients)
        for number, certificate in enumerate(client.certificates)
    ]
    for position, _ in _repeats(certificate.known_by for _, _, certificate in known):
        at, number, _ = known[position]
        yield ("clients", at, "certificates", number), "the same certificate is named twice"


def _addresses(document: Document, allowed: Networks) -> _Found:
    for at, provider in enumerate(document.providers):
        for member in ("issuer", "jwks_uri"):
            url = getattr(provider, member)
            if url is not None and _is_fetched(provider, member):
                yield from _address(("providers", at, member), url, allowed)
    for at, api in enumerate(document.apis):
        for number, target in enumerate(api.upstream.targets):
            place = ("apis", at, "upstream", "targets", number, "url")
            yield from _address(place, target.url, allowed)


def _is_fetched(provider: ProviderConfig, member: str) -> bool:
    """Whether anything is ever asked at this address; an issuer may be a mere name."""
    configured = provider.jwks_uri is not None or provider.keys or provider.symmetric
    return member == "jwks_uri" or not configured or bool(provider.grants)


def _shared_secrets(document: Document) -> _Found:
    for at, provider in enumerate(document.providers):
        if provider.symmetric and not provider.verification_secrets:
            yield (
                ("providers", at, "shared_secret"),
                "HS algorithms verify with it: give it here, or as the client's secret",
            )


def _address(place: Place, url: str, allowed: Networks) -> _Found:
    """A name is judged when it is resolved, an address already here."""
    literal = web_address(url).literal
    reason = refusal(str(literal), allowed) if literal is not None else None
    if reason is not None:
        yield (
            place,
            f"{literal} may not be connected to: {reason} "
            "(GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS lists those networks)",
        )


def _own_paths(document: Document) -> _Found:
    """Paths that would never be asked for, because the gateway itself answers there."""
    for at, api in enumerate(document.apis):
        if api.base_path != "/":
            own = f"/{api.base_path.split('/')[1]}"
            if own in OWN_PATHS:
                yield ("apis", at, "base_path"), f"the gateway itself answers under {own}"
            continue
        for number, route in enumerate(api.routes):
            own = f"/{route.path.split('/')[1]}"
            if own in SHADOWING:
                place = ("apis", at, "routes", number, "path")
                yield place, f"the gateway itself answers under {own}"


def _routes(api: ApiConfig) -> tuple[tuple[RouteConfig, bool], ...]:
    """Each route, and whether it is listed; an API that lists none is one route."""
    return tuple((route, True) for route in api.routes) or ((whole_api(), False),)


def _collisions(document: Document) -> _Found:
    """Two routes that the same request would match equally well."""
    taken: dict[tuple[str, str, str, str], str] = {}
    for at, api in enumerate(document.apis):
        for number, (route, listed) in enumerate(_routes(api)):
            name = route_name(api.name, route)
            place: Place = ("apis", at, "routes", number) if listed else ("apis", at)
            earlier = set()
            for key in _keys(api, route):
                if key in taken:
                    earlier.add(taken[key])
                taken.setdefault(key, name)
            for other in sorted(earlier):
                yield place, f"{other} has the same host, path and method: keep one of them"


def _keys(api: ApiConfig, route: RouteConfig) -> Iterator[tuple[str, str, str, str]]:
    shape = template_shape(route.path)
    for host in dict.fromkeys(api.hosts):
        for method in dict.fromkeys(route.methods or ("",)):
            yield host, api.base_path.rstrip("/"), shape, method


def _websockets(document: Document) -> _Found:
    for at, api in enumerate(document.apis):
        for number, route in enumerate(api.routes):
            if route.websocket and route.methods and "GET" not in route.methods:
                yield (
                    ("apis", at, "routes", number, "websocket"),
                    "a WebSocket begins with GET: add GET to the methods",
                )


def _repeated_policies(document: Document) -> _Found:
    for place, entries in policy_lists(document):
        for at, _key in _repeats(f"{entry.kind} {entry.name}" for entry in entries):
            yield (
                (*place, at, entries[at].kind),
                "this kind stands here twice: give one of them a name of its own",
            )


def _references(document: Document, left_out: Collection[str]) -> _Found:
    providers = {provider.name: provider for provider in document.providers}
    known = {
        "providers": {*providers, *left_out},
        "clients": {*(client.name for client in document.clients), *left_out},
    }
    for place, entries in policy_lists(document):
        for at, entry in enumerate(entries):
            here = (*place, at, entry.kind)
            for section, names in known.items():
                yield from _unknown(here, entry, section, names)
            if not left_out:
                yield from _audiences(here, entry, providers)
            if isinstance(entry.config, SessionConfig):
                yield from _sign_in((*here, "provider"), providers.get(entry.config.provider))


def _unknown(place: Place, entry: PolicyEntry, section: str, known: Collection[str]) -> _Found:
    """Names that an option ``providers``, ``clients`` or ``provider`` gives and nobody has."""
    one = section[:-1]
    names = getattr(entry.config, section, ())
    named: list[tuple[Place, str]] = [((section, at), name) for at, name in enumerate(names)]
    named += [((one,), name) for name in (getattr(entry.config, one, None),) if name is not None]
    for members, name in named:
        if name not in known:
            yield (*place, *members), f"no {one} is called {name}: add it to {section}"


def _sign_in(place: Place, provider: ProviderConfig | None) -> _Found:
    """Browsers sign in at a provider that knows the gateway as its client."""
    if provider is not None and provider.client is None:
        yield place, f"browsers sign in with a client: give provider {provider.name} one"


def _audiences(place: Place, entry: PolicyEntry, providers: dict[str, ProviderConfig]) -> _Found:
    """A route narrows the audiences of its providers; it cannot add to them."""
    named = [providers[n] for n in getattr(entry.config, "providers", ()) if n in providers]
    known = {audience for provider in named for audience in provider.audiences}
    for at, audience in enumerate(getattr(entry.config, "audiences", ())):
        if named and audience not in known:
            yield (
                (*place, "audiences", at),
                "none of these providers has this audience, and a policy can only narrow theirs: "
                "add it to the provider or leave it out",
            )


def _openapi_documents(document: Document, *, whole: bool) -> _Found:
    """The policy ``openapi`` needs a document, and one that can be compiled."""
    for at, api in enumerate(document.apis):
        judging = {
            (entry.config.unknown_body == "refuse", entry.config.responses != "off")
            for route, _ in _routes(api)
            for entry, _ in effective_policies(document.policies, api, route)
            if isinstance(entry.config, OpenApiConfig) and entry.mode != "off"
        }
        if not judging:
            continue
        if api.openapi is None:
            if whole:
                yield ("apis", at, "openapi"), "the policy openapi needs the API's document: add it"
            continue
        for closed, answers in sorted(judging):
            for found in document_problems(api.openapi.text, closed=closed, answers=answers):
                yield ("apis", at, "openapi"), f"in the OpenAPI document: {found}"


def _identities(document: Document) -> _Found:
    for at, api in enumerate(document.apis):
        for number, (route, listed) in enumerate(_routes(api)):
            if not any(map(_proves, effective_policies(document.policies, api, route))):
                yield (("apis", at, "routes", number) if listed else ("apis", at)), NO_IDENTITY


def _proves(item: Effective) -> bool:
    return item.entry.is_identity and item.entry.mode == "enforce"
