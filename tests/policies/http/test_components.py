"""Components of messages: the examples of RFC 9421 2, and what has no value."""

import pytest

from policies.core.values import Headers
from policies.http.components import (
    Component,
    Message,
    RequestMessage,
    ResponseMessage,
    SignatureRefused,
    component_value,
    signature_base,
)
from tests.policies.http.messages import headers, request, response, vectors


def _text(number: int) -> str:
    """The block of that number in the body of RFC 9421."""
    (text,) = [e["text"] for e in vectors("httpsig/rfc9421_body_examples.json") if e["i"] == number]
    return str(text)


def _lines(message: Message, wanted: str) -> str:
    """The base lines of the components that ``wanted`` names, in its order."""
    names = [line[: line.index(":", line.rindex('"'))] for line in wanted.splitlines()]
    components = [Component.parse(name) for name in names]
    base = signature_base(components, "()", message).decode()
    return base.removesuffix('\n"@signature-params": ()')


def _plain(fields: str) -> RequestMessage:
    return request(f"GET / HTTP/1.1\n{fields}")[0]


# Number of the message block, number of the block with its base lines.
FIELDS = [(0, 1), (2, 3), (4, 5), (9, 11), (9, 12), (10, 13), (7, 8)]
DERIVED = [(16, 18), (19, 21), (22, 24), (28, 30), (40, 42), (43, 45), (46, 48), (51, 52), (53, 54)]


@pytest.mark.parametrize(("message", "base"), FIELDS)
def test_fields_of_section_2_1(message: int, base: int) -> None:
    wanted = _text(base).replace(":(SP)", ": ")
    assert _lines(_plain(_text(message)), wanted) == wanted


@pytest.mark.parametrize(("message", "base"), DERIVED)
def test_derived_components_of_section_2_2(message: int, base: int) -> None:
    wanted = _text(base).replace(":(SP)", ": ")
    assert _lines(request(_text(message))[0], wanted) == wanted


def test_the_remaining_examples_of_section_2_2() -> None:
    plain, _ = request(_text(25), scheme="http")
    assert _lines(plain, _text(27)) == _text(27)
    assert _lines(_plain("Host: a"), _text(50)) == _text(50)
    answer, _ = response(_text(56))
    assert _lines(answer, _text(58)) == _text(58)


def test_a_field_serialised_strictly() -> None:
    message = _plain("Priority:  u=1,    i;x=1;y=2\nX-Unknown: a=1")
    assert component_value(Component.parse("priority;sf"), message) == b"u=1, i;x=1;y=2"
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("x-unknown;sf"), message)


def test_a_trailer_is_no_header() -> None:
    wanted = _text(15)
    head, _, _ = _text(14).partition("\n\n")
    answer, _ = response(head, trailers="Expires: Wed, 9 Nov 2022 07:28:00 GMT")
    assert _lines(answer, wanted) == wanted
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("expires"), answer)
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("trailer;tr"), answer)


def test_a_response_bound_to_its_request() -> None:
    asked, _ = request(_text(60))
    answer, _ = response(_text(61), asked)
    wanted, params = _text(62).rsplit("\n", 1)
    names = [line[: line.index(": ")] for line in wanted.splitlines()]
    components = [Component.parse(name) for name in names]
    text = params.removeprefix('"@signature-params": ')
    assert signature_base(components, text, answer).decode() == _text(62)


@pytest.mark.parametrize(
    "name",
    [
        "@unknown",
        "@signature-params",
        "Content-Digest",
        "content digest",
        "@method;sf",
        "@method;name=1",
        "@query-param",
        "@query-param;name",
        "@query-param;name=1",
        "date;bs;sf",
        'date;bs;key="a"',
        "date;unknown",
        "date;sf=1",
        "date;req=?0",
        "date;key",
        "date;key=1",
        'date;name="a"',
        "date;bs;bs",
    ],
)
def test_H2_a_component_that_no_message_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Component.parse(name)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("x-absent", ""),
        ("x-there;tr", "X-There: 1"),
        ("x-there;req", "X-There: 1"),
        ("@status", ""),
        ('x-there;key="b"', "X-There: a=1"),
        ('x-there;key="a"', "X-There: a=1, a=2"),
        ('x-there;key="a"', "X-There: not structured"),
        ("set-cookie", "Set-Cookie: a=1\nSet-Cookie: b=2"),
    ],
)
def test_H2_a_component_without_exactly_one_value_is_refused(name: str, fields: str) -> None:
    with pytest.raises(SignatureRefused):
        component_value(Component.parse(name), _plain(fields))


@pytest.mark.parametrize("value", [b"caf\xe9", b"a\x00b", b"a\nb", b"a\rb", b"a\x7fb"])
def test_a_value_that_could_pose_as_another_line_is_refused(value: bytes) -> None:
    message = RequestMessage("GET", "https", "a", "/", None, Headers([(b"x-there", value)]))
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("x-there"), message)
    assert component_value(Component.parse("x-there;bs"), message).startswith(b":")


@pytest.mark.parametrize(
    "query", [b"", b"b=1", b"a=1&a=2", b"a=1&%61=2", b"a=%ff", b"&".join([b"b=1"] * 1001 + [b"a"])]
)
def test_a_query_parameter_stands_exactly_once(query: bytes) -> None:
    message = RequestMessage("GET", "https", "a", "/", query, headers(""))
    with pytest.raises(SignatureRefused):
        component_value(Component.parse('@query-param;name="a"'), message)


@pytest.mark.parametrize(
    ("host", "scheme", "wanted"),
    [
        ("Example.COM", "https", b"example.com"),
        ("example.com:443", "https", b"example.com"),
        ("example.com:80", "https", b"example.com:80"),
        ("example.com:80", "http", b"example.com"),
        ("example.com:8080", "http", b"example.com:8080"),
    ],
)
def test_the_authority_has_no_default_port(host: str, scheme: str, wanted: bytes) -> None:
    message, _ = request(f"GET / HTTP/1.1\nHost: {host}", scheme)
    assert component_value(Component.parse("@authority"), message) == wanted


def test_the_order_of_parameters_makes_no_other_component() -> None:
    one, other = Component.parse('date;key="a";req'), Component.parse('date;req;key="a"')
    assert one.identity == other.identity
    assert one.text != other.text


def test_a_request_has_no_components_of_a_request_it_answers() -> None:
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("@method"), ResponseMessage(200, headers("")))
    with pytest.raises(SignatureRefused):
        component_value(Component.parse("@method;req"), ResponseMessage(200, headers("")))
