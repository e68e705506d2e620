"""A person who signs in to the console at a provider that says whatever a test wants."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from accounts import throttle
from accounts.models import ConsoleRole, ConsoleSignIn
from oidc_clients.models import Provider, ProviderClient
from policies.secrets import Secret
from tests.oidc_clients.conftest import Keys, SigningKey
from tests.oidc_clients.loopback import Provider as Loopback

EMAIL = "ada@example.org"
PASSWORD = "a-long-pass-phrase"
CANARY = "canary-of-the-client-secret"


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture
def loopback(keys: Keys) -> Iterator[Loopback]:
    made = Loopback()
    made.keys = [keys.rsa.jwk]
    made.metadata = {
        "authorization_endpoint": made.url("/authorize"),
        "userinfo_endpoint": made.url("/userinfo"),
    }
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Cheap passwords, providers on loopback, and counters of each test's own."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ENVIRONMENT = django_settings.ENVIRONMENT.model_copy(
        update={"allow_private_upstreams": ("127.0.0.0/8",)}
    )
    counted, name = throttle._usage, request.node.name

    def usage(asked: Any, what: str, key: Any, rate: str) -> Any:
        return counted(asked, f"{what} {name}", key, rate)

    monkeypatch.setattr(throttle, "_usage", usage)


@pytest.fixture
def ada(db: None) -> User:
    """An administrator with a local account."""
    return User.objects.create_superuser("ada", EMAIL, PASSWORD)


@pytest.fixture
def acme(db: None, loopback: Loopback) -> Provider:
    made = Provider.objects.create(
        name="acme",
        issuer=loopback.issuer,
        audiences=["urn:test:api"],
        algorithms=["RS256"],
        token_types=["at+jwt"],
        insecure_http=True,
    )
    ProviderClient.objects.create(provider=made, client_id="console", secret=Secret(CANARY))
    return made


@pytest.fixture
def chosen(acme: Provider) -> ConsoleSignIn:
    """The provider is the console's; its ``staff`` may read, its ``admins`` do everything."""
    made = ConsoleSignIn.objects.create(provider=acme, scopes=["profile"])
    ConsoleRole.objects.create(
        sign_in=made, value="staff", group=Group.objects.create(name="readers")
    )
    ConsoleRole.objects.create(sign_in=made, value="admins", administrator=True)
    return made


class Visitor:
    """A browser, and what the provider says of who sits before it."""

    def __init__(self, loopback: Loopback, keys: Keys, to: str, back: str) -> None:
        self.browser = Client()
        self.loopback, self.keys = loopback, keys
        self.to, self.back = to, back
        self.asked: dict[str, str] = {}

    def begin(self, target: str = "") -> str:
        """To the provider; where the browser is sent."""
        answer = self.browser.get(self.to, {"next": target} if target else {})
        assert answer.status_code == 302, answer.content
        url: str = answer["Location"]
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return url

    def says(
        self,
        header: dict[str, Any] | None = None,
        userinfo: dict[str, Any] | None = None,
        key: SigningKey | None = None,
        **changes: Any,
    ) -> None:
        """What the provider will answer: a right ID token with some claims changed (``...``
        leaves one out), and userinfo."""
        now = int(time.time())
        usual = {
            "iss": self.loopback.issuer, "aud": "console", "sub": "s-1", "iat": now,
            "exp": now + 300, "nonce": self.asked["nonce"], "groups": ["staff"],
        }  # fmt: skip
        claims = {name: value for name, value in (usual | changes).items() if value is not ...}
        token = (key or self.keys.rsa).mint(claims, {"typ": "JWT", **(header or {})})
        self.loopback.answers["token"] = {
            "access_token": "opaque", "token_type": "Bearer", "id_token": token.decode(),
        }  # fmt: skip
        who = {"sub": "s-1", "email": EMAIL, **(userinfo or {})}
        self.loopback.answers["userinfo"] = {k: v for k, v in who.items() if v is not ...}

    def come_back(self, **query: Any) -> Any:
        """The provider sends the browser back."""
        usual = {"code": "c-1", "state": self.asked.get("state", "")}
        given = {name: value for name, value in (usual | query).items() if value is not ...}
        return self.browser.get(self.back, given)

    def sign_in(self, **said: Any) -> Any:
        self.begin()
        self.says(**said)
        return self.come_back()

    @property
    def user(self) -> User | None:
        """Who is signed in."""
        pk = self.browser.session.get("_auth_user_id")
        return User.objects.get(pk=pk) if pk else None


@pytest.fixture
def visitor(loopback: Loopback, keys: Keys, chosen: ConsoleSignIn) -> Visitor:
    to, back = reverse("admin:to_provider"), reverse("admin:provider_callback")
    return Visitor(loopback, keys, to, back)
