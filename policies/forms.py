"""Forms over declared options: those of policy kinds, and model forms of the console.

Both turn what was typed into the pydantic class that also judges the configuration file, and
show its problems at their fields. There is no validation here.
"""

from typing import Any, ClassVar

from django import forms
from pydantic import ValidationError

from policies.core.config import Options, PolicyConfig, message_of, option_names
from policies.core.policy import Policy
from policies.drawing import option_field
from policies.fields import KeptEmpty, SecretFormField
from policies.secrets import Secret

PREFIX = "config_"  # of a policy's options, so that none meets a field of the policy itself


Members = dict[tuple[str, ...], str]  # where an option stands -> the field that edits it


def entered(form: forms.BaseForm, members: Members) -> dict[str, Any]:
    """The options as the configuration file would have them.

    Left out: what was left empty, and what could not be read (its field was blamed already).
    """
    options: dict[str, Any] = {}
    for place, name in members.items():
        if name not in form.fields or name not in form.cleaned_data:
            continue
        value = form.cleaned_data[name]
        if isinstance(form.fields[name], SecretFormField):
            value = _secret(value, stored=bool(form.initial.get(name)))
        if value in (None, "") and not isinstance(form.fields[name], KeptEmpty):
            continue
        part = options
        for step in place[:-1]:
            part = part.setdefault(step, {})
        part[place[-1]] = value
    return options


def _secret(value: Secret | None, stored: bool) -> Any:
    """A secret as the file would have it: typed anew, kept, or (removed, never there) none."""
    if value is None:
        return {"keep": True} if stored else None
    return value.reveal()


def judged(
    form: forms.BaseForm,
    model: type[Options],
    options: dict[str, Any],
    members: Members,
    elsewhere: frozenset[str] = frozenset(),
) -> Options | None:
    """Build ``model``; None when it refused, with its problems on the form.

    ``elsewhere`` are options that another part of the page edits and judges.
    """
    try:
        return model.model_validate(options)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            place = tuple(item["loc"])
            if place[:1] and place[0] in elsewhere:
                continue
            if not blame(form, members, place, message_of(item)):
                form.add_error(None, message_of(item))
        return None


def blame(form: forms.BaseForm, members: Members, place: tuple[Any, ...], message: str) -> bool:
    """Show a problem at the field that edits its place; False where the form has none.

    A field shows its first problem only.
    """
    name, rest = _field_at(form, members, place)
    if name is None:
        return False
    if not form.has_error(name):
        where = _entry(rest)
        form.add_error(name, f"{where}: {message}" if where else message)
    return True


def _entry(rest: tuple[Any, ...]) -> str:
    """Which entry of a field is meant, counted as people count lines."""
    return ", ".join(f"entry {part + 1}" if isinstance(part, int) else str(part) for part in rest)


def _field_at(
    form: forms.BaseForm, members: Members, place: tuple[Any, ...]
) -> tuple[str | None, tuple[Any, ...]]:
    """The field that edits the option at ``place``, and what of the place lies inside it."""
    for length in range(len(place), 0, -1):
        name = members.get(place[:length])
        if name in form.fields:
            return name, place[length:]
    return None, ()


class PolicyOptionsForm(forms.Form):
    """The options of one kind. After validation ``config`` holds the kind's ``Config``."""

    kind: ClassVar[type[Policy]]
    members: ClassVar[Members]
    config: PolicyConfig | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        options = entered(self, self.members)
        self.config = judged(self, self.kind.Config, options, self.members)  # type: ignore[assignment]
        return cleaned


def policy_form(kind: type[Policy]) -> type[PolicyOptionsForm]:
    """The form of a kind's options, each named ``config_<option>``.

    Raises ``TypeError`` for an option of a type that has no form field.
    """
    members = {(option,): PREFIX + option for option in option_names(kind.Config)}
    fields = {name: option_field(kind.Config, option) for (option,), name in members.items()}
    return type(
        f"{kind.__name__}OptionsForm",
        (PolicyOptionsForm,),
        {"kind": kind, "members": members, **fields},
    )


def part_field(model: type[Options], option: str) -> forms.Field:
    """The field of an option that stands in an optional part: it may be left empty."""
    field = option_field(model, option)
    field.required, field.initial = False, None
    return field


class ConfigurationForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model form whose fields are drawn from the options that describe the model.

    ``options`` is the pydantic class; ``renamed`` says which options have a field of another
    name; ``parts`` are nested options whose members have fields of their own: ``tls.ca`` is
    edited in ``tls_ca``. A part of which nothing is entered is left out. ``elsewhere`` are
    options that other parts of the page edit.
    """

    options: ClassVar[type[Options]]
    renamed: ClassVar[dict[str, str]] = {}
    parts: ClassVar[dict[str, type[Options]]] = {}
    elsewhere: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = kwargs.get("initial") or {}
        for place, name in self.members().items():
            if name not in self.fields:
                continue
            if name not in self.declared_fields:
                self.fields[name] = self.drawn(place)
            if self.instance._state.adding and name not in given:
                self.initial[name] = self.fields[name].initial

    @classmethod
    def members(cls) -> Members:
        own: Members = {
            (option,): cls.renamed.get(option, option)
            for option in cls.options.model_fields
            if option not in cls.parts and option not in cls.elsewhere
        }
        nested: Members = {
            (part, option): f"{part}_{option}"
            for part, model in cls.parts.items()
            for option in model.model_fields
        }
        return own | nested

    @classmethod
    def drawn(cls, place: tuple[str, ...]) -> forms.Field:
        """The field of the option at ``place``."""
        if len(place) == 1:
            return option_field(cls.options, place[0])
        return part_field(cls.parts[place[0]], place[1])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        members = self.members()
        judged(self, self.options, entered(self, members), members, self.elsewhere)
        return cleaned
