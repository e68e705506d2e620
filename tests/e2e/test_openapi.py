"""``openapi`` as clients and upstreams meet it: whatever is refused, the upstream never saw."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Answer
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).parents[2] / "demo" / "orders.yaml"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=B"}
NOT_INTEGER = 'the value is not of type "integer"'

DESCRIBED = """
openapi: 3.0.3
info: {title: Things, version: "1"}
paths:
  /things:
    get:
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
        - {name: ids, in: query, style: pipeDelimited,
           schema: {type: array, items: {type: integer}}}
        - {name: where, in: query, style: deepObject, explode: true,
           schema: {type: object, properties: {size: {type: integer}}, additionalProperties: false}}
        - {name: X-Trace, in: header, schema: {type: string, format: uuid}}
        - {name: theme, in: cookie, schema: {type: string, enum: [dark, light]}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object}}}}
    post:
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Thing"}}
          application/x-www-form-urlencoded: {schema: {$ref: "#/components/schemas/Thing"}}
          multipart/form-data: {schema: {$ref: "#/components/schemas/Thing"}}
          application/octet-stream: {schema: {type: string, format: binary}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object}}}}
  /things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, minimum: 1}}
    get:
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object}}}}
  /raw:
    get:
      responses:
        "200":
          description: ok
          headers: {X-Total: {required: true, schema: {type: integer}}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
            text/event-stream: {schema: {type: string}}
  /styled/{size}/{tags}:
    get:
      parameters:
        - {name: size, in: path, required: true, style: matrix, schema: {type: integer}}
        - {name: tags, in: path, required: true, style: label, explode: true,
           schema: {type: array, items: {type: integer}}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object}}}}
components:
  schemas:
    Thing:
      type: object
      required: [name]
      properties:
        name: {type: string, maxLength: 20, pattern: "^[a-z]+$"}
        size: {type: integer, nullable: true}
        secret: {type: string, maxLength: 5}
