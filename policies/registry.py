"""The roll-call of all policy kinds. A kind that is not named here does not exist."""

from policies.core.policy import Policy
from policies.kinds.api_key import ApiKey
from policies.kinds.body_limit import BodyLimit
from policies.kinds.client_certificate import ClientCertificate
from policies.kinds.client_credentials import ClientCredentials
from policies.kinds.clients import Clients
from policies.kinds.concurrency import Concurrency
from policies.kinds.cors import Cors
from policies.kinds.forward_identity import ForwardIdentity
from policies.kinds.https_only import HttpsOnly
from policies.kinds.injection import Injection
from policies.kinds.introspection import Introspection
from policies.kinds.ip_filter import IpFilter
from policies.kinds.json_limits import JsonLimits
from policies.kinds.jwt import Jwt
from policies.kinds.openapi import OpenApi
from policies.kinds.public import Public
from policies.kinds.quota import Quota
from policies.kinds.rate_limit import RateLimit
from policies.kinds.request_headers import RequestHeaders
from policies.kinds.response_headers import ResponseHeaders
from policies.kinds.security_headers import SecurityHeaders
from policies.kinds.session import Session
from policies.kinds.sign_response import SignResponse
from policies.kinds.signature import Signature
from policies.kinds.timestamp import Timestamp
from policies.kinds.token_exchange import TokenExchange

KINDS: dict[str, type[Policy]] = {
    kind.kind: kind
    for kind in (
        ApiKey,
        BodyLimit,
        ClientCertificate,
        ClientCredentials,
        Clients,
        Concurrency,
        Cors,
        ForwardIdentity,
        HttpsOnly,
        Injection,
        Introspection,
        IpFilter,
        JsonLimits,
        Jwt,
        OpenApi,
        Public,
        Quota,
        RateLimit,
        RequestHeaders,
        ResponseHeaders,
        SecurityHeaders,
        Session,
        Signature,
        SignResponse,
        Timestamp,
        TokenExchange,
    )
}
