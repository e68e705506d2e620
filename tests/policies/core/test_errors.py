"""The codes of refusals are the product's contract: all of them, with their status."""

from policies.core.errors import REFUSALS, Fault, StateUnavailable

CONTRACT = """
400 request_malformed request_invalid credentials_ambiguous injection_detected digest_mismatch
401 credentials_missing token_malformed token_signature token_algorithm token_expired
401 token_not_yet_valid token_issuer token_audience token_type token_revoked key_unknown
401 api_key_invalid signature_missing signature_invalid timestamp_missing
401 timestamp_outside_window nonce_missing nonce_replayed session_invalid
403 https_required ip_refused insufficient_scope claim_refused client_refused
404 route_not_found
405 method_not_allowed
406 not_acceptable
408 request_timeout
413 body_too_large
415 media_type_unsupported
421 host_refused
426 upgrade_refused
429 rate_limited quota_exhausted too_many_concurrent
431 headers_too_large
502 upstream_unreachable upstream_invalid
503 upstream_unavailable provider_unavailable state_unavailable misconfigured draining
504 upstream_timeout
"""


def test_every_code_of_the_contract_has_its_status_and_no_other_exists() -> None:
    expected = {}
    for line in CONTRACT.strip().splitlines():
        status, *codes = line.split()
        expected.update(dict.fromkeys(codes, int(status)))
    assert {code: refusal.status for code, refusal in REFUSALS.items()} == expected


def test_a_status_tells_whose_fault_it_is() -> None:
    for code, refusal in REFUSALS.items():
        assert (refusal.fault is Fault.CLIENT) == (refusal.status < 500), code
        assert refusal.title, code
        assert not refusal.title.endswith("."), code
    assert REFUSALS["upstream_unavailable"].fault is Fault.UPSTREAM
    assert REFUSALS["state_unavailable"].fault is Fault.OPERATOR
    assert REFUSALS["provider_unavailable"].fault is Fault.OPERATOR


def test_R6_a_dependency_that_fails_is_no_verdict_on_the_caller() -> None:
    for code in ("state_unavailable", "provider_unavailable"):
        assert REFUSALS[code].status == 503
    assert issubclass(StateUnavailable, Exception)