"""


def judged(name: str, url: str, text: str, **options: Any) -> dict[str, Any]:
    """An API for everybody whose calls are judged by its document."""
    mode = {"mode": options.pop("mode")} if "mode" in options else {}
    policies = [{"public": {}}, {"openapi": {**options, **mode}}]
    return api(name, url, policies, openapi=text, routes=[{"path": "/{rest*}"}])


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    url, demo = upstream.url, DEMO.read_text()
    return start(
        document(
            None,
            judged("strict", url, DESCRIBED, unknown_body="refuse"),
            judged("lenient", url, DESCRIBED, unknown_query="ignore"),
            judged("watched", url, DESCRIBED, mode="report"),
            judged("answers", url, DESCRIBED, responses="enforce"),
            judged("noted", url, DESCRIBED, responses="report"),
            judged("demo", url, demo),
            api("routed", url, [{"public": {}}, {"openapi": {}}], openapi=DESCRIBED),
        )
    )


def errors(answer: Answer) -> list[tuple[str, str]]:
    return [(e["in"], e["name"]) for e in answer.json().get("errors", ())]


# Requests


@pytest.mark.parametrize(
    ("method", "target", "fields", "body"),
    [
        ("GET", "/things", {}, b""),
        ("GET", "/things?limit=7&ids=1|2|3&where[size]=4", {}, b""),
        ("GET", "/things?ids=1%7C2&where%5Bsize%5D=4", {}, b""),
        ("HEAD", "/things", {}, b""),
        ("GET", "/things", {"Accept": "text/html, application/*;q=0.1"}, b""),
        ("GET", "/things", {"X-Trace": "9b2d3a50-51ee-4f0b-a4e8-c4da30f3ba0b"}, b""),
        ("GET", "/things", {"Cookie": "theme=dark; other=1"}, b""),
        ("GET", "/things/7", {}, b""),
        ("POST", "/things", JSON, b'{ "name":"tea", "size":null }'),
        ("POST", "/things", FORM, b"name=tea&size=7"),
        ("POST", "/things", {"Content-Type": "application/octet-stream"}, b"\x00\xff"),
    ],
)
def test_what_is_described_passes_byte_for_byte(
    gateway: Gateway, upstream: Upstream, method: str, target: str, fields: Any, body: bytes
) -> None:
    upstream.clear()
    assert gateway.call(method, f"/strict{target}", fields, body).status == 200
    (seen,) = upstream.seen()
    assert (seen.method, seen.target) == (method, target)
    assert seen.sha256 == hashlib.sha256(body).hexdigest()


NO_THEME = {"Cookie": "theme=x"}
MULTIPART = b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n%b\r\n--B--\r\n'


@pytest.mark.parametrize(
    ("method", "target", "fields", "body", "status", "code", "found"),
    [
        ("GET", "/nope", {}, b"", 404, "route_not_found", []),
        ("GET", "/things/", {}, b"", 404, "route_not_found", []),
        ("DELETE", "/things", {}, b"", 405, "method_not_allowed", []),
        ("GET", "/things?other=1", {}, b"", 400, "request_invalid", [("query", "other")]),
        ("GET", "/things?limit=1&limit=2", {}, b"", 400, "request_invalid", [("query", "limit")]),
        ("GET", "/things?limit=1e1", {}, b"", 400, "request_invalid", [("query", "limit")]),
        ("GET", "/things?limit=101", {}, b"", 400, "request_invalid", [("query", "limit")]),
        ("GET", "/things?ids=1|x", {}, b"", 400, "request_invalid", [("query", "ids/1")]),
        ("GET", "/things?where[a]=1", {}, b"", 400, "request_invalid", [("query", "where/a")]),
        ("GET", "/things", {"X-Trace": "x"}, b"", 400, "request_invalid", [("header", "X-Trace")]),
        ("GET", "/things", NO_THEME, b"", 400, "request_invalid", [("cookie", "theme")]),
        ("GET", "/things/0", {}, b"", 400, "request_invalid", [("path", "id")]),
        ("GET", "/things/%20", {}, b"", 400, "request_invalid", [("path", "id")]),
        ("GET", "/things", {"Accept": "text/html"}, b"", 406, "not_acceptable", []),
        ("GET", "/things", JSON, b"{}", 400, "request_invalid", [("body", "")]),
        ("POST", "/things", {}, b"{}", 415, "media_type_unsupported", []),
        ("POST", "/things", {"Content-Type": "text/xml"}, b"{}", 415, "media_type_unsupported", []),
        (
            *("POST", "/things", {**JSON, "Content-Encoding": "gzip"}),
            *(gzip.compress(b"{}", mtime=0), 415, "media_type_unsupported", []),
        ),
        ("POST", "/things", JSON, b"", 400, "request_invalid", [("body", "")]),
        ("POST", "/things", JSON, b"{", 400, "request_invalid", [("body", "")]),
        ("POST", "/things", JSON, b"{}", 400, "request_invalid", [("body", "/name")]),
        (
            *("POST", "/things", JSON, b'{"name": "tea", "name": "x"}'),
            *(400, "request_invalid", [("body", "")]),
        ),
        (
            *("POST", "/things", JSON, b'{"name": "Tea", "size": "1", "role": 1}'),
            *(400, "request_invalid", [("body", "/name"), ("body", "/role"), ("body", "/size")]),
        ),
        ("POST", "/things", FORM, b"name=T", 400, "request_invalid", [("body", "/name")]),
        ("POST", "/things", PARTS, MULTIPART % b"T", 400, "request_invalid", [("body", "/name")]),
        ("POST", "/things", PARTS, MULTIPART[:-9] % b"t", 400, "request_invalid", [("body", "")]),
    ],
)  # fmt: skip
def test_O1_what_is_not_described_never_reaches_the_upstream(
    gateway: Gateway,
    upstream: Upstream,
    method: str,
    target: str,
    fields: Any,
    body: bytes,
    status: int,
    code: str,
    found: list[Any],
) -> None:
    upstream.clear()
    answer = gateway.call(method, f"/strict{target}", fields, body)
    assert (answer.status, answer.code) == (status, code)
    assert sorted(errors(answer)) == found
    assert upstream.counts()["heads"] == 0


def test_O1_a_chunked_body_is_judged_before_anything_is_forwarded(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    fields = {**JSON, "Transfer-Encoding": "chunked"}
    for content, status in ((b'{"name": "tea"}', 200), (b'{"name": 1}', 400)):
        with gateway.client() as client:
            client.request("POST", "/strict/things", fields.items())
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))
            assert client.answer().status == status
    (seen,) = upstream.seen()
    assert seen.body == '{"name": "tea"}'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/;size=7/.1.2", 200),
        ("/;size=x/.1.2", 400),
        ("/;size=7/.1.x", 400),
        ("/;other=7/.1", 400),
        ("/7/.1", 404),
        ("/;size/.1", 400),
    ],
)
def test_a_documents_operations_are_routes_whatever_the_style_of_their_paths(
    gateway: Gateway, upstream: Upstream, path: str, status: int
) -> None:
    upstream.clear()
    assert gateway.call("GET", f"/routed/styled{path}").status == status
    assert upstream.counts()["heads"] == int(status == 200)
    # Where the template is /{rest*}, no segment of parameters is matched at all.
    elsewhere = gateway.call("GET", f"/strict/styled{path}")
    assert elsewhere.code == ("request_malformed" if path == "/;size/.1" else "route_not_found")


def test_B4_a_secret_in_a_refused_request_is_repeated_nowhere(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    canary = "canary7f3a9c1e5b"
    answers = [
        gateway.call("GET", f"/strict/things?limit={canary}&{canary}=1"),
        gateway.call("GET", f"/strict/things/{canary}"),
        gateway.call("GET", "/strict/things", {"X-Trace": canary, "Cookie": f"theme={canary}"}),
        gateway.call("GET", "/strict/things", {"Accept": f"{canary}/{canary}"}),
        gateway.call("POST", "/strict/things", {"Content-Type": f"text/{canary}"}, b"x"),
        gateway.call(
            *("POST", "/strict/things", JSON),
            json.dumps({"name": canary, "secret": canary, canary: canary}).encode(),
        ),
        gateway.call("POST", "/strict/things", FORM, f"secret={canary}&{canary}=1".encode()),
    ]
    assert [answer.status for answer in answers] == [400, 400, 400, 406, 415, 400, 400]
    for answer in answers:
        assert canary not in answer.body.decode() + repr(answer.fields)
    assert upstream.counts()["heads"] == 0
    assert canary not in gateway.log(20000)


def test_undeclared_parameters_and_members_may_pass(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    assert gateway.call("GET", "/lenient/things?other=1").status == 200
    body = b'{"name": "tea", "role": 1}'
    assert gateway.call("POST", "/lenient/things", JSON, body).status == 200
    assert [seen.target for seen in upstream.seen()] == ["/things?other=1", "/things"]


def test_in_report_mode_calls_pass_and_are_reported(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    assert gateway.call("GET", "/watched/things?other=1").status == 200
    assert gateway.call("GET", "/watched/nope").status == 200
    assert gateway.call("POST", "/watched/things", JSON, b"{}").status == 200
    assert upstream.counts()["heads"] == 3
    for code, count in (("request_invalid", 2), ("route_not_found", 1)):
        line = f'"reported":["openapi: {code}"]'
        until(lambda line=line, n=count: gateway.access_log().count(line) == n, 10, line)


# Answers


def _scripted(content: bytes, *lines: str, status: int = 200) -> bytes:
    head = [f"HTTP/1.1 {status} Any", *lines, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(head).encode() + content


GOOD = ("Content-Type: application/json", "X-Total: 1")
ANSWERS = {
    "as described": (_scripted(b'{"name": "tea"}', *GOOD), 200),
    "of another shape": (_scripted(b'{"name": "TEA"}', *GOOD), 502),
    "no JSON": (_scripted(b"<html>", *GOOD), 502),
    "of another type": (_scripted(b"x", "Content-Type: text/html", GOOD[1]), 502),
    "without a header": (_scripted(b'{"name": "tea"}', GOOD[0]), 502),
    "of another status": (_scripted(b'{"name": "tea"}', *GOOD, status=500), 502),
    "a stream": (_scripted(b"data: x\n\n", "Content-Type: text/event-stream", GOOD[1]), 200),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_judged_where_it_is_wanted(
    gateway: Gateway, upstream: Upstream, name: str
) -> None:
    answer, status = ANSWERS[name]
    upstream.clear()
    for _ in range(2):
        upstream.script(answer)
    enforced = gateway.call("GET", "/answers/raw")
    assert enforced.status == status
    if status == 502:
        assert enforced.code == "upstream_invalid"
        assert "errors" not in enforced.json()
    before = gateway.access_log().count('"reported":["openapi: upstream_invalid"]')
    noted = gateway.call("GET", "/noted/raw")
    assert noted.body == answer.partition(b"\r\n\r\n")[2]
    if status == 502:
        line = '"reported":["openapi: upstream_invalid"]'
        until(lambda: gateway.access_log().count(line) > before, 10, line)


# The demo's document


def test_the_demos_document_is_enforced(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    refused = [
        ("GET", "/demo/items/x", {}, b"", 400),
        ("GET", "/demo/items?page=1", {}, b"", 400),
        ("PUT", "/demo/items", JSON, b"{}", 405),
        ("POST", "/demo/items", JSON, b'{"product": ""}', 400),
        ("POST", "/demo/items", JSON, b'{"product": "tea", "quantity": 0}', 400),
        ("POST", "/demo/items", FORM, b"product=tea", 415),
        ("GET", "/demo/feed", {"Accept": "application/json"}, b"", 406),
        ("GET", "/demo/other", {}, b"", 404),
    ]
    for method, target, fields, body, status in refused:
        assert gateway.call(method, target, fields, body).status == status, target
    assert upstream.counts()["heads"] == 0
    assert gateway.call("POST", "/demo/items", JSON, b'{"product": "tea"}').status == 200


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_ORDERS = st.fixed_dictionaries(
    {}, optional={"product": _VALUES, "quantity": st.integers(-5, 1100) | _VALUES, "x": _VALUES}
)


def _is_order(value: Any) -> bool:
    """What the demo's document says of a new order, said again by hand."""
    if not isinstance(value, dict) or "product" not in value:
        return False
    product, quantity = value["product"], value.get("quantity", 1)
    if not isinstance(product, str) or not 1 <= len(product) <= 100:
        return False
    return type(quantity) is int and 1 <= quantity <= 1000


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=_ORDERS | _VALUES)
def test_whatever_is_no_order_is_refused_and_nothing_else(
    gateway: Gateway, upstream: Upstream, value: Any
) -> None:
    upstream.clear()
    answer = gateway.call("POST", "/demo/items", JSON, json.dumps(value).encode())
    expected = _is_order(value)
    assert (answer.status, answer.code) == ((200, None) if expected else (400, "request_invalid"))
    assert upstream.counts()["heads"] == int(expected)
