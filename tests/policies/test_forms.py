"""Forms drawn from declared options: what is typed becomes what the file would have said."""

from typing import Any, Literal

import pytest
from django import forms
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from policies.core.config import PolicyConfig, option_names, problems_of
from policies.core.policy import Policy
from policies.drawing import option_field
from policies.entries import PolicyEntry
from policies.fields import LinesField, PairsField, SecretFormField, WordsField
from policies.forms import PREFIX, policy_form
from policies.registry import KINDS
from policies.secrets import SealedValue, Secret


class EveryTypeConfig(PolicyConfig):
    """An option of every type that kinds declare."""

    limit: int = Field(ge=1, le=10, title="Limit", description="How many.")
    ratio: float = Field(default=0.5, ge=0, le=1, title="Ratio", description="Which part.")
    burst: int | None = Field(default=None, ge=1, title="Burst", description="Empty: none.")
    by: str = Field(default="ip", min_length=1, title="By", description="What is counted.")
    cookie: str | None = Field(default=None, title="Cookie", description="Empty: none.")
    scheme: str = Field(default="Bearer", title="Scheme", description="May be empty.")
    strict: bool = Field(default=True, title="Strict", description="Or not.")
    way: Literal["deny", "allow"] = Field(default="deny", title="Way", description="Which.")
    scopes: tuple[str, ...] = Field(default=(), title="Scopes", description="Which ones.")
    names: tuple[str, ...] = Field(min_length=1, title="Names", description="Needed.")
    headers: dict[str, str] = Field(default={}, title="Headers", description="Lines.")
    claims: dict[str, str | int | tuple[str, ...]] = Field(
        default={}, title="Claims", description="Values."
    )


class EveryType(Policy):
    kind = "every_type"
    Config = EveryTypeConfig
    summary = "Has an option of every type."


def filled(**changes: str | None) -> dict[str, str]:
    """What a browser sends of the form as it opens, with some entries changed."""
    entries = {"limit": "3", "ratio": "0.5", "by": "ip", "scheme": "Bearer", "strict": "on"}
    entries |= {"way": "deny", "names": "a"}
    merged: dict[str, str | None] = {**entries, **changes}
    return {PREFIX + name: value for name, value in merged.items() if value is not None}


def config_of(**changes: str | None) -> Any:
    form = policy_form(EveryType)(filled(**changes))
    assert form.is_valid(), form.errors
    return form.config


def errors_of(**changes: str | None) -> dict[str, list[str]]:
    form = policy_form(EveryType)(filled(**changes))
    assert not form.is_valid()
    return {name.removeprefix(PREFIX): list(said) for name, said in form.errors.items()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_draws_a_form_whose_fields_explain_themselves(kind: type[Policy]) -> None:
    form = policy_form(kind)()
    assert list(form.fields) == [PREFIX + name for name in option_names(kind.Config)]
    for field in form.fields.values():
        assert field.label
        assert field.help_text
    assert kind.summary


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_form_sent_as_it_opens_means_the_defaults(kind: type[Policy]) -> None:
    needed = {
        "client_credentials": {"provider": "acme"},
        "concurrency": {"limit": "1"},
        "cors": {"origins": "*"},
        "introspection": {"provider": "acme"},
        "jwt": {"providers": "acme"},
        "quota": {"limit": "1", "per": "day"},
        "rate_limit": {"limit": "1", "per": "1"},
        "session": {"provider": "acme"},
        "token_exchange": {"provider": "acme"},
    }
    form = policy_form(kind)()
    query = QueryDict(mutable=True)
    for name in form.fields:
        bound = form[name]
        value = bound.value()
        if isinstance(bound.field, forms.BooleanField):
            if value:
                query[bound.html_name] = "on"
        elif isinstance(bound.field, forms.MultipleChoiceField):
            query.setlist(bound.html_name, value)
        elif value is not None:
            query[bound.html_name] = str(value)
    for name, value in needed.get(kind.kind, {}).items():
        query[PREFIX + name] = value
    sent = policy_form(kind)(query)
    assert sent.is_valid(), sent.errors
    plain = {
        "client_credentials": {"provider": "acme"},
        "concurrency": {"limit": 1},
        "cors": {"origins": ["*"]},
        "introspection": {"provider": "acme"},
        "jwt": {"providers": ["acme"]},
        "quota": {"limit": 1, "per": "day"},
        "rate_limit": {"limit": 1, "per": 1},
        "session": {"provider": "acme"},
        "token_exchange": {"provider": "acme"},
    }
    assert sent.config == kind.Config.model_validate(plain.get(kind.kind, {}))


def test_each_type_has_its_field_with_bounds_for_the_browser() -> None:
    fields = policy_form(EveryType).base_fields
    drawn = {name.removeprefix(PREFIX): type(field) for name, field in fields.items()}
    assert drawn["limit"] is forms.IntegerField
    assert drawn["ratio"] is forms.FloatField
    assert drawn["strict"] is forms.BooleanField
    assert drawn["way"] is forms.TypedChoiceField
    assert drawn["scopes"] is LinesField
    assert drawn["headers"] is PairsField
    limit = fields[PREFIX + "limit"]
    assert (limit.widget.attrs["min"], limit.widget.attrs["max"]) == (1, 10)
    assert limit.required
    assert not fields[PREFIX + "burst"].required
    assert fields[PREFIX + "by"].initial == "ip"
    assert fields[PREFIX + "way"].choices == [("deny", "deny"), ("allow", "allow")]


def test_entries_become_the_values_the_file_would_have() -> None:
    config = config_of(
        limit="7",
        burst="",
        cookie="",
        scheme="",
        strict=None,
        way="allow",
        scopes="read\r\n\r\n  write ",
        headers="X-A: 1\nX-B: a: b",
        claims='role: admin\nlevel: 5\ntext: "5"\nteams: ["a", "b"]',
    )
    assert config == EveryTypeConfig(
        limit=7,
        names=("a",),
        scheme="",
        strict=False,
        way="allow",
        scopes=("read", "write"),
        headers={"X-A": "1", "X-B": "a: b"},
        claims={"role": "admin", "level": 5, "text": "5", "teams": ("a", "b")},
    )


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("limit", "0", 0),
        ("limit", "11", 11),
        ("ratio", "1.5", 1.5),
        ("burst", "0", 0),
        ("by", "", ""),
    ],
)
def test_what_the_file_refuses_is_refused_in_its_words(option: str, text: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        EveryTypeConfig.model_validate({"limit": 3, "names": ["a"], option: value})
    assert errors_of(**{option: text}) == {
        problem.path: [problem.message] for problem in problems_of(refused.value)
    }


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("limit", "many", "Enter a whole number."),
        ("limit", "", "This field is required."),
        ("names", " \n", "This field is required."),
        ("headers", "X-A", "Line 1: write it as name: value."),
        ("headers", "X-A: 1\nX-A: 2", "Line 2: X-A was given before; keep one."),
    ],
)
def test_text_that_cannot_be_read_is_told_once_at_its_field(
    option: str, text: str, message: str
) -> None:
    assert errors_of(**{option: text}) == {option: [message]}


