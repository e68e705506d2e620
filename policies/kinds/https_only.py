"""``https_only``: a route that is served over TLS alone, and browsers that are told so.

Whether a request came over TLS is a matter of the listener, or of what a trusted proxy says
(``Request.secure``). What came in clear is refused, since whatever it carried has been read on
its way already; a GET or HEAD may be sent on to https instead (308, RFC 9110 15.4.9).
"""

from typing import ClassVar

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Answer, Call, Decision, Deny
from policies.core.values import Field as HeaderField

_HSTS = b"strict-transport-security"
_REFUSED = Deny("https_required", "This route is served over https only.")


class HttpsOnlyConfig(PolicyConfig):
    """Options of ``https_only``."""

    redirect: bool = Field(
        default=False,
        title="Redirect",
        description="Send GET and HEAD to the same address under https instead of refusing them.",
    )
    hsts: int | None = Field(
        default=31536000,
        ge=0,
        le=63072000,
        title="HSTS",
        description="Seconds for which browsers shall use https alone for this host (RFC 6797); "
        "0 makes them forget it, empty says nothing.",
    )
    hsts_subdomains: bool = Field(
        default=False,
        title="HSTS for subdomains",
        description="Browsers shall use https alone for all subdomains of the host too.",
    )


class HttpsOnly(Policy):
    """Runs in ADMIT: the connection is known before anything else. HSTS is said over TLS alone:
    RFC 6797 7.2 forbids it elsewhere."""

    kind = "https_only"
    phase = Phase.ADMIT
    Config: ClassVar[type[PolicyConfig]] = HttpsOnlyConfig
    summary = "Serves the route over https only."

    def __init__(self, config: HttpsOnlyConfig, services: Services) -> None:
        self._redirect = config.redirect
        subdomains = "; includeSubDomains" if config.hsts_subdomains else ""
        self._line = None if config.hsts is None else f"max-age={config.hsts}{subdomains}".encode()

    def check(self, call: Call) -> Decision:
        request = call.request
        if request.secure:
            return PASS
        if not self._redirect or request.method not in ("GET", "HEAD"):
            return _REFUSED
        location = f"https://{request.host}{request.path}".encode()
        if request.query is not None:
            location += b"?" + request.query
        return Answer(308, ((b"location", location),), code=_REFUSED.code)

    def edit(self, call: Call, status: int, fields: list[HeaderField]) -> list[HeaderField]:
        """One HSTS line, ours: browsers look at the first alone (RFC 6797 8.1)."""
        if self._line is None or not call.request.secure:
            return fields
        return [*(field for field in fields if field[0] != _HSTS), (_HSTS, self._line)]

    def describe(self, call: Call) -> str:
        return "the request came over TLS"
