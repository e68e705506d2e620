"""Every style, exploded or not, of every type: the table, third parties' vectors, round trips."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.core.values import Headers
from policies.openapi.parameters import Pairs, cookie_pairs, form_text, query_pairs
from policies.openapi.shapes import Shape
from policies.openapi.styles import (
    STYLES,
    Serialisation,
    from_header,
    from_segment,
    from_values,
)
from policies.openapi.texts import Malformed, decoded
from tests.policies.openapi.vectors import load

KINDS = ("text", "array", "object")
LIST = ["blue", "black", "brown"]
OBJECT = {"R": "100", "G": "200", "B": "150"}
COLOURS = {"text": "blue", "array": LIST, "object": OBJECT}
STRINGS = Shape(frozenset({"string"}))
SHAPES = {
    "text": STRINGS,
    "array": Shape(frozenset({"array"}), items=STRINGS),
    "object": Shape(frozenset({"object"}), members={}, others=STRINGS),
}
OPEN = SHAPES["object"]

# place, style, exploded, kind -> how it is written. The table of OpenAPI 3.1.1 (4.8.12.4), whole.
TABLE = {
    ("path", "simple", False): ("blue", "blue,black,brown", "R,100,G,200,B,150"),
    ("path", "simple", True): ("blue", "blue,black,brown", "R=100,G=200,B=150"),
    ("path", "label", False): (".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
    ("path", "label", True): (".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
    ("path", "matrix", False): (";c=blue", ";c=blue,black,brown", ";c=R,100,G,200,B,150"),
    ("path", "matrix", True): (";c=blue", ";c=blue;c=black;c=brown", ";R=100;G=200;B=150"),
    ("header", "simple", False): ("blue", "blue,black,brown", "R,100,G,200,B,150"),
    ("header", "simple", True): ("blue", "blue,black,brown", "R=100,G=200,B=150"),
    ("query", "form", False): ("c=blue", "c=blue,black,brown", "c=R,100,G,200,B,150"),
    ("query", "form", True): ("c=blue", "c=blue&c=black&c=brown", "R=100&G=200&B=150"),
    ("cookie", "form", False): ("c=blue", "c=blue,black,brown", "c=R,100,G,200,B,150"),
    ("cookie", "form", True): ("c=blue", "c=blue; c=black; c=brown", "R=100; G=200; B=150"),
    ("query", "spaceDelimited", False): (
        *(None, "c=blue%20black%20brown", "c=R%20100%20G%20200%20B%20150"),
    ),
    ("query", "spaceDelimited", True): (None, "c=blue&c=black&c=brown", None),
    ("query", "pipeDelimited", False): (None, "c=blue|black%7Cbrown", "c=R|100|G|200|B|150"),
    ("query", "pipeDelimited", True): (None, "c=blue&c=black&c=brown", None),
    ("query", "deepObject", False): (None, None, "c[R]=100&c%5BG%5D=200&c[B]=150"),
    ("query", "deepObject", True): (None, None, "c[R]=100&c%5BG%5D=200&c[B]=150"),
}


def parsed(where: str, how: Serialisation, text: str, name: str = "c") -> Any:
    """The texts that a written value is read as. Raises ``Malformed``."""
    raw = text.encode()
    if where == "path":
        return from_segment(how, name, raw)
    if where == "header":
        return from_header(how, [raw])
    if where == "query":
        pairs = Pairs(query_pairs(raw), form_text)
    else:
        split = [part.strip().partition("=") for part in text.split(";") if part.strip()]
        pairs = Pairs([(decoded(n.encode()), v.encode()) for n, _, v in split], decoded)
    return value_of(pairs, how, name)


def value_of(pairs: Pairs, how: Serialisation, name: str) -> Any:
    shape = SHAPES[how.kind]
    members = pairs.members(name, how, shape)
    if members is not None:
        if not members:
            raise Malformed("is missing")
        return pairs.object(shape, members)
    return from_values(how, pairs.take(name), pairs.decode)


def test_the_table_has_every_combination() -> None:
    wanted = {(w, s, e) for w, styles in STYLES.items() for s in styles for e in (True, False)}
    assert set(TABLE) == wanted


@pytest.mark.parametrize("key", TABLE)
def test_every_style_of_the_table(key: tuple[str, str, bool]) -> None:
    where, style, explode = key
    for kind, text in zip(KINDS, TABLE[key], strict=True):
        how = Serialisation(style, explode, kind)
        if text is None:
            assert how.problem(where)
        else:
            assert how.problem(where) is None
            assert parsed(where, how, text) == COLOURS[kind]


@pytest.mark.parametrize("where", STYLES)
def test_a_style_of_another_place_is_none(where: str) -> None:
    everything = {style for styles in STYLES.values() for style in styles}
    for style in everything - set(STYLES[where]):
        for kind in KINDS:
            assert Serialisation(style, True, kind).problem(where)


@pytest.mark.parametrize(
    ("where", "style", "explode", "kind", "text"),
    [
        ("path", "label", False, "text", "blue"),
        ("path", "matrix", False, "text", "c=blue"),
        ("path", "matrix", False, "text", ";d=blue"),
        ("path", "matrix", False, "text", ";c=blue;c=black"),
        ("path", "matrix", True, "array", ";c=blue;d=black"),
        ("path", "matrix", True, "object", ";R=1;R=2"),
        ("path", "matrix", True, "object", ";R"),
        ("path", "simple", False, "object", "R,100,G"),
        ("path", "simple", False, "object", "R,1,R,2"),
        ("path", "simple", True, "object", "R=1,G"),
        ("query", "form", True, "text", "c=a&c=b"),
        ("query", "form", False, "array", "c=a,b&c=c"),
        ("query", "form", True, "object", "R=1&R=2"),
        ("query", "deepObject", True, "object", "c[R]=1&c[R]=2"),
        ("query", "deepObject", True, "object", "c[R][S]=1"),
        ("query", "deepObject", True, "object", "d[R]=1"),
        ("query", "pipeDelimited", False, "array", "c=a|b&c=c"),
        ("cookie", "form", True, "text", "c=a; c=b"),
        ("query", "form", True, "text", "c=%zz"),
    ],
)
def test_what_is_written_otherwise_is_refused(
    where: str, style: str, explode: bool, kind: str, text: str
) -> None:
    with pytest.raises(Malformed):
        parsed(where, Serialisation(style, explode, kind), text)


def test_an_encoded_delimiter_belongs_to_the_text() -> None:
    assert parsed("path", Serialisation("simple", False, "array"), "a%2Cb,c") == ["a,b", "c"]
    assert parsed("query", Serialisation("form", False, "array"), "c=a%2Cb,c") == ["a,b", "c"]
    assert parsed("path", Serialisation("matrix", True, "array"), ";c=a%3Bc%3D1") == ["a;c=1"]


def test_a_header_may_stand_on_several_lines_only_where_it_is_a_list() -> None:
    lines = [b"blue, black", b"brown"]
    assert from_header(Serialisation("simple", False, "array"), lines) == LIST
    with pytest.raises(Malformed):
        from_header(Serialisation("simple", False, "text"), lines)


# Third parties' tables


def test_the_styles_of_openapi_core() -> None:
    rows = load("openapi/styles_table.json")
    run = 0
    for row in rows:
        name = row["test"]
        if "schema_type" not in row or name == "test_name_not_found":
            continue
        kind = {"string": "text"}.get(row["schema_type"], row["schema_type"])
        explode = row.get("explode", False)
        if name == "test_combination_not_available":
            assert Serialisation(row["style"], explode, kind).problem(row["location_name"])
            run += 1
            continue
        for where, style in _places(name):
            how = Serialisation(style, explode, kind)
            assert parsed(where, how, _written(row, where), "param") == row["expected"], row
            run += 1
    # The rows not counted here: 6 of names (below), 6 of that library's own interface, 4 that only
    # say in which places the rows after them are.
    assert (len(rows), run) == (51, 47)


def test_the_names_of_openapi_core_that_are_not_found() -> None:
    rows = [r for r in load("openapi/styles_table.json") if r["test"] == "test_name_not_found"]
    refused = 0
    for row in rows:
        kind = {"string": "text"}.get(row["schema_type"], row["schema_type"])
        how = Serialisation(row["style"], row["explode"], kind)
        where = row["location_name"]
        if how.problem(where):
            refused += 1
            continue
        location = row["location"]
        pairs = Pairs([(n, v.encode()) for n, v in location.items()], form_text)
        if how.style == "deepObject":
            assert pairs.members("param", how, OPEN) == {}
        else:
            assert pairs.take("param") == []
        refused += 1
    assert refused == len(rows) == 6


def _places(name: str) -> list[tuple[str, str]]:
    return {
        "test_matrix_valid": [("path", "matrix")],
        "test_label_valid": [("path", "label")],
        "test_form_valid": [("query", "form"), ("cookie", "form")],
        "test_simple_valid": [("path", "simple"), ("header", "simple")],
        "test_space_delimited_valid": [("query", "spaceDelimited")],
        "test_pipe_delimited_valid": [("query", "pipeDelimited")],
        "test_deep_object_valid": [("query", "deepObject")],
    }[name]


def _written(row: dict[str, Any], where: str) -> str:
    """A row's location as it stands in a message."""
    location = row.get("location")
    if location is None:
        value = row["value"]
        return f"param={value}" if where == "query" else value
    pairs = location if isinstance(location, list) else list(location.items())
    if where == "path":
        return pairs[0][1]
    separator = "&" if where == "query" else "; "
    if pairs[0][0] == "param" and "=" in pairs[0][1]:  # a spread object, written out
        return pairs[0][1].replace("&", separator)
    return separator.join(f"{n}={v}" for n, v in pairs)


