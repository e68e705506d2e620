"""``jwt``: who calls is proven by a token of an OpenID provider (RFC 6750, RFC 7519).

Whether it is genuine is for ``Services.tokens`` to say; this policy asks further what only the
route can know: scopes, narrower audiences, claims, a longest lifetime, and that a token which
is bound to its sender comes from there (``policies.core.bearer``). Texts are compared as they
are: "admin" is not "administrator", and case is never folded.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from policies.core.bearer import BearerConfig, BearerPolicy, refused
from policies.core.config import PolicyConfig
from policies.core.credentials import Text
from policies.core.services import Services
from policies.core.values import Deny, Identity


def _claim_values(value: Any) -> Any:
    values = value if isinstance(value, (list, tuple)) else [value]
    if not all(type(item) in (bool, int, str) for item in values):
        raise ValueError("give a text, a whole number, true or false, or a list of these")
    return value


Scalar = StrictBool | StrictInt | StrictStr
ClaimValues = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(_claim_values)]


class _Accepted(PolicyConfig):
    """Whose tokens a route accepts, and what they must say."""

    providers: tuple[Text, ...] = Field(
        min_length=1,
        max_length=100,
        title="Providers",
        description="Names of the providers whose tokens are accepted.",
    )
    audiences: tuple[Text, ...] = Field(
        default=(),
        max_length=100,
        title="Audiences",
        description="The token must be meant for one of these as well as for one of its "
        "provider's own audiences. Empty: the provider's own suffice.",
    )
    claims: dict[Text, ClaimValues] = Field(
        default={},
        max_length=100,
        title="Claims",
        description="Claims and the value, or the values, of which each must have one. A claim "
        "that is a list must contain one of them.",
    )
    max_lifetime: int | None = Field(
        default=None,
        ge=1,
        le=366 * 24 * 3600,
        title="Longest lifetime",
        description="Seconds that may lie between a token's iat and exp; it must then have both.",
    )


class JwtConfig(BearerConfig, _Accepted):
    """Options of ``jwt``."""


_AUDIENCE = refused(Deny("token_audience", "The token is not meant for this route."))
_CLAIM = Deny("claim_refused", "A claim of the token is not one that this route accepts.")
_LIFETIME = Deny("claim_refused", "The token lives longer than this route accepts.")


class Jwt(BearerPolicy):
    """Proves the caller by a provider's token."""

    kind = "jwt"
    Config: ClassVar[type[PolicyConfig]] = JwtConfig
    summary = "Requires a token of an OpenID provider."

    def __init__(self, config: JwtConfig, services: Services) -> None:
        """Raises ``ValueError`` for a provider that is not registered."""
        for name in config.providers:
            try:
                services.tokens.provider(name)
            except KeyError:
                raise ValueError(f"provider {name!r} is not registered") from None
        super().__init__(
            config,
            services,
            partial(services.tokens.recall, config.providers),
            partial(services.tokens.verify, config.providers),
        )
        self._audiences = frozenset(config.audiences)
        self._claims = tuple((name, _typed(value)) for name, value in config.claims.items())
        self._max_lifetime = config.max_lifetime
        self._asks_more = bool(config.audiences or config.claims or config.max_lifetime)

    def objection(self, identity: Identity) -> Deny | None:
        if not self._asks_more:
            return None
        if self._audiences and self._audiences.isdisjoint(identity.audiences):
            return _AUDIENCE
        if self._claims and not self._has_claims(identity.claims):
            return _CLAIM
        if self._max_lifetime is not None and _lifetime(identity.claims) > self._max_lifetime:
            return _LIFETIME
        return None

    def _has_claims(self, claims: Mapping[str, Any]) -> bool:
        return all(not _typed(claims.get(name)).isdisjoint(wanted) for name, wanted in self._claims)


def _lifetime(claims: Mapping[str, Any]) -> float:
    """Seconds from issue to expiry; without an iat nobody knows how many."""
    return float(claims["exp"] - claims.get("iat", float("-inf")))


def _typed(value: Any) -> frozenset[tuple[type, Any]]:
    """Scalars with their types: in Python 1 equals true, in a claim it does not."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return frozenset((type(item), item) for item in values if type(item) in (str, int, bool))
