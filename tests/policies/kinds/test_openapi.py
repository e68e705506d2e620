"""``openapi``: what it refuses from the head, from the body, and of answers."""

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.services import ServedApi
from policies.core.values import PASS, Deny
from policies.kinds.openapi import MAX_ANSWER, OpenApi, OpenApiConfig
from policies.kinds.public import Public
from tests.policies.openapi.described import document, operation

ORDER = {
    "type": "object",
    "required": ["product"],
    "properties": {"product": {"type": "string"}, "quantity": {"type": "integer"}},
}
ANSWERS = {
    "200": {
        "description": "ok",
        "headers": {"X-Total": {"required": True, "schema": {"type": "integer"}}},
        "content": {
            "application/json": {"schema": {"type": "array", "items": ORDER}},
            "text/event-stream": {},
        },
    },
    "204": {"description": "nothing"},
    "4XX": {"description": "no", "content": {"application/problem+json": {}}},
}
TEXT = document(
    {
        "/items": {
            "get": operation(
                parameters=[{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                responses=ANSWERS,
            ),
            "post": operation(
                requestBody={
                    "required": True,
                    "content": {
                        "application/json": {"schema": ORDER},
                        "image/*": {"schema": {"type": "string", "format": "binary"}},
                    },
                }
            ),
            "put": operation(requestBody={"content": {"application/json": {"schema": ORDER}}}),
        }
    }
)
NOT_INTEGER = 'the value is not of type "integer"'
JSON = (b"content-type", b"application/json")


@pytest.fixture
def policy(make_services: Any) -> Any:
    def make(base_path: str = "/orders", text: str | None = TEXT, **options: Any) -> OpenApi:
        services = make_services(api=ServedApi("orders", base_path, text))
        return OpenApi(OpenApiConfig(**options), services)

    return make


def code(decision: Any) -> str:
    return "" if decision is PASS or decision is None else decision.code


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("GET", "/orders/items", {}, ""),
        ("HEAD", "/orders/items", {}, ""),
        ("GET", "/orders/items", {"query": b"limit=7"}, ""),
        ("GET", "/orders/items", {"query": b"limit=x"}, "request_invalid"),
        ("GET", "/orders/items", {"query": b"other=1"}, "request_invalid"),
        ("GET", "/orders/items", {"body_length": 3}, "request_invalid"),
        ("GET", "/orders/items", {"fields": [(b"accept", b"*/*")]}, ""),
        ("GET", "/orders/items", {"fields": [(b"accept", b"text/event-stream")]}, ""),
        ("GET", "/orders/items", {"fields": [(b"accept", b"text/html")]}, "not_acceptable"),
        ("GET", "/orders/nope", {}, "route_not_found"),
        ("GET", "/orders", {}, "route_not_found"),
        ("GET", "/orders/items/", {}, "route_not_found"),
        ("DELETE", "/orders/items", {}, "method_not_allowed"),
        ("POST", "/orders/items", {"body_length": 2, "fields": [JSON]}, ""),
        ("POST", "/orders/items", {"body_length": None, "fields": [JSON]}, ""),
        ("POST", "/orders/items", {"body_length": 0, "fields": [JSON]}, "request_invalid"),
        ("PUT", "/orders/items", {"body_length": 0}, ""),
        ("POST", "/orders/items", {"body_length": 2}, "media_type_unsupported"),
        (
            *("POST", "/orders/items"),
            {"body_length": 2, "fields": [(b"content-type", b"text/plain")]},
            "media_type_unsupported",
        ),
        (
            *("POST", "/orders/items"),
            {"body_length": 2, "fields": [JSON, (b"content-type", b"image/png")]},
            "media_type_unsupported",
        ),
        (
            *("POST", "/orders/items"),
            {"body_length": 2, "fields": [JSON, (b"content-encoding", b"gzip")]},
            "media_type_unsupported",
        ),
    ],
)
def test_O1_the_head_is_judged(
    policy: Any, make_call: Any, method: str, path: str, more: Any, expected: str
) -> None:
    decision = policy().check(make_call(method=method, path=path, **more))
    assert code(decision) == expected


