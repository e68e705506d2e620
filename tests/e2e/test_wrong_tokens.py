"""Wrong tokens of a provider whose keys verify: minted by ``oauth2-mock-server``, every one is
refused with its code, and none reaches the upstream."""

import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Wrong
from tests.e2e.mock import MockServer
from tests.e2e.provider import AUDIENCE
from tests.e2e.servers import Absent
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

LOGOUT = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MockServer, MockServer]]:
    """The provider, and one that the route does not accept."""
    try:
        made = (MockServer(), MockServer())
    except Absent as reason:
        pytest.skip(str(reason))
    yield made
    for server in made:
        server.stop()


@pytest.fixture(scope="module")
def gateway(start: Start, servers: tuple[MockServer, MockServer], upstream: Upstream) -> Gateway:
    """Both are registered; ``/orders`` takes tokens of the first alone, with RS256."""
    ours, theirs = (
        {
            "name": name,
            "issuer": server.issuer,
            "insecure_http": True,
            "audiences": [AUDIENCE],
            "algorithms": ["RS256"],
            "token_types": ["at+jwt"],
        }
        for name, server in zip(("acme", "theirs"), servers, strict=True)
    )
    made = document(None, protected("orders", upstream.url), providers=[ours, theirs])
    return start(made)


def _wrong(ours: MockServer, theirs: MockServer) -> Iterator[Wrong]:
    now = int(time.time())
    table: list[tuple[str, dict[str, Any], str]] = [
        ("expired", {"exp": now - 60}, "token_expired"),
        ("not-yet-valid", {"nbf": now + 300}, "token_not_yet_valid"),
        ("issued-in-the-future", {"iat": now + 300}, "token_not_yet_valid"),
        ("no-exp", {"exp": None}, "token_malformed"),
        ("exp-text", {"exp": str(now + 300)}, "token_malformed"),
        ("exp-true", {"exp": True}, "token_malformed"),
        ("exp-negative", {"exp": -1}, "token_malformed"),
        ("nbf-text", {"nbf": "now"}, "token_malformed"),
        ("no-audience", {"aud": None}, "token_audience"),
        ("other-audience", {"aud": "urn:other"}, "token_audience"),
        ("other-audiences", {"aud": ["urn:other", "urn:more"]}, "token_audience"),
        ("audience-prefix", {"aud": AUDIENCE + "2"}, "token_audience"),
        ("audience-case", {"aud": AUDIENCE.upper()}, "token_audience"),
        ("audience-object", {"aud": {"0": AUDIENCE}}, "token_audience"),
        ("audience-mixed", {"aud": [AUDIENCE, 1]}, "token_audience"),
        ("no-issuer", {"iss": None}, "token_issuer"),
        ("issuer-slash", {"iss": ours.issuer + "/"}, "token_issuer"),
        ("issuer-case", {"iss": ours.issuer.upper()}, "token_issuer"),
        ("issuer-list", {"iss": [ours.issuer]}, "token_issuer"),
        ("issuer-of-theirs", {"iss": theirs.issuer}, "token_issuer"),
        ("id-token-nonce", {"nonce": "n-0S6"}, "token_type"),
        ("id-token-at-hash", {"at_hash": "abc"}, "token_type"),
        ("id-token-c-hash", {"c_hash": "abc"}, "token_type"),
        ("logout-token", {"events": LOGOUT}, "token_type"),
        ("subject-number", {"sub": 7}, "token_malformed"),
        ("no-subject", {"sub": None}, "token_malformed"),
        ("no-scope", {"scope": None}, "insufficient_scope"),
        ("longer-scope", {"scope": "reader"}, "insufficient_scope"),
        ("scope-case", {"scope": "READ"}, "insufficient_scope"),
    ]
    for name, claims, code in table:
        yield Wrong(name, ours.token(**claims), code)
    for typ in ("JWT", "id+jwt", "logout+jwt", "dpop+jwt", "at+jwtx", "application/jwt"):
        yield Wrong(f"typ-{typ}", ours.token({"typ": typ}), "token_type")
    yield Wrong("kid-of-nobody", ours.token({"kid": "nobody"}), "key_unknown")
    yield Wrong("kid-of-another", ours.token({"kid": ours.kids["ec"]}), "token_algorithm")
    yield Wrong("ec-signed", ours.token(key="ec"), "token_algorithm")
    yield Wrong("zipped", ours.token({"zip": "DEF"}), "token_malformed")
    yield Wrong("key-of-theirs", theirs.token(iss=ours.issuer), "key_unknown")
    borrowed = theirs.token({"kid": ours.kids["rsa"]}, iss=ours.issuer)
    yield Wrong("kid-of-ours-key-of-theirs", borrowed, "token_signature")
    yield Wrong("theirs", theirs.token(), "token_issuer")


def test_every_wrong_token_is_refused_with_its_code_and_reaches_nobody(
    gateway: Gateway, servers: tuple[MockServer, MockServer], upstream: Upstream
) -> None:
    ours, theirs = servers
    assert gateway.call("GET", "/orders/items", bearer(ours.token())).status == 200
    upstream.clear()
    wrong = list(_wrong(ours, theirs))
    assert len(wrong) == 42
    for item in wrong:
        answer = gateway.call("GET", "/orders/items", bearer(item.token))
        assert answer.code == item.code, (item.name, answer.body)
        assert answer.status == (403 if item.code == "insufficient_scope" else 401), item.name
        assert answer.get("www-authenticate"), item.name
        assert item.token not in answer.body.decode()
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", "/orders/items", bearer(ours.token())).status == 200


def test_J12_the_id_token_of_a_real_sign_in_is_no_access_token(
    gateway: Gateway, servers: tuple[MockServer, MockServer], upstream: Upstream
) -> None:
    """As the token endpoint hands it out, for the very audience that the route accepts."""
    ours, _ = servers
    form = {
        "grant_type": "password",
        "username": "carol",
        "client_id": AUDIENCE,
        "scope": "openid read",
    }
    request = urllib.request.Request(
        ours.issuer + "/token", data=urllib.parse.urlencode(form).encode()
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read().decode()
    assert '"id_token"' in content
    token = content.split('"id_token":"')[1].split('"')[0]
    upstream.clear()
    refused = gateway.call("GET", "/orders/items", bearer(token))
    assert (refused.status, refused.code) == (401, "token_type")
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_check_provider_names_the_fault(
    gateway: Gateway, servers: tuple[MockServer, MockServer], key: str
) -> None:
    ours, _ = servers
    good = gateway.quick("check_provider", "acme", "--token", ours.token())
    assert good.code == 0, good.output
    wrong = ours.token(key=key, aud="urn:other", exp=1)
    told = gateway.quick("check_provider", "acme", "--token", wrong)
    assert told.code == 1
    for code in ("token_expired", "token_audience"):
        assert code in told.output
    assert ("token_algorithm" in told.output) == (key == "ec")
    assert wrong.split(".")[1] not in told.output
