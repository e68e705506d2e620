"""What every console page that changes the configuration has in common.

A change is saved inside a transaction, the whole configuration that results is judged as
``apply_config`` would judge a file, and a change that brings a new problem is rolled back and
explained on the page. One such change is made at a time.
"""

import re
from collections import Counter
from typing import Any, ClassVar, NamedTuple, Protocol, cast

from django.contrib import admin, messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from policies.core.config import Problem
from policies.fields import WRITE_ONLY, TextBlockField
from policies.forms import blame
from policies.models import Generation

REFUSED = "gatehouse.refused"  # what the trial of this request brought to light
BEFORE = "gatehouse.before"  # what was wrong before this request changed anything


class Located(Protocol):
    """A problem, and the stored object it is about (None: none), as ``apis.places`` found it."""

    @property
    def problem(self) -> Problem: ...
    @property
    def subject(self) -> models.Model | None: ...
    @property
    def rest(self) -> tuple[str | int, ...]: ...
    @property
    def where(self) -> str: ...


class ConfigurationRefused(Exception):
    """The configuration that would result has problems that this change brings."""

    def __init__(self, found: list[Located]) -> None:
        super().__init__("\n".join(map(told, found)))
        self.found = found
        self.mine: models.Model | None = None  # what the form of the page edits


def told(found: Located) -> str:
    """A problem as the console says it."""
    return f"{found.where}: {found.problem.message}" if found.where else found.problem.message


class Judgement(NamedTuple):
    """What is wrong with a configuration.

    Where single values are wrong (``whole`` is False), what concerns several of them was not
    looked at.
    """

    problems: list[Problem]
    whole: bool


class ConfigurationSite(Protocol):
    """The console's site: it knows the whole configuration."""

    def judgement(self) -> Judgement:
        """What ``apply_config`` would refuse in the configuration as the database holds it."""
        ...

    def locate(self, problem: Problem) -> Located:
        """The stored object that a problem is about."""
        ...


class Judging:
    """Mixed into an admin: judges the whole configuration after a change."""

    admin_site: admin.AdminSite

    def remember(self, request: HttpRequest) -> None:
        """Keep other changes out, and look at the configuration before anything is changed."""
        Generation.lock(Generation.CONFIGURATION)
        request.META[BEFORE] = self._site().judgement()

    def changed(self, request: HttpRequest) -> None:
        """Judge what results. Raises ``ConfigurationRefused``."""
        fresh = brought(request.META[BEFORE], self._site().judgement())
        if fresh:
            raise ConfigurationRefused([self._site().locate(problem) for problem in fresh])

    def _site(self) -> ConfigurationSite:
        return cast(ConfigurationSite, self.admin_site)


def brought(before: Judgement, after: Judgement) -> list[Problem]:
    """The problems of ``after`` that were not there before, wherever their place moved to.

    None where a configuration that could not be looked at whole has become one that can: what
    shows now was there.
    """
    if after.whole and not before.whole:
        return []
    known = Counter(map(_moved, before.problems))
    fresh = []
    for problem in after.problems:
        if known[_moved(problem)]:
            known[_moved(problem)] -= 1
        else:
            fresh.append(problem)
    return fresh


def _moved(problem: Problem) -> tuple[str, str]:
    return re.sub(r"\[\d+\]", "[]", problem.path), problem.message


class ConfigurationAdmin(Judging, admin.ModelAdmin):  # type: ignore[type-arg]
    """Base of the pages of everything that ``apply_config`` can set."""

    formfield_overrides: ClassVar["dict[type[models.Field[Any, Any]], dict[str, Any]]"] = {
        models.TextField: {"form_class": TextBlockField},
        **WRITE_ONLY,
    }
    save_on_top = False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Try the change; if it is refused, show the same form again with the reasons."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with transaction.atomic():
                self.remember(request)
                return super().changeform_view(request, object_id, form_url, extra_context)
        except ConfigurationRefused as refusal:
            request.META[REFUSED] = refusal
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        refusal = request.META.get(REFUSED)
        return form if refusal is None else _refused_form(form, refusal)

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """Rows that something else writes are not there before their owner is."""
        return [each for each in self.inlines if obj or not issubclass(each, ReadOnlyInline)]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step before the change is logged: everything of the page is saved now."""
        super().save_related(request, form, formsets, change)
        try:
            self.changed(request)
        except ConfigurationRefused as refusal:
            refusal.mine = form.instance
            raise

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        self.changed(request)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        super().delete_queryset(request, queryset)
        self.changed(request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        name = f"{self.opts.app_label}_{self.opts.model_name}_change"
        back = reverse(f"admin:{name}", args=[object_id])
        return self._guarded(
            request,
            back,
            lambda: super(ConfigurationAdmin, self).delete_view(request, object_id, extra_context),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Deleting many is judged as one change; other actions change no configuration."""
        if "delete_selected" not in request.POST.getlist("action"):
            return super().changelist_view(request, extra_context)
        return self._guarded(
            request,
            request.get_full_path(),
            lambda: super(ConfigurationAdmin, self).changelist_view(request, extra_context),
        )

    def _guarded(self, request: HttpRequest, back: str, act: Any) -> HttpResponse:
        """Act in a transaction; when refused, say why on the page ``back``."""
        try:
            with transaction.atomic():
                self.remember(request)
                return cast(HttpResponse, act())
        except ConfigurationRefused as refusal:
            for found in refusal.found:
                self.message_user(request, f"Not done. {told(found)}", messages.ERROR)
            return HttpResponseRedirect(back)


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows that something else writes; ``can_delete`` may still let an administrator remove one."""

    extra = 0
    max_num = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _refused_form(form: Any, refusal: ConfigurationRefused) -> Any:
    """The form's class, whose instances show why the change was refused."""

    def clean(self: Any) -> Any:
        cleaned = form.clean(self)
        for found in refusal.found:
            own = found.subject is not None and found.subject == refusal.mine
            if not (
                own
                and found.rest
                and blame(self, self.members(), found.rest, found.problem.message)
            ):
                self.add_error(None, told(found))
        return cleaned

    return type(form.__name__, (form,), {"clean": clean})