def test_O1_another_method_is_refused_with_those_there_are(policy: Any, make_call: Any) -> None:
    decision = policy().check(make_call(method="DELETE", path="/orders/items"))
    assert decision.fields == ((b"allow", b"GET, HEAD, POST, PUT"),)
    assert decision.refusal.status == 405


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        (b'{"product": "tea"}', []),
        (b'{"product": "tea", "colour": 1}', []),
        (b"{}", [("/product", "is missing")]),
        (b'{"quantity": 1.5}', [("/product", "is missing"), ("/quantity", NOT_INTEGER)]),
        (b'{"product": "tea", "product": "x"}', [("", "a member is given more than once")]),
        (b"x", [("", "it is not well-formed JSON")]),
        (b"", [("", "is missing")]),
    ],
)  # fmt: skip
def test_O1_the_body_is_judged_by_the_bytes_that_go_on(
    policy: Any, make_call: Any, content: bytes, errors: list[Any]
) -> None:
    made = policy()
    call = make_call(method="POST", path="/orders/items", body_length=None, fields=[JSON])
    assert made.holds_body(call)
    decision = made.check_body(call, content)
    found = [] if decision is PASS else [(e["name"], e["message"]) for e in decision.errors]
    assert sorted(found) == errors
    assert all(e["in"] == "body" for e in getattr(decision, "errors", ()))


def test_a_body_that_is_not_looked_into_is_not_held(policy: Any, make_call: Any) -> None:
    fields = [(b"content-type", b"image/png")]
    call = make_call(method="POST", path="/orders/items", body_length=None, fields=fields)
    assert policy().check(call) is PASS
    assert not policy().holds_body(call)


def test_content_of_unknown_length_must_be_empty_where_none_is_taken(
    policy: Any, make_call: Any
) -> None:
    call = make_call(path="/orders/items", body_length=None)
    made = policy()
    assert made.check(call) is PASS
    assert made.holds_body(call)
    assert made.check_body(call, b"") is PASS
    assert code(made.check_body(call, b"x")) == "request_invalid"


def test_undeclared_members_and_parameters_by_option(policy: Any, make_call: Any) -> None:
    made = policy(unknown_body="refuse", unknown_query="ignore")
    assert made.check(make_call(path="/orders/items", query=b"other=1")) is PASS
    call = make_call(method="POST", path="/orders/items", body_length=9, fields=[JSON])
    decision = made.check_body(call, b'{"product": "tea", "colour": 1}')
    assert [dict(e) for e in decision.errors] == [
        {"in": "body", "name": "/colour", "message": "is not declared"}
    ]


def test_the_base_path_is_in_front_of_the_documents_paths(policy: Any, make_call: Any) -> None:
    assert policy("/").check(make_call(path="/items")) is PASS
    assert policy("/a/b").check(make_call(path="/a/b/items")) is PASS


# Answers


def answered(made: OpenApi, call: Any, status: int, fields: Any, content: bytes) -> str:
    """The code of what is said about an answer; "not looked into" where nothing is asked."""
    bound = made.holds_answer(call, status, fields)
    if bound == 0:
        return "not looked into"
    if len(content) > bound:
        return "upstream_invalid"
    return code(made.check_answer(call, status, fields, content))


GOOD = [JSON, (b"x-total", b"1")]


@pytest.mark.parametrize(
    ("status", "fields", "content", "expected"),
    [
        (200, GOOD, b'[{"product": "tea"}]', ""),
        (200, GOOD, b'[{"product": 1}]', "upstream_invalid"),
        (200, GOOD, b"[", "upstream_invalid"),
        (200, GOOD, b"", "upstream_invalid"),
        (200, [JSON], b"[]", "upstream_invalid"),
        (200, [JSON, (b"x-total", b"x")], b"[]", "upstream_invalid"),
        (200, [*GOOD, (b"content-type", b"a/b")], b"[]", "upstream_invalid"),
        (200, [(b"content-type", b"text/html"), GOOD[1]], b"<html>", "upstream_invalid"),
        (200, [(b"content-type", b"text/event-stream"), GOOD[1]], b"x", "not looked into"),
        (204, [], b"", "not looked into"),
        (304, [], b"", "not looked into"),
        (404, [(b"content-type", b"application/problem+json")], b"{}", ""),
        (404, [(b"content-type", b"application/problem+json")], b"{", "upstream_invalid"),
        (500, [JSON], b"{}", "upstream_invalid"),
        (200, [*GOOD, (b"content-encoding", b"gzip")], gzip.compress(b"[]", mtime=0), ""),
        (
            200,
            [*GOOD, (b"content-encoding", b"gzip")],
            gzip.compress(b"[1]", mtime=0),
            "upstream_invalid",
        ),
        (200, [*GOOD, (b"content-encoding", b"gzip")], b"[]", "upstream_invalid"),
        (200, [*GOOD, (b"content-encoding", b"br")], b"[]", "upstream_invalid"),
    ],
)
def test_answers_are_judged_where_it_is_wanted(
    policy: Any, make_call: Any, status: int, fields: Any, content: bytes, expected: str
) -> None:
    made = policy(responses="enforce")
    call = make_call(path="/orders/items")
    assert answered(made, call, status, fields, content) == expected