# One expression, perhaps between literals. ``{+x}``, ``{#x}`` and ``{/x}`` are no styles of
# OpenAPI, and a prefix (``{x:3}``) does not come back.
_EXPRESSION = re.compile(r"([^{}]*)\{([.;?&]?)([A-Za-z_,]+)(\*?)\}([^{}?&]*)\Z")
_STYLE = {"": ("path", "simple"), ".": ("path", "label"), ";": ("path", "matrix")}


def test_the_uri_template_examples_are_parsed_back() -> None:
    counts = {"simple": 0, "label": 0, "matrix": 0, "form": 0}
    total = 0
    names = ("spec-examples", "spec-examples-by-section", "extended-tests", "negative-tests")
    for name in names:
        for group in load(f"openapi/uritemplate_{name}.json").values():
            for template, expansions in group["testcases"]:
                total += 1
                for style in _parsed_back(template, expansions, group["variables"]):
                    counts[style] += 1
    assert total == 270
    assert counts == {"simple": 46, "label": 14, "matrix": 32, "form": 94}


def _parsed_back(template: str, expansions: Any, variables: dict[str, Any]) -> list[str]:
    """The style of each value that was parsed back out of the expansions of a template."""
    found = _EXPRESSION.match(template)
    if found is None or expansions is False:
        return []
    before, operator, names, star, after = found.groups()
    wanted = {name: _texts(variables.get(name)) for name in names.split(",")}
    where, style = _STYLE.get(operator, ("query", "form"))
    if "," in names and (where == "path" or star):
        return []
    done = []
    for text in [expansions] if isinstance(expansions, str) else expansions:
        inner = text.removeprefix(quote(before, safe="/?=&'%")).removesuffix(after).lstrip("?&")
        for name, value in wanted.items():
            if not value and (where == "path" or value in (None, [], {})):
                continue  # what is undefined or empty leaves nothing to parse
            kind = {str: "text", list: "array", dict: "object"}[type(value)]
            how = Serialisation(style, bool(star), kind)
            assert parsed(where, how, inner, name) == value, (template, text)
            done.append(style)
    return done


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [str(item) for item in value]
    if isinstance(value, dict):
        return {str(key): str(item) for key, item in value.items()}
    return None if value is None else str(value)


