"""``introspection``: who calls is proven by an opaque token, about which its provider is asked
(RFC 7662).

What the provider said is remembered for a short while; what this route asks of it (scopes, and
that a bound token comes from its sender) is asked each time.
"""

from typing import ClassVar

from pydantic import Field

from policies.core.bearer import BearerConfig, BearerPolicy
from policies.core.config import Name, PolicyConfig
from policies.core.services import Services


class _Asked(PolicyConfig):
    """Who is asked, and how often."""

    provider: Name = Field(
        title="Provider",
        description="The provider whose tokens are accepted. It is asked as the gateway's own "
        "client there (its client, with a secret or a key).",
    )
    cache: float = Field(
        default=30,
        ge=0,
        le=60,
        title="Cache",
        description="Seconds for which the provider's answer about a token is used; a token that "
        "is revoked there is accepted for as long. 0: every call asks.",
    )


class IntrospectionConfig(BearerConfig, _Asked):
    """Options of ``introspection``."""


class Introspection(BearerPolicy):
    """Proves the caller by what a provider says of its token."""

    kind = "introspection"
    Config: ClassVar[type[PolicyConfig]] = IntrospectionConfig
    summary = "Requires a token about which its provider is asked."

    def __init__(self, config: IntrospectionConfig, services: Services) -> None:
        """Raises ``ValueError`` for a provider that is not registered, or cannot be asked."""
        try:
            tokens = services.introspection.provider(config.provider)
        except KeyError:
            raise ValueError(f"provider {config.provider!r} is not registered") from None
        cache = config.cache
        super().__init__(
            config,
            services,
            lambda token, now: tokens.recall(token, cache, now),
            lambda token, now: tokens.verify(token, cache, now),
        )
