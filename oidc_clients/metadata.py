"""What a provider's metadata say (OpenID Connect Discovery 1.0, RFC 8414), as it is used. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metadata:
    """A provider's endpoints, None for one that it does not offer, and how clients authenticate
    there, None where it does not say."""

    issuer: str
    jwks_uri: str | None = None
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] | None = None
    revocation_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    introspection_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    issuer_in_response: bool = False  # whether it names itself to browsers (RFC 9207 3)

    def auth_methods(self, endpoint: str) -> tuple[str, ...] | None:
        """The ways to authenticate at ``token_endpoint`` or another one; None: nothing is said.

        Providers that name none for another endpoint mean those of the token endpoint.
        """
        own: tuple[str, ...] | None = getattr(self, f"{endpoint}_auth_methods_supported")
        return self.token_endpoint_auth_methods_supported if own is None else own


ENDPOINTS = tuple(n for n in Metadata.__dataclass_fields__ if n.endswith(("_endpoint", "_uri")))
LISTS = tuple(n for n in Metadata.__dataclass_fields__ if n.endswith("_supported"))
