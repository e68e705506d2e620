"""A4: each thing that mozilla-django-oidc lets happen as it comes, and that the console refuses.

Each test drives the stock class and ours through their views against the same provider. If one
of the first half fails, the stock class has become safer in that point.
"""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import reverse

from accounts.models import ConsoleIdentity
from tests.accounts.conftest import Visitor
from tests.oidc_clients.conftest import Keys
from tests.oidc_clients.loopback import Provider as Loopback

pytestmark = pytest.mark.django_db

STRANGER = {"sub": "s-666"}
LENIENT: dict[str, dict[str, Any]] = {
    "a foreign audience": {"aud": "another-client"},
    "no audience": {"aud": ...},
    "an audience among foreign ones": {"aud": ["console", "another-client"]},
    "issued to another client": {"azp": "another-client"},
    "a foreign issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": ...},
    "no expiry": {"exp": ...},
    "userinfo of another subject": {"userinfo": STRANGER},
    "an e-mail address of somebody else": {"sub": "s-666", "groups": [], "userinfo": STRANGER},
}
FAILING: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "an expired token": ({"exp": 1_700_000_000}, jwt.ExpiredSignatureError),
    "a token without kid": ({"header": {"kid": None}}, KeyError),
}


@pytest.fixture
def stock(loopback: Loopback, keys: Keys, ada: User, settings: Any) -> Any:
    """The stock class on the same provider."""
    with override_settings(
        ROOT_URLCONF="tests.accounts.stock_urls",
        AUTHENTICATION_BACKENDS=[
            "django.contrib.auth.backends.ModelBackend",
            "mozilla_django_oidc.auth.OIDCAuthenticationBackend",
        ],
        OIDC_OP_AUTHORIZATION_ENDPOINT=loopback.url("/authorize"),
        OIDC_OP_TOKEN_ENDPOINT=loopback.url("/token"),
        OIDC_OP_USER_ENDPOINT=loopback.url("/userinfo"),
        OIDC_OP_JWKS_ENDPOINT=loopback.url("/jwks"),
        OIDC_RP_CLIENT_ID="console",
        OIDC_RP_CLIENT_SECRET="secret",
        OIDC_RP_SIGN_ALGO="RS256",
    ):
        yield Visitor(loopback, keys, "/oidc/authenticate/", "/oidc/callback/")


@pytest.mark.parametrize("said", LENIENT.values(), ids=LENIENT.keys())
def test_the_stock_class_signs_in_with(stock: Visitor, ada: User, said: dict[str, Any]) -> None:
    stock.sign_in(**said)
    assert stock.user == ada


@pytest.mark.parametrize(("said", "error"), FAILING.values(), ids=FAILING.keys())
def test_the_stock_class_breaks_on(
    stock: Visitor, said: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        stock.sign_in(**said)


def from_the_password_form(visitor: Visitor, login: str) -> None:
    """A code and a made-up state on the password form: no sign-in was ever begun."""
    visitor.asked = {"nonce": ...}  # type: ignore[dict-item]
    visitor.says()
    wrong = {"username": "x", "password": "x"}
    visitor.browser.post(f"{login}?code=c-1&state=made-up", wrong)


def test_the_stock_class_signs_in_from_the_password_form(stock: Visitor, ada: User) -> None:
    from_the_password_form(stock, "/admin/login/")
    assert stock.user == ada


@pytest.mark.parametrize(
    "said",
    [*LENIENT.values(), FAILING["an expired token"][0]],
    ids=[*LENIENT.keys(), "an expired token"],
)
def test_A4_the_console_signs_nobody_in_with(
    visitor: Visitor, ada: User, said: dict[str, Any]
) -> None:
    answer = visitor.sign_in(**said)
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:login"))
    assert visitor.user is None
    assert not ConsoleIdentity.objects.exists()
    page = visitor.browser.get(answer["Location"])
    assert "Nobody was signed in at the provider" in page.content.decode()


@pytest.mark.parametrize("several", [False, True])
def test_A4_a_token_without_kid_is_taken_where_there_is_no_doubt_about_the_key(
    visitor: Visitor, loopback: Loopback, keys: Keys, several: bool
) -> None:
    """OpenID Connect Core 10.1: a kid is needed where several keys are published."""
    if several:
        loopback.keys = [keys.rsa.jwk, keys.rsa_2.jwk]
    visitor.sign_in(header={"kid": None})
    assert (visitor.user is None) is several


def test_A4_the_password_form_never_runs_the_providers_backend(
    visitor: Visitor, loopback: Loopback, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Callable[..., Any]] = []
    monkeypatch.setattr(
        "accounts.backend.console_provider", lambda: called.append(from_the_password_form)
    )
    from_the_password_form(visitor, reverse("admin:login"))
    assert visitor.user is None
    assert not called
    assert loopback.hits["token"] == 0
