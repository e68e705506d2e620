"""Asking a provider's OAuth endpoints, for whoever needs it: the relay, and the gateway's own
tokens for upstreams.

What is promised.
1. Credentials go to the endpoints that the provider's verified metadata name, as
   ``oidc_clients.client_auth`` says; a redirect is not followed (``oidc_clients.fetch``).
2. Of a provider's error only the three members of RFC 6749 5.2 are taken, in the characters
   allowed there. Anything else than what was asked for or such an error is
   ``ProviderUnavailable``.

Every function blocks; async callers run it in a thread.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import FetchError, Reach, Response, post_form

MAX_DESCRIPTION = 500
Endpoint = Literal["token_endpoint", "revocation_endpoint", "introspection_endpoint"]

# RFC 6749 5.2: error and error_description are NQSCHAR, error_uri is NQCHAR.
_ERROR = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}")
_NOT_DESCRIPTION = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]+")
_ERROR_URI = re.compile(r"https?://[\x21\x23-\x5b\x5d-\x7e]{1,500}")


class ProviderUnavailable(Exception):
    """The provider gave no usable answer; the message is safe to log."""


class NotOffered(Exception):
    """The provider's metadata do not name the endpoint that was asked for."""


class Answer(NamedTuple):
    """What may go back to a client: JSON, or no content, with status 200, 400 or 401."""

    status: int
    content: Mapping[str, Any]

    @property
    def error(self) -> str:
        """The OAuth error code; empty when there is none."""
        return str(self.content["error"]) if self.status != 200 else ""


class Issuer(NamedTuple):
    """Whom to ask, and where requests to it may go."""

    url: str
    reach: Reach


class Endpoints:
    """The endpoints of providers."""

    def __init__(self, metadata: MetadataCache) -> None:
        self._metadata = metadata

    def ask(
        self,
        issuer: Issuer,
        endpoint: Endpoint,
        client: ClientCredentials,
        form: Mapping[str, str | Sequence[str]],
    ) -> Response:
        """The answer of an endpoint to ``client``.

        Raises ``ClientUnusable``, ``NotOffered`` and ``ProviderUnavailable``.
        """
        try:
            metadata = self._metadata.get(*issuer)
            url: str | None = getattr(metadata, endpoint)
            if url is None:
                raise NotOffered(f"its metadata name no {endpoint}")
            proof = client.proof(metadata, endpoint)
            return post_form(url, {**form, **proof.form}, proof.headers, issuer.reach)
        except FetchError as error:
            raise ProviderUnavailable(str(error)) from error


def token_answer(response: Response) -> Answer:
    """A token, or an error. Raises ``ProviderUnavailable``."""
    content = response.json or {}
    if response.status == 200:
        token = content.get("access_token")
        if not isinstance(token, str) or not token:
            raise ProviderUnavailable("its answer holds no access token")
        return Answer(200, content)
    return _error(response)


def revocation_answer(response: Response) -> Answer:
    """RFC 7009 2.2: what a success says is of no meaning. Raises ``ProviderUnavailable``."""
    return Answer(200, {}) if response.status == 200 else _error(response)


def introspection_answer(response: Response) -> Answer:
    """What is known of a token (RFC 7662 2.2). Raises ``ProviderUnavailable``."""
    content = response.json or {}
    if response.status != 200:
        return _error(response)
    if not isinstance(content.get("active"), bool):
        raise ProviderUnavailable("its answer does not say whether the token is active")
    return Answer(200, content)


def _error(response: Response) -> Answer:
    content = response.json or {}
    error = content.get("error")
    # 429 is said to the gateway, not to its client.
    is_refusal = 400 <= response.status < 500 and response.status != 429
    if not is_refusal or not isinstance(error, str) or not _ERROR.fullmatch(error):
        raise ProviderUnavailable(f"it answered with status {response.status}")
    shown = {"error": error}
    description = content.get("error_description")
    if isinstance(description, str):
        shown["error_description"] = _NOT_DESCRIPTION.sub(" ", description)[:MAX_DESCRIPTION]
    uri = content.get("error_uri")
    if isinstance(uri, str) and _ERROR_URI.fullmatch(uri):
        shown["error_uri"] = uri
    return Answer(401 if response.status == 401 else 400, shown)
