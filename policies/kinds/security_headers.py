"""``security_headers``: the header lines that OWASP asks of a REST API's answers.

Each is added only where the upstream did not decide for itself; ``response_headers`` changes or
removes single ones, ``https_only`` says how long HSTS holds. The content's type is the upstream's
to say; ``nosniff`` keeps browsers from guessing another one.
Source: OWASP REST Security Cheat Sheet, "Security Headers", both of its tables. Of the
``Permissions-Policy`` it shows as an example, those features that browsers know today.
"""

from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.values import Call, Field

_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen",
    "geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "sync-xhr", "usb",
    "web-share", "xr-spatial-tracking",
)  # fmt: skip
_ALWAYS: tuple[Field, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in _FEATURES).encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Field = (b"strict-transport-security", b"max-age=31536000")
_SECURE = (*_ALWAYS, _HSTS)
_NAMES = frozenset(name for name, _ in _SECURE)


class SecurityHeaders(Policy):
    """Runs on the answer. HSTS (RFC 6797) is sent over TLS alone: 7.2 forbids it elsewhere."""

    kind = "security_headers"
    phase = Phase.RESPOND
    summary = "Adds the security headers of the OWASP REST set to every answer."

    def edit(self, call: Call, status: int, fields: list[Field]) -> list[Field]:
        present = dict(fields)
        wanted = _SECURE if call.request.secure else _ALWAYS
        if _NAMES.isdisjoint(present):  # as most upstreams leave it
            fields += wanted
        else:
            fields += [field for field in wanted if field[0] not in present]
        return fields
