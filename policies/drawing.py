"""Form fields drawn from pydantic options: title, help, bounds and default are declared once.

The JSON Schema of an ``Options`` class says what each option is; a table of small functions
turns one option into one form field. Fields only turn text into values: bounds are shown to
the browser and judged by the ``Options`` class itself, so that the console refuses what the
configuration file refuses, in the same words.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from django import forms

from policies.core.config import Options
from policies.fields import (
    JsonListField,
    KeptEmpty,
    LinesField,
    PairsField,
    SecretFormField,
    TextBlockField,
)

Schema = dict[str, Any]


def option_field(model: type[Options], name: str) -> forms.Field:
    """The form field of one option. Raises ``TypeError`` for a type that has no form field."""
    schema = _schema(model)
    option = schema["properties"][name]
    kind, shape, nullable = _resolved(option, schema.get("$defs", {}))
    draw = _DRAW.get(kind)
    if draw is None:
        raise TypeError(f"{model.__name__}.{name}: no form field shows {kind or 'this type'}")
    return draw(
        shape,
        nullable=nullable,
        required=name in schema.get("required", ()),
        label=option.get("title", name),
        help_text=option.get("description", ""),
        initial=option.get("default"),
    )


@cache
def _schema(model: type[Options]) -> Schema:
    return model.model_json_schema(mode="validation")


def _resolved(option: Schema, definitions: Schema) -> tuple[str, Schema, bool]:
    """What draws the option, its shape without references and ``null``, whether null is allowed."""
    if "anyOf" in option:
        rest = [part for part in option["anyOf"] if part.get("type") != "null"]
        nullable = len(rest) < len(option["anyOf"])
        kind, shape, _ = _resolved(rest[0], definitions) if len(rest) == 1 else ("", {}, False)
        return kind, shape, nullable
    if "$ref" in option:
        name = option["$ref"].rpartition("/")[2]
        kind, shape, nullable = _resolved(definitions[name], definitions)
        return name if kind == "object" else kind, shape, nullable
    if "const" in option:
        return "choice", {"enum": [option["const"]]}, False
    if option.get("type") == "array":
        return _list_kind(option, definitions), option, False
    return ("choice" if "enum" in option else str(option.get("type", ""))), option, False


def _list_kind(option: Schema, definitions: Schema) -> str:
    items = _resolved(option["items"], definitions)[0] if "items" in option else ""
    return {"choice": "choices", "object": "json"}.get(items, "array")


def _text(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    field = forms.CharField if nullable or not kwargs["initial"] else KeptEmpty
    if shape.get("format") == "date-time":
        return forms.CharField(
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}), **kwargs
        )
    attrs = {"maxlength": shape["maxLength"]} if "maxLength" in shape else {}
    return field(widget=forms.TextInput(attrs={"class": "vTextField", **attrs}), **kwargs)


def _number(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    whole = shape["type"] == "integer"
    attrs = {"step": 1 if whole else "any"}
    attrs |= {"min": shape["minimum"]} if "minimum" in shape else {}
    attrs |= {"max": shape["maximum"]} if "maximum" in shape else {}
    kwargs["required"] = not nullable
    field = forms.IntegerField if whole else forms.FloatField
    return field(widget=forms.NumberInput(attrs=attrs), **kwargs)


def _flag(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    kwargs["required"] = False
    return forms.BooleanField(**kwargs)


def _choice(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    values = shape["enum"]
    choices = [(value, str(value)) for value in values]
    if nullable:
        choices.insert(0, ("", "---------"))
    return forms.TypedChoiceField(
        choices=choices,
        coerce=lambda text: next(value for value in values if str(value) == text),
        empty_value=None,
        **{**kwargs, "required": not nullable},
    )


def _choices(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    values = shape["items"]["enum"]
    return forms.MultipleChoiceField(
        choices=[(value, value) for value in values],
        widget=forms.CheckboxSelectMultiple,
        **{**kwargs, "required": False},
    )


def _lines(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    hinted = _hinted(kwargs, "One per line.")
    return LinesField(**{**hinted, "required": bool(shape.get("minItems"))})


def _pairs(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    patterns = shape.get("patternProperties", {})
    values = next(iter(patterns.values()), shape.get("additionalProperties"))
    rich = not (isinstance(values, dict) and values.get("type") == "string")
    hint = 'One per line, as "name: value"' + ("; a list as JSON." if rich else ".")
    return PairsField(rich=rich, **_hinted(kwargs, hint))


def _json(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    return JsonListField(**_hinted(kwargs, "A list in JSON."))


def _block(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    return TextBlockField(**{**kwargs, "required": False, "initial": ""})


def _secret(shape: Schema, *, nullable: bool, **kwargs: Any) -> forms.Field:
    return SecretFormField(**_hinted(kwargs, "Leave empty to keep the stored one."))


def _hinted(kwargs: dict[str, Any], hint: str) -> dict[str, Any]:
    """Field arguments with a hint on how to write the value; empty is judged by the option."""
    return {**kwargs, "required": False, "help_text": f"{kwargs['help_text']} {hint}".strip()}


_DRAW: dict[str, Callable[..., forms.Field]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": _flag,
    "choice": _choice,
    "choices": _choices,
    "array": _lines,
    "object": _pairs,
    "json": _json,
    "FileText": _block,
    "SecretText": _secret,
}
