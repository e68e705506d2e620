"""``token_exchange``: the caller's token is exchanged for one meant for the upstream (RFC 8693).

The upstream gets a token with its own audience and no more scopes than it needs, still in the
caller's name; the caller's own token ends at the gateway. A token goes to no other provider
than the one that issued it.
"""

from typing import ClassVar

from policies.core.config import PolicyConfig
from policies.core.upstream_token import UpstreamTokenConfig, UpstreamTokenPolicy
from policies.core.values import Call, Deny

_NO_TOKEN = Deny("client_refused", "This route takes callers with an access token alone.")
_FOREIGN = Deny("client_refused", "This route takes tokens of another provider.")


class TokenExchangeConfig(UpstreamTokenConfig):
    """Options of ``token_exchange``."""


class TokenExchange(UpstreamTokenPolicy):
    """Puts the exchanged token into ``Authorization``."""

    kind = "token_exchange"
    Config: ClassVar[type[PolicyConfig]] = TokenExchangeConfig
    summary = "Exchanges the caller's token for one meant for the upstream."
    exchange = True

    def subject(self, call: Call) -> bytes | Deny:
        if not call.token or call.identity is None:
            return _NO_TOKEN
        return call.token if call.identity.provider == self._provider else _FOREIGN
