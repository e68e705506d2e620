"""The roll-call of all policy kinds. A kind that is not named here does not exist."""

from policies.core.policy import Policy
from policies.kinds.body_limit import BodyLimit
from policies.kinds.forward_identity import ForwardIdentity
from policies.kinds.injection import Injection
from policies.kinds.jwt import Jwt
from policies.kinds.public import Public
from policies.kinds.rate_limit import RateLimit
from policies.kinds.security_headers import SecurityHeaders

KINDS: dict[str, type[Policy]] = {
    kind.kind: kind
    for kind in (BodyLimit, ForwardIdentity, Injection, Jwt, Public, RateLimit, SecurityHeaders)
}