def test_a_bad_entry_of_a_list_is_named() -> None:
    said = errors_of(claims='role: {"a": 1}')
    assert list(said) == ["claims"]
    assert said["claims"][0].startswith("role")


def test_an_option_of_an_unknown_type_has_no_form() -> None:
    class Odd(PolicyConfig):
        either: int | tuple[str, ...] = 0

    with pytest.raises(TypeError, match=r"Odd\.either: no form field"):
        option_field(Odd, "either")


def test_names_and_modes_are_drawn_from_the_policy_entry() -> None:
    assert [value for value, _ in option_field(PolicyEntry, "mode").choices] == [  # type: ignore[attr-defined]
        "enforce",
        "report",
        "off",
    ]


words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)


@given(st.lists(words.filter(lambda word: word != '""') | st.just("")))
def test_a_list_shown_as_lines_reads_back_the_same(values: list[str]) -> None:
    field = LinesField(required=False)
    assert field.clean(field.prepare_value(values)) == values
    assert not field.has_changed(values, field.prepare_value(values))


@given(st.lists(words.filter(lambda word: "," not in word)))
def test_words_on_one_line_read_back_the_same(values: list[str]) -> None:
    field = WordsField(required=False)
    assert field.clean(field.prepare_value(values)) == values


plain_names = st.text("abcXYZ-_0189", min_size=1)
plain_values = words | st.integers() | st.booleans() | st.lists(words)


@given(st.dictionaries(plain_names, plain_values))
def test_pairs_read_back_the_same(values: dict[str, Any]) -> None:
    field = PairsField(rich=True, required=False)
    assert field.clean(field.prepare_value(values)) == values


CANARY = "canary-7Hq2"


class Keyed(forms.Form):
    secret = SecretFormField(label="Secret")


@pytest.mark.parametrize("stored", ["", "k1:sealed-" + CANARY])
def test_A1_a_secret_input_is_empty_whatever_is_stored(stored: str) -> None:
    html = str(Keyed(initial={"secret": SealedValue(stored, "c")})["secret"])
    assert CANARY not in html
    assert 'type="password"' in html
    assert ("stored: yes" if stored else "stored: no") in html
    assert ("remove the stored secret" in html) is bool(stored)


def test_A1_a_form_with_errors_does_not_show_what_was_typed() -> None:
    form = Keyed(
        {"secret": CANARY, "secret_remove": "on"}, initial={"secret": SealedValue("x", "c")}
    )
    assert form.errors["secret"] == ["Either type a new secret or remove the stored one, not both."]
    assert CANARY not in str(form)


@pytest.mark.parametrize(
    ("entries", "cleaned", "omitted"),
    [
        ({"secret": ""}, None, True),
        ({"secret": CANARY}, Secret(CANARY), False),
        ({"secret": "", "secret_remove": "on"}, Secret(""), False),
    ],
)
def test_a_secret_is_kept_replaced_or_removed(
    entries: dict[str, str], cleaned: Secret | None, omitted: bool
) -> None:
    form = Keyed(entries)
    assert form.is_valid()
    assert form.cleaned_data["secret"] == cleaned
    widget = form.fields["secret"].widget
    assert widget.value_omitted_from_data(entries, {}, "secret") is omitted
    assert form.has_changed() is not omitted
    assert CANARY not in repr(form.cleaned_data)
