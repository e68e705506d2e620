"""injection as a client meets it: what is refused never reaches the upstream."""

import gzip
import json
from hashlib import sha256
from urllib.parse import quote

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "application/xml"}

ATTACKS = {
    "sqli in the query": ("GET", "/guarded/a?id=" + quote("1' or '1'='1"), {}, b""),
    "sqli in a form": ("POST", "/guarded/a", FORM, b"id=1)+union+select+1,2,3--"),
    "xss in JSON": ("POST", "/guarded/a", JSON, b'{"a": ["<svg onload=alert(1)>"]}'),
    "traversal in the query": ("GET", "/guarded/a?file=..%2F..%2Fetc%2Fpasswd", {}, b""),
    "command in a header": ("GET", "/guarded/a", {"X-Host": "a; cat /etc/hosts"}, b""),
    "crlf in the path": ("GET", "/guarded/a%250d%250aSet-Cookie:%20a=b", {}, b""),
    "nosql in a member": ("POST", "/guarded/a", JSON, b'{"user": {"$ne": null}}'),
    "xxe in XML": ("POST", "/guarded/a", XML, b"<!DOCTYPE a [<!ENTITY b SYSTEM 'c'>]><a>&b;</a>"),
}


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    anyone = {"public": {}}
    return start(
        document(
            None,
            api("guarded", upstream.url, [anyone, {"injection": {}}]),
            api("watched", upstream.url, [anyone, {"injection": {"mode": "report"}}]),
        )
    )


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_of_each_class_is_refused_with_no_hit_at_the_upstream(
    gateway: Gateway, upstream: Upstream, attack: tuple[str, str, dict[str, str], bytes]
) -> None:
    upstream.clear()
    method, target, fields, content = attack
    answer = gateway.call(method, target, fields, content)
    assert (answer.status, answer.code) == (400, "injection_detected")
    (found, *_) = answer.json()["errors"]
    assert found["in"] in ("path", "query", "headers", "body")
    assert found["message"].split(":")[0] in [name.split()[0] for name in ATTACKS]
    assert upstream.counts()["heads"] == 0


def test_O4_what_passes_reaches_the_upstream_byte_for_byte(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    content = gzip.compress(json.dumps({"name": "O'Brien", "note": "1 < 2 & it's"}).encode())
    fields = {**JSON, "Content-Encoding": "gzip", "X-Note": "it's &amp; it stays"}
    target = "/guarded/a?q=it%27s%2520here&x=%C3%A9+1"
    assert gateway.call("POST", target, fields, content).status == 200
    (seen,) = upstream.seen()
    assert seen.all("x-note") == ["it's &amp; it stays"]
    assert seen.target.endswith("/a?q=it%27s%2520here&x=%C3%A9+1")
    assert (seen.complete, seen.sha256) == (True, sha256(content).hexdigest())


def test_nothing_is_forwarded_before_a_chunked_body_was_inspected(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    with gateway.client() as client:
        head = b"POST /guarded/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        client.send(head + b"Transfer-Encoding: chunked\r\n\r\n", "POST")
        client.send(b"9\r\n" + b'{"a": "1\'' + b"\r\n")
        client.send(b"a\r\n" + b' or 1=1"} ' + b"\r\n0\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "injection_detected")
    assert upstream.counts()["heads"] == 0


def test_in_report_mode_the_request_passes_and_the_log_says_so(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    _, target, fields, content = ATTACKS["nosql in a member"]
    answer = gateway.call("POST", target.replace("guarded", "watched"), fields, content)
    assert answer.status == 200
    assert upstream.counts()["complete"] == 1
    until(lambda: '"reported":["injection: injection_detected"]' in gateway.access_log(), 10, "log")
