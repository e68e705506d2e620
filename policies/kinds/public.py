"""``public``: anyone may call the route, and the configuration says so."""

from policies.core.policy import IdentityPolicy
from policies.core.values import ANONYMOUS, Call, Deny, Identity


class Public(IdentityPolicy):
    """The alternative that needs no credential.

    Beside another identity policy it makes credentials optional: who presents them must
    present good ones, who presents none is anonymous.
    """

    kind = "public"
    summary = "Anyone may call the route, without credentials."

    def credential(self, call: Call) -> bytes | Deny | None:
        return None

    def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        return ANONYMOUS

    def missing(self) -> Deny | Identity:
        return ANONYMOUS
