"""``injection`` as traffic: where it looks, what it says, and what it leaves alone."""

import asyncio
import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.config import option_names
from policies.core.phase import Phase
from policies.core.values import PASS, Call, Decision, Deny, Headers, Request
from policies.kinds.injection import Injection, InjectionConfig
from policies.kinds.public import Public

SQL = "1' or '1'='1"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def policy() -> Injection:
    return made()


def made(**options: Any) -> Injection:
    return Injection(InjectionConfig.model_validate(options), None)  # type: ignore[arg-type]


def body(policy: Injection, content: bytes, *fields: tuple[bytes, bytes]) -> Decision:
    """What is decided of a body that comes with these header lines."""
    call = Call(_request(fields, len(content)), "r", 0.0)
    assert policy.holds_body(call)
    decision = policy.check_body(call, content)
    return asyncio.run(decision) if asyncio.iscoroutine(decision) else decision


def _request(fields: tuple[tuple[bytes, bytes], ...], length: int) -> Request:
    return Request("POST", "h", "/", None, Headers(list(fields)), "192.0.2.1", body_length=length)


def kind(text: bytes) -> tuple[bytes, bytes]:
    return (b"content-type", text)


def errors(decision: Decision) -> tuple[Any, ...]:
    assert isinstance(decision, Deny), decision
    assert (decision.code, decision.refusal.status) == ("injection_detected", 400)
    return decision.errors


# In the head


@pytest.mark.parametrize(
    ("request_", "place", "name"),
    [
        ({"query": b"id=" + quote(SQL).encode()}, "query", "id"),
        ({"query": b"a=1&user%5B$ne%5D=2"}, "query", ""),
        ({"query": b"q=" + quote(quote(SQL)).encode()}, "query", "q"),
        ({"path": "/items/" + quote(SQL)}, "path", ""),
        ({"path": "/items/%3Csvg%20onload=alert(1)%3E"}, "path", ""),
        ({"fields": [(b"x-note", SQL.encode())]}, "headers", "x-note"),
        ({"fields": [(b"user-agent", b"${jndi:ldap://x/a}")]}, "headers", "user-agent"),
        ({"fields": [(b"cookie", b"a=b; c=" + quote(SQL).encode())]}, "headers", "c"),
        ({"fields": [(b"referer", b"https://a.example/?q=1%27%20or%201=1")]}, "headers", "referer"),
        ({"fields": [(b"x-file", b"\\\\10.0.0.1\\c$\\users")]}, "headers", "x-file"),
    ],
)  # fmt: skip
def test_an_attack_in_the_head_is_refused_by_place_and_name(
    policy: Injection,
    make_call: Callable[..., Call],
    request_: dict[str, Any],
    place: str,
    name: str,
) -> None:
    (found, *_) = errors(policy.check(make_call(**request_)))
    assert (found["in"], found["name"]) == (place, name)
    assert found["message"].split(":")[0] in InjectionConfig().classes


