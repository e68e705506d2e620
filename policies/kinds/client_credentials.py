"""``client_credentials``: the upstream is called with the gateway's own token (RFC 6749 4.4).

For API servers that want to know the gateway, whoever calls it. One token serves every caller,
so whom the call is for is told by ``forward_identity``.
"""

from typing import ClassVar

from policies.core.config import PolicyConfig
from policies.core.upstream_token import UpstreamTokenConfig, UpstreamTokenPolicy
from policies.core.values import Call, Deny


class ClientCredentialsConfig(UpstreamTokenConfig):
    """Options of ``client_credentials``."""


class ClientCredentials(UpstreamTokenPolicy):
    """Puts the gateway's own token into ``Authorization``."""

    kind = "client_credentials"
    Config: ClassVar[type[PolicyConfig]] = ClientCredentialsConfig
    summary = "Calls the upstream with the gateway's own token."
    exchange = False

    def subject(self, call: Call) -> bytes | Deny:
        return b""
