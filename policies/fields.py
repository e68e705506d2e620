"""Form fields of the console: lists as lines, mappings as ``name: value``, write-only secrets.

None of them renders a secret: ``SecretFormField`` never shows what is stored, nor what was
typed when a form comes back with errors.
"""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from policies.secrets import Secret, SecretField

EMPTY = '""'  # how an empty value is written where empty lines mean nothing


class LinesField(forms.CharField):
    """A list of text values, one a line. Empty lines mean nothing; ``""`` is the empty value."""

    widget: forms.Widget = forms.Textarea(attrs={"rows": 2, "cols": 60, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return "\n".join(str(item) or EMPTY for item in value)
        return value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(value)
        lines = (line.strip() for line in (value or "").splitlines())
        return ["" if line == EMPTY else line for line in lines if line]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial or []) != self.to_python(data))


class WordsField(LinesField):
    """A short list on one line: values with blanks or commas between them."""

    widget = forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return " ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(value)
        return (value or "").replace(",", " ").split()


class PairsField(forms.CharField):
    """A mapping, one ``name: value`` a line.

    With ``rich`` a value may be anything that JSON can say (``[a list]`` needs its quotes);
    what is not JSON is text.
    """

    widget = forms.Textarea(attrs={"rows": 2, "cols": 60, "spellcheck": "false"})

    def __init__(self, *, rich: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rich = rich

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name}: {self._shown(item)}" for name, item in value.items())
        return value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(value)
        pairs: dict[str, Any] = {}
        for number, line in enumerate((value or "").splitlines(), start=1):
            if not line.strip():
                continue
            name, colon, rest = line.partition(":")
            name = name.strip()
            if not colon or not name:
                raise ValidationError(f"Line {number}: write it as name: value.")
            if name in pairs:
                raise ValidationError(f"Line {number}: {name} was given before; keep one.")
            pairs[name] = self._read(rest.strip())
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial or {}) != self.to_python(data))
        except ValidationError:
            return True

    def _read(self, text: str) -> Any:
        if self.rich:
            try:
                return json.loads(text)
            except ValueError:
                return text
        return text

    def _shown(self, value: Any) -> str:
        if not isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        return value if self._read(value) == value else json.dumps(value, ensure_ascii=False)


class JsonListField(forms.JSONField):
    """A list of JSON objects; nothing entered is the empty list."""

    widget = forms.Textarea(attrs={"rows": 6, "cols": 80, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        return super().to_python(value) or []

    def prepare_value(self, value: Any) -> Any:
        return "" if value == [] else super().prepare_value(value)


class KeptEmpty(forms.CharField):
    """Text for which empty is a value of its own, because its default is not."""


def unix_lines(text: str) -> str:
    """Browsers send CRLF; files and stored texts have LF, and both must compare equal."""
    return text.replace("\r\n", "\n")


class TextBlock(forms.Textarea):
    """What may hold a text of megabytes: sent as multipart, where no byte is spelt as three."""

    needs_multipart_form = True


class TextBlockField(forms.CharField):
    """Text of several lines: a certificate, a document."""

    widget = TextBlock(attrs={"rows": 6, "cols": 80, "spellcheck": "false"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "strip": False})

    def to_python(self, value: Any) -> Any:
        """The text to the letter, so that what came from a file is still what the file holds."""
        text = unix_lines(super().to_python(value) or "")
        return text if text.strip() else ""


class SecretWidget(forms.MultiWidget):
    """An input that is always empty, and a box to remove what is stored."""

    template_name = "console/secret_widget.html"
    use_fieldset = False  # one input with a label, and a box with its own

    def __init__(self, multiline: bool = False, attrs: dict[str, Any] | None = None) -> None:
        entry: forms.Widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        if multiline:
            entry = forms.Textarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"})
        super().__init__({"": entry, "remove": forms.CheckboxInput()}, attrs)

    def decompress(self, value: Any) -> list[Any]:
        return [None, False]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        context["widget"] |= {"stored": bool(value), "source": getattr(value, "source", "")}
        return context

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0" if id_ else ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Nothing typed and nothing to remove: the form then leaves the model's value alone."""
        typed, remove = self.value_from_datadict(data, files, name)
        return not typed and not remove


class SecretFormField(forms.MultiValueField):
    """A write-only secret: cleans to a ``Secret`` to store (empty: remove), or None to keep."""

    widget: Any = SecretWidget

    def __init__(self, *, multiline: bool = False, max_length: int = 65536, **kwargs: Any) -> None:
        kwargs["required"] = False
        kwargs["widget"] = SecretWidget(multiline=multiline)
        kwargs.pop("initial", None)
        kwargs.setdefault("help_text", "Leave empty to keep the stored secret.")
        fields = (
            forms.CharField(max_length=max_length, required=False, strip=multiline),
            forms.BooleanField(required=False),
        )
        super().__init__(fields, require_all_fields=False, **kwargs)

    def compress(self, data_list: list[Any]) -> Secret | None:
        typed, remove = data_list or ("", False)
        if typed and remove:
            raise ValidationError("Either type a new secret or remove the stored one, not both.")
        if typed:
            return Secret(unix_lines(typed))
        return Secret("") if remove else None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What a form with errors shows again: whether one is stored, never what was typed."""
        return initial

    def has_changed(self, initial: Any, data: Any) -> bool:
        return any(data or ())


# For ``formfield_overrides``: no secret of a model can meet another form field.
WRITE_ONLY: "dict[type[models.Field[Any, Any]], dict[str, Any]]" = {
    SecretField: {"form_class": SecretFormField, "widget": None}
}
