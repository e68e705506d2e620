"""``security_headers``: the header lines that OWASP asks of a REST API's answers.

Each is added only where the upstream did not decide for itself.
Source: OWASP REST Security Cheat Sheet, "Security Headers".
"""

from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.values import Call, Field

_ALWAYS: tuple[Field, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Field = (b"strict-transport-security", b"max-age=31536000")
_SECURE = (*_ALWAYS, _HSTS)


class SecurityHeaders(Policy):
    """Runs on the answer. HSTS (RFC 6797) is sent over TLS alone: 7.2 forbids it elsewhere."""

    kind = "security_headers"
    phase = Phase.RESPOND
    summary = "Adds the security headers of the OWASP REST set to every answer."

    def edit(self, call: Call, status: int, fields: list[Field]) -> list[Field]:
        present = {name for name, _ in fields}
        wanted = _SECURE if call.request.secure else _ALWAYS
        fields.extend(field for field in wanted if field[0] not in present)
        return fields