def test_a_coded_answer_is_undone_within_the_bound(policy: Any, make_call: Any) -> None:
    bomb = gzip.compress(b"[" + b" " * MAX_ANSWER + b"]")
    fields = [*GOOD, (b"content-encoding", b"gzip")]
    made = policy(responses="enforce")
    assert answered(made, make_call(path="/orders/items"), 200, fields, bomb) == "upstream_invalid"


def test_an_answer_to_head_has_no_content_to_judge(policy: Any, make_call: Any) -> None:
    call = make_call(method="HEAD", path="/orders/items")
    made = policy(responses="enforce")
    assert answered(made, call, 200, GOOD, b"") == "not looked into"
    assert answered(made, call, 200, [JSON], b"") == "upstream_invalid"


def test_of_an_invalid_answer_only_the_log_says_more(
    policy: Any, make_call: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = policy(responses="enforce")
    call = make_call(path="/orders/items")
    refused = made.check_answer(call, 200, GOOD, b'[{"product": 1234567}]')
    assert refused is not None
    assert (refused.code, refused.errors) == ("upstream_invalid", ())
    assert "/0/product" in caplog.text
    assert "1234567" not in caplog.text


# In a chain


def chained(made: OpenApi, mode: str, reported: list[str]) -> Any:
    public = Attached(Public(PolicyConfig(), None), "public")
    attached = Attached(made, "openapi", mode)  # type: ignore[arg-type]
    return compile_chain(
        [public, attached], lambda name, call, deny: reported.append(f"{name}: {deny.code}")
    )


async def judged(chain: Any, call: Any, content: bytes) -> str:
    decision = await chain.run(call)
    if decision is PASS and (holders := chain.body_holders(call)):
        decision = await chain.check_body(call, holders, content)
    return code(decision)


def run(coroutine: Any) -> Any:

    return asyncio.run(coroutine)


@pytest.mark.parametrize(
    ("more", "content", "expected"),
    [
        ({"path": "/orders/nope"}, b"", "route_not_found"),
        ({"query": b"x=1"}, b"", "request_invalid"),
        ({"fields": [(b"accept", b"a/b")]}, b"", "not_acceptable"),
        ({"method": "POST", "body_length": 2}, b"{}", "media_type_unsupported"),
        ({"method": "POST", "body_length": 2, "fields": [JSON]}, b"{}", "request_invalid"),
    ],
)
def test_in_report_mode_the_call_passes_and_is_reported(
    policy: Any, make_call: Any, more: Any, content: bytes, expected: str
) -> None:
    reported: list[str] = []
    call = {"path": "/orders/items", **more}
    chain = chained(policy(), "report", reported)
    assert run(judged(chain, make_call(**call), content)) == ""
    assert reported == [f"openapi: {expected}"]
    assert run(judged(chained(policy(), "enforce", []), make_call(**call), content)) == expected


@pytest.mark.parametrize(
    ("responses", "refused", "reports"),
    [("off", "", 0), ("report", "", 1), ("enforce", "upstream_invalid", 0)],
)
def test_answers_are_off_reported_or_enforced(
    policy: Any, make_call: Any, responses: str, refused: str, reports: int
) -> None:
    reported: list[str] = []
    chain = chained(policy(responses=responses), "enforce", reported)
    call = make_call(path="/orders/items")
    holders = chain.answer_holders(call, 200, GOOD)
    assert chain.reads_answer is (responses != "off")
    assert code(chain.check_answer(call, holders, 200, GOOD, b"[1]")) == refused
    assert reported == ["openapi: upstream_invalid"] * reports


# Making it


def test_it_runs_after_the_limits() -> None:
    assert OpenApi.phase is Phase.VALIDATE
    assert OpenApi.of_api


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no OpenAPI document"),
        ("{}", "give an OpenAPI document of version 3.0 or 3.1"),
        (TEXT.replace('"integer"', '"integr"'), "type: not a valid schema"),
    ],
)
def test_F5_what_cannot_be_compiled_is_said_to_the_administrator(
    policy: Any, text: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        policy(text=text)


def test_the_options_are_those_of_the_contract() -> None:
    config = OpenApiConfig()
    assert config.model_dump() == {
        "unknown_query": "refuse",
        "unknown_body": "spec",
        "responses": "off",
    }
    for wrong in ({"unknown_query": "x"}, {"unknown_body": "ignore"}, {"responses": True}):
        with pytest.raises(ValidationError):
            OpenApiConfig(**wrong)


def test_explain_says_which_operation_it_was(policy: Any, make_call: Any) -> None:
    call = make_call(path="/orders/items")
    assert policy().describe(call) == "GET /items of the API's document"


def test_a_refusal_can_be_rendered(policy: Any, make_call: Any) -> None:
    decision = policy().check(make_call(path="/orders/items", query=b"limit=secret-value"))
    assert isinstance(decision, Deny)
    assert "secret-value" not in json.dumps([dict(e) for e in decision.errors]) + decision.detail