# Round trips

_TEXT = st.text(min_size=1, max_size=8).filter(lambda t: not re.search("[\ud800-\udfff]", t))
_VALUES = {
    "text": _TEXT,
    "array": st.lists(_TEXT, min_size=1, max_size=4),
    "object": st.dictionaries(_TEXT, _TEXT, min_size=1, max_size=4),
}
_JOINS = {
    ("simple", False): ",",
    ("simple", True): ",",
    ("label", False): ",",
    ("label", True): ".",
    ("matrix", False): ",",
    ("form", False): ",",
    ("spaceDelimited", False): "%20",
    ("pipeDelimited", False): "|",
}


def _encode(text: str) -> str:
    """Everything but letters and digits, so that no delimiter of any style stands as itself."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(c if c in plain else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def written(where: str, how: Serialisation, value: Any) -> str:
    """A value as RFC 6570 and OpenAPI write it; pieces encoded where they are encoded."""
    code = (lambda t: t) if where == "header" else _encode
    between = "&" if where == "query" else "; "
    if how.style == "deepObject":
        return "&".join(f"c[{code(k)}]={code(v)}" for k, v in value.items())
    if how.style == "matrix" and how.explode:
        between = ";"
    if isinstance(value, str):
        body = [code(value)]
    elif isinstance(value, list):
        body = [code(item) for item in value]
    elif how.explode:
        body = [f"{code(k)}={code(v)}" for k, v in value.items()]
    else:
        body = [code(part) for pair in value.items() for part in pair]
    joined = _JOINS.get((how.style, how.explode))
    if joined is None:  # named pairs, repeated
        pairs = body if isinstance(value, dict) else [f"c={item}" for item in body]
        return {"matrix": ";"}.get(how.style, "") + between.join(pairs)
    start = {"label": ".", "matrix": ";c=", "simple": ""}.get(how.style, "c=")
    return start + joined.join(body)


COMBINATIONS = [
    (where, Serialisation(style, explode, kind))
    for where, style, explode in TABLE
    for kind in KINDS
    if Serialisation(style, explode, kind).problem(where) is None
]


@pytest.mark.parametrize(("where", "how"), COMBINATIONS, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_every_value_comes_back(where: str, how: Serialisation, data: st.DataObject) -> None:
    value = data.draw(_VALUES[how.kind])
    if where == "header":  # not encoded: what delimits cannot be in it
        assume(not re.search(r"[,=\s]", "".join(_flat(value))))
        assume(all(text.strip() == text for text in _flat(value)))
    if how.style in ("spaceDelimited", "pipeDelimited") and not how.explode:
        assume(not re.search(r"[ |]", "".join(_flat(value))))  # they have no other spelling
    if how.style == "deepObject":
        assume(not any(set("[]") & set(key) for key in value))
    if how.spreads and where == "cookie":
        assume(all(key.strip() == key for key in value))
    assert parsed(where, how, written(where, how, value)) == value


def _flat(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else [value]


@given(st.binary(max_size=60))
def test_no_cookie_line_is_too_strange_to_be_read_or_refused(line: bytes) -> None:
    try:
        pairs = cookie_pairs(Headers([(b"cookie", line)]))
    except Malformed:
        return
    assert all(isinstance(name, str) and name for name, _ in pairs)


@pytest.mark.parametrize(("where", "how"), COMBINATIONS, ids=str)
@settings(max_examples=40)
@given(text=st.text(alphabet="cRG=;,.&|[]%20 +a1", max_size=30))
def test_nothing_is_too_strange_to_be_read_or_refused(
    where: str, how: Serialisation, text: str
) -> None:
    try:
        value = parsed(where, how, text)
    except Malformed:
        return
    assert isinstance(value, {"text": str, "array": list, "object": dict}[how.kind])