def test_harmless_requests_pass(policy: Injection, make_call: Callable[..., Call]) -> None:
    call = make_call(
        path="/customers/O'Brien/orders",
        query=b"q=it%27s+here&sort=-created_at&filter=price+gt+5+and+name+eq+%27x%27",
        fields=[(b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"), (b"cookie", b"theme=dark")],
    )
    assert policy.check(call) is PASS
    assert policy.describe(call) == "nothing found in body, headers, path, query"


def test_O4_what_is_refused_is_never_repeated(
    policy: Injection, make_call: Callable[..., Call]
) -> None:
    secret = "s3cr3t-value"
    attack = quote(f"{secret}' or 1=1 --")
    for query in (f"q={attack}", f"{attack}=1"):
        assert secret not in repr(policy.check(make_call(query=query.encode())))
    text = json.dumps({f"{secret}' or 1=1 --": f"<script>{secret}()</script>"}).encode()
    assert secret not in repr(body(policy, text, kind(b"application/json")))


def test_O4_the_operator_is_told_what_matched_and_where(
    policy: Injection, make_call: Callable[..., Call], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "policies.kinds.injection")
    refused = policy.check(make_call(query=b"id=1%27%20or%201=1", id="r1"))
    said = "query id: sqli: a quote that is closed, then a condition of literals"
    assert isinstance(refused, Deny)
    assert f"In {said}, at character 2 once decoded." in refused.detail
    assert caplog.messages == [
        f"request r1 on 'orders GET /items': {said}, at character 2 once decoded"
    ]


def test_headers_that_no_upstream_gets_and_credentials_are_left_to_others(
    policy: Injection, make_call: Callable[..., Call]
) -> None:
    for name in (b"authorization", b"signature-input", b"x-forwarded-for", b"te", b"x-request-id"):
        assert policy.check(make_call(fields=[(name, SQL.encode())])) is PASS
    for name in (b"accept", b"content-type", b"origin", b"x-api-version"):
        assert errors(policy.check(make_call(fields=[(name, b"${jndi:ldap://a/b}")])))


def test_line_breaks_matter_in_the_head_and_not_in_a_text(
    policy: Injection, make_call: Callable[..., Call]
) -> None:
    letter = "Hello\r\nX-Ray: done\nContent-Type: letter\n"
    (found,) = errors(policy.check(make_call(query=b"q=" + quote(letter).encode())))
    assert found["message"].startswith("crlf: a line break, then a header")
    assert body(policy, json.dumps({"q": letter}).encode(), kind(b"application/json")) is PASS


def test_what_a_form_cannot_hold_is_read_as_a_text(policy: Injection) -> None:
    """A form that is none is cut at its equals signs, and so would the attack in it be."""
    (found,) = errors(body(policy, b"'admin', '1'='1'", kind(FORM.encode())))
    assert (found["in"], found["name"]) == ("body", "")


def test_more_than_can_be_inspected_is_refused(policy: Injection) -> None:
    for lines in ((kind(FORM.encode()),), ()):
        assert body(policy, b"&".join([b"a=b"] * 10_000), *lines) is PASS
        (found,) = errors(body(policy, b"&".join([b"a=b"] * 10_001), *lines))
        assert found["message"] == "the body has more fields than are inspected"
    dense = json.dumps(["case when 1 then", "select a from b"] * 5_000).encode()
    assert body(policy, dense, kind(b"application/json")) is PASS  # each text is read once
    dense = json.dumps([f"{text}{n}" for n in range(5_000) for text in ("if(", "/*!")]).encode()
    (found,) = errors(body(policy, dense, kind(b"application/json")))
    assert found["message"].endswith("too many to tell apart")


def test_a_head_that_is_too_dense_is_refused(
    policy: Injection, make_call: Callable[..., Call]
) -> None:
    dense = "&".join(f"{n}={text}{n}" for n in range(900) for text in ("if(", "/*!"))
    (found,) = errors(policy.check(make_call(query=dense.encode())))
    assert found["message"].endswith("too many to tell apart")


def test_many_findings_are_listed_up_to_ten(
    policy: Injection, make_call: Callable[..., Call]
) -> None:
    query = "&".join(f"a{n}={quote(SQL)}" for n in range(30)).encode()
    assert len(errors(policy.check(make_call(query=query)))) == 10


def test_O4_the_request_is_not_altered(policy: Injection, make_call: Callable[..., Call]) -> None:
    call = make_call(path="/a%20b", query=b"q=%2527&x=%C0%AE", fields=[(b"x-note", b"a&amp;b")])
    before = deepcopy((call.request.path, call.request.query, call.request.headers.fields))
    policy.check(call)
    assert (call.request.path, call.request.query, call.request.headers.fields) == before
    assert (call.upstream_fields, call.response_fields) == ([], [])


# In the body

PART = b'--b1\r\nContent-Disposition: form-data; name="note"\r\n\r\n%s\r\n--b1--\r\n'
FILE = (
    b'--b1\r\nContent-Disposition: form-data; name="doc"; filename="%s"\r\n'
    b"Content-Type: %s\r\n\r\n%s\r\n--b1--\r\n"
)
MULTIPART = b"multipart/form-data; boundary=b1"


@pytest.mark.parametrize(
    ("media", "content", "name"),
    [
        (b"application/json", b'{"a": {"b": ["x", "1\' or 1=1 --"]}}', "b"),
        (b"application/json", b'{"a": "\\u0031\\u0027 or 1=1"}', "a"),
        (b"application/json", b'{"user": {"$ne": null}}', ""),
        (b"application/json", b'{"a": "x", "a": "1\' or 1=1"}', ""),
        (b"application/json", b'{"a": "1\' or 1=1"', ""),
        (b"application/json", b"[" * 500 + b'"<script>alert(1)</script>"' + b"]" * 500, ""),
        (b"application/merge-patch+json; charset=utf-8", b'{"a": "../../etc/passwd"}', "a"),
        (FORM.encode(), b"a=b&note=1%27+or+1%3D1", "note"),
        (MULTIPART, PART % b"<svg onload=alert(1)>", "note"),
        (MULTIPART, FILE % (b"../x.sh", b"image/png", b"\x89PNG"), ""),
        (MULTIPART, FILE % (b"x.svg", b"image/svg+xml", b"<script>alert(1)</script>"), "doc"),
        (b"multipart/form-data", PART % b"<svg onload=alert(1)>", ""),
        (b"text/plain", b"x; cat /etc/passwd", ""),
        (b"text/xml", b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///x'>]><a>&x;</a>", ""),
        (b"application/soap+xml", b'<a b="1\' or 1=1"/>', ""),
        (b"application/xml", b"<a><![CDATA[1' or 1=1]]></a>", ""),
        (b"application/xml", b"<a><![CDATA[ ]<script>alert(1)</script>]]></a>", ""),
        (b"image/svg+xml", b"<svg><script href='//a.example/x.js'/></svg>", ""),
        (b"application/graphql", b'{ a(b: "<script>x()</script>") }', ""),
    ],
)
def test_an_attack_in_a_body_is_refused(
    policy: Injection, media: bytes, content: bytes, name: str
) -> None:
    (found, *_) = errors(body(policy, content, kind(media)))
    assert (found["in"], found["name"]) == ("body", name)


def test_a_body_without_a_media_type_is_read_as_text_and_as_a_form(policy: Injection) -> None:
    assert errors(body(policy, b"a=1%27+or+1%3D1"))
    assert errors(body(policy, b'{"a": "<script>alert(1)</script>"}'))


@pytest.mark.parametrize(
    ("media", "content"),
    [
        (b"application/json", b'{"name": "O\'Brien", "n": 5, "x": null, "tags": ["a", "b"]}'),
        (FORM.encode(), b"name=O%27Brien&note=it%27s+5+o%27clock"),
        (MULTIPART, PART % b"It's \xe2\x9c\x93 fine"),
        (MULTIPART, FILE % (b"a b.png", b"image/png", b"\x89PNG ' or 1=1 --")),
        (b"text/markdown", b"# Title\n\nIt's **bold**, isn't it?\n"),
        (b"text/plain; charset=iso-8859-1", b"Caf\xe9 d'Or"),
        (b"application/xml", b'<order id="5"><name>O\'Brien</name></order>'),
        (b"application/json", b""),
        (b"application/atom+xml", b"<entry><link href='https://a.example/'/><object/></entry>"),
    ],
)
def test_a_harmless_body_passes(policy: Injection, media: bytes, content: bytes) -> None:
    assert body(policy, content, kind(media)) is PASS


def test_compressed_bodies_are_inspected_or_refused(policy: Injection) -> None:
    coded = (b"content-encoding", b"gzip")
    harmless, attack = b'{"a": "b"}', b'{"a": "1\' or 1=1"}'
    json_ = kind(b"application/json")
    assert body(policy, gzip.compress(harmless), json_, coded) is PASS
    assert errors(body(policy, gzip.compress(attack), json_, coded))[0]["name"] == "a"
    bomb = gzip.compress(b" " * (9 * 1024 * 1024))
    for content in (harmless, bomb, gzip.compress(harmless)[:-3], gzip.compress(harmless) * 2):
        (found,) = errors(body(policy, content, json_, coded))
        assert found["message"].startswith("the body ")
    for coding in (b"br", b"gzip, gzip", b"gzip, br"):
        assert errors(body(policy, harmless, json_, (b"content-encoding", coding)))


def test_a_body_of_an_unclear_media_type_is_refused(policy: Injection) -> None:
    unclear = "the body does not say which one media type it has"
    for types in ((b"image/png", b"application/json"), (b"json",), (b"text/plain; charset",)):
        (found,) = errors(body(policy, b"{}", *map(kind, types)))
        assert found["message"] == unclear


def test_a_body_of_very_many_parts_is_refused(policy: Injection) -> None:
    assert body(policy, PART[:-8] % b"a" * 900 + b"--b1--", kind(MULTIPART)) is PASS
    (found,) = errors(body(policy, PART[:-8] % b"a" * 1001, kind(MULTIPART)))
    assert found["message"] == "the body has more parts than are inspected"


def test_a_body_in_a_character_set_that_hides_it_is_refused(policy: Injection) -> None:
    for charset in (b"utf-7", b"utf-16", b"ibm037", b"x-unknown"):
        (found,) = errors(body(policy, b"{}", kind(b"application/json; charset=" + charset)))
        assert found["message"] == "the body has a character set that cannot be inspected"


@pytest.mark.parametrize(
    ("media", "held"),
    [
        (b"application/json", True), (b"text/csv", True), (MULTIPART, True), (b"", True),
        (b"application/vnd.api+json; v=1", True), (b"APPLICATION/JSON", True),
        (b"image/png", False), (b"application/octet-stream", False), (b"application/zip", False),
    ],
)  # fmt: skip
def test_bodies_of_text_are_held_and_others_stream(
    policy: Injection, make_call: Callable[..., Call], media: bytes, held: bool
) -> None:
    call = make_call(fields=[kind(media)], body_length=None)
    assert policy.holds_body(call) is held
    assert not made(**{"in": ["query"]}).holds_body(call)


def test_a_long_body_is_inspected_in_a_thread(policy: Injection) -> None:
    call = Call(_request((kind(b"text/plain"),), 100_000), "r", 0.0)
    waiting = policy.check_body(call, b"it's fine. " * 10_000)
    assert asyncio.iscoroutine(waiting)
    assert asyncio.run(waiting) is PASS
    assert policy.check_body(call, b"it's fine. ") is PASS


# As it is configured


def test_only_the_places_and_classes_that_are_named_are_looked_at(
    make_call: Callable[..., Call],
) -> None:
    call = make_call(query=quote(f"q={SQL}", safe="=").encode(), fields=[(b"x-a", b"../../x")])
    assert [e["in"] for e in errors(made().check(call))] == ["query", "headers"]
    assert [e["in"] for e in errors(made(**{"in": ["headers"]}).check(call))] == ["headers"]
    assert [e["in"] for e in errors(made(classes=["sqli"]).check(call))] == ["query"]
    assert made(classes=["xxe"]).check(call) is PASS


def test_it_says_in_like_the_file_does() -> None:
    assert option_names(InjectionConfig) == ("classes", "in")
    for wrong in ({"in": ["cookies"]}, {"in": []}, {"classes": ["ldap"]}, {"in_": ["body"]}):
        with pytest.raises(ValidationError):
            InjectionConfig.model_validate(wrong)


def test_it_runs_after_limits() -> None:
    assert Injection.phase is Phase.VALIDATE


def test_in_report_mode_the_request_passes_and_is_reported(
    make_call: Callable[..., Call],
) -> None:
    reported: list[tuple[str, str]] = []
    chain = compile_chain(
        [Attached(Public(None, None), "public"), Attached(made(), "injection", "report")],  # type: ignore[arg-type]
        lambda name, call, deny: reported.append((name, deny.code)),
    )
    call = make_call(query=b"q=" + quote(SQL).encode())
    decision = chain.run(call)
    assert (asyncio.run(decision) if asyncio.iscoroutine(decision) else decision) is PASS
    assert reported == [("injection", "injection_detected")]
