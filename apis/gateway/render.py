"""The only place where a refusal becomes bytes: problem details (RFC 9457)."""

import orjson

from policies.core.values import Deny, Field

_CHALLENGE: Field = (b"www-authenticate", b'Bearer realm="gatehouse"')


def render(deny: Deny, request_id: str) -> tuple[int, list[Field], bytes]:
    """Status, header lines and content of one refusal."""
    refusal = deny.refusal
    problem: dict[str, object] = {
        "type": f"urn:gatehouse:refusal:{deny.code}",
        "title": refusal.title,
        "status": refusal.status,
        "code": deny.code,
        "detail": deny.detail,
        "request_id": request_id,
    }
    if deny.errors:
        problem["errors"] = [dict(error) for error in deny.errors]
    fields: list[Field] = [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        *deny.fields,
    ]
    names = {name for name, _ in deny.fields}
    if refusal.status == 401 and b"www-authenticate" not in names:
        fields.append(_CHALLENGE)
    if refusal.status in (429, 503) and b"retry-after" not in names:
        fields.append((b"retry-after", b"1"))
    return refusal.status, fields, orjson.dumps(problem)
