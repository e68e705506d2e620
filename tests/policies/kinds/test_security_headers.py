"""``security_headers``: the OWASP REST set, where the upstream did not decide for itself."""

from typing import Any

import pytest

from policies.core.config import PolicyConfig
from policies.kinds.security_headers import SecurityHeaders

SET = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"permissions-policy": (
        b"accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), "
        b"fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), "
        b"payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), "
        b"sync-xhr=(), usb=(), web-share=(), xr-spatial-tracking=()"
    ),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


@pytest.fixture
def policy(make_services: Any) -> SecurityHeaders:
    return SecurityHeaders(PolicyConfig(), make_services())


def test_an_answer_without_them_gets_them_all(policy: SecurityHeaders, make_call: Any) -> None:
    fields = policy.edit(make_call(), 200, [(b"content-type", b"text/plain")])
    assert fields[0] == (b"content-type", b"text/plain")
    assert dict(fields[1:]) == SET
    assert len(fields) == len(SET) + 1


@pytest.mark.parametrize("name", sorted(SET))
def test_what_the_upstream_decided_stays(
    policy: SecurityHeaders, make_call: Any, name: bytes
) -> None:
    fields = policy.edit(make_call(), 200, [(name, b"its own")])
    assert [value for key, value in fields if key == name] == [b"its own"]
    assert {key for key, _ in fields} == set(SET)


def test_hsts_is_sent_over_tls_alone(policy: SecurityHeaders, make_call: Any) -> None:
    hsts = b"strict-transport-security"
    assert hsts not in dict(policy.edit(make_call(), 200, []))
    assert dict(policy.edit(make_call(secure=True), 200, []))[hsts] == b"max-age=31536000"
    own = policy.edit(make_call(secure=True), 200, [(hsts, b"max-age=0")])
    assert dict(own)[hsts] == b"max-age=0"
