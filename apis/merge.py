"""What the configuration will be: the file laid over what is stored.

Everything the file names is taken from the file; the rest stays, or goes when it is pruned. An
API key that was issued here is part of no file until one names it, and stays likewise.
A secret that is the stored one already, read from the same place, is taken as it is stored:
what differs between the two documents is then exactly what changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from apis import openapi
from apis.config import ApiConfig, Document
from oidc_clients.client_config import ApiKeyConfig, ClientConfig
from oidc_clients.credentials import Peppers
from oidc_clients.provider_config import ProviderConfig
from policies.core.config import Options, Problem, location
from policies.references import SecretText, SecretUnreadable
from policies.secrets import Keyring

Place = tuple[int | str, ...]
Named = TypeVar("Named", ProviderConfig, ClientConfig, ApiConfig)
Owner = TypeVar("Owner", bound=Options)
Same = Callable[[SecretText, str], bool]


@dataclass(slots=True)
class Merge:
    """One merge; ``problems`` collects what the file asks for and cannot get.

    ``prune``: what the file does not name goes, also API keys that were issued here.
    """

    stored: Document
    prune: bool
    keyring: Keyring
    peppers: Peppers
    problems: list[Problem] = field(default_factory=list)

    def over(self, file: Document) -> Document:
        """The configuration that ``file`` asks for; its parts stand first, in its order."""
        stored, prune = self.stored, self.prune
        keeps_policies = "policies" not in file.model_fields_set
        merged = stored.model_copy(
            update={
                "providers": _laid(file.providers, stored.providers, prune, self._provider),
                "clients": _laid(file.clients, stored.clients, prune, self._client),
                "policies": stored.policies if keeps_policies else file.policies,
                "apis": _laid(file.apis, stored.apis, prune, self._api),
            }
        )
        self._each_key_once(merged)
        return merged

    def _provider(
        self, at: int, provider: ProviderConfig, old: ProviderConfig | None
    ) -> ProviderConfig:
        place: Place = ("providers", at)
        for member in ("shared_secret", "former_shared_secret"):
            stored = getattr(old, member, None)
            provider = self._settled(place, provider, member, stored, self._opens_to)
        client = provider.client
        if client is None:
            return provider
        for member in ("secret", "key"):
            stored = getattr(old.client, member, None) if old is not None else None
            client = self._settled((*place, "client"), client, member, stored, self._opens_to)
        return provider.model_copy(update={"client": client})

    def _client(self, at: int, client: ClientConfig, old: ClientConfig | None) -> ClientConfig:
        values = {key.name: key.value for key in old.api_keys} if old is not None else {}
        secrets = {key.id: key.secret for key in old.signing_keys} if old is not None else {}
        api_keys = tuple(
            _of_the_file(
                self._settled(
                    ("clients", at, "api_keys", number),
                    key,
                    "value",
                    values.get(key.name),
                    lambda stored, key: self.peppers.matches(stored.sealed, key),
                )
            )
            for number, key in enumerate(client.api_keys)
        )
        signing_keys = tuple(
            self._settled(
                ("clients", at, "signing_keys", number),
                key,
                "secret",
                secrets.get(key.id),
                self._opens_to,
            )
            for number, key in enumerate(client.signing_keys)
        )
        named = {key.name for key in client.api_keys}
        issued = tuple(
            key
            for key in (old.api_keys if old is not None and not self.prune else ())
            if key.value.issued and key.name not in named
        )
        return client.model_copy(
            update={"api_keys": api_keys + issued, "signing_keys": signing_keys}
        )

    def _api(self, at: int, api: ApiConfig, old: ApiConfig | None) -> ApiConfig:
        upstream = api.upstream
        if upstream.tls is not None:
            stored = old.upstream.tls.key if old is not None and old.upstream.tls else None
            place = ("apis", at, "upstream", "tls")
            tls = self._settled(place, upstream.tls, "key", stored, self._opens_to)
            upstream = upstream.model_copy(update={"tls": tls})
        api = api.model_copy(update={"upstream": upstream})
        if api.openapi is None:
            return api
        try:
            operations = openapi.routes(api.openapi.text)
        except openapi.DocumentRefused as error:
            for problem in error.problems:
                self._refuse(("apis", at, "openapi"), f"in the OpenAPI document: {problem}")
            return api
        return api.model_copy(update={"routes": api.routes or operations})

    def _settled(
        self, place: Place, owner: Owner, member: str, stored: SecretText | None, same: Same
    ) -> Owner:
        """``owner`` with the stored secret where that is what the file means."""
        secret: SecretText | None = getattr(owner, member)
        if secret is None:
            return owner
        if secret.keep:
            if stored is None:
                self._refuse(
                    (*place, member),
                    "nothing is stored that could be kept: give the secret, {env: NAME} or "
                    "{file: path}",
                )
                return owner
            return owner.model_copy(update={member: stored})
        if stored is not None and secret.value is not None:
            unmoved = secret.reference() == stored.reference()
            if unmoved and same(stored, secret.value.get_secret_value()):
                return owner.model_copy(update={member: stored})
        return owner

    def _opens_to(self, stored: SecretText, plain: str) -> bool:
        try:
            return stored.reveal(self.keyring) == plain
        except SecretUnreadable:
            return False  # nobody can use the stored one: the file's replaces it

    def _each_key_once(self, merged: Document) -> None:
        """A key must belong to one client: its digest is how the client is found."""
        owners: dict[str, str] = {}
        keys = list(_api_keys(merged))
        for _, name, key in keys:
            if key.value.sealed:
                owners[key.value.sealed] = name
        for place, name, key in keys:
            if key.value.value is None:
                continue
            forms = self.peppers.candidates(key.value.value.get_secret_value())
            other = next((owners[form] for form in forms if form in owners), None)
            if other is not None:
                self._refuse(place, f"{other} has the same value: every key needs one of its own")
            owners.update(dict.fromkeys(forms, name))

    def _refuse(self, place: Place, message: str) -> None:
        self.problems.append(Problem(path=location(place), message=message))


def _of_the_file(key: ApiKeyConfig) -> ApiKeyConfig:
    """A key that was issued here belongs to the file from the moment that it names it."""
    if not key.value.issued:
        return key
    return key.model_copy(update={"value": key.value.model_copy(update={"issued": False})})


def _api_keys(document: Document) -> Iterator[tuple[Place, str, ApiKeyConfig]]:
    for at, client in enumerate(document.clients):
        for number, key in enumerate(client.api_keys):
            place = ("clients", at, "api_keys", number, "value")
            yield place, f"the key {key.name} of {client.name}", key


def _laid(
    named: tuple[Named, ...],
    stored: tuple[Named, ...],
    prune: bool,
    settle: Callable[[int, Named, Named | None], Named],
) -> tuple[Named, ...]:
    """One section of the file over the stored one, by name."""
    olds = {item.name: item for item in stored}
    settled = tuple(settle(at, item, olds.get(item.name)) for at, item in enumerate(named))
    if prune:
        return settled
    names = {item.name for item in named}
    return settled + tuple(item for item in stored if item.name not in names)
