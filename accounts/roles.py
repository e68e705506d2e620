"""What a person may do in the console, by what the provider says of them.

Texts are compared to the letter; what is missing grants nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User

from accounts.models import ConsoleRole


@dataclass(frozen=True, slots=True)
class Granted:
    """What somebody gets: these groups and no others, and whether they may do everything."""

    groups: tuple[Group, ...]
    administrator: bool


def meets(required: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Whether claims say what they must: each the required value, or one of a required list."""
    return all(
        not _values(claims.get(name)).isdisjoint(_values(wanted))
        for name, wanted in required.items()
    )


def granted(roles: Iterable[ConsoleRole], claims: Mapping[str, Any], claim: str) -> Granted | None:
    """What the roles grant that a claim names; None when it names none of them."""
    named = _values(claims.get(claim))
    mine = [role for role in roles if (str, role.value) in named]
    if not mine:
        return None
    groups = {role.group.pk: role.group for role in mine if role.group is not None}
    return Granted(tuple(groups.values()), any(role.administrator for role in mine))


def assign(user: User, granted: Granted | None) -> None:
    """Give an account exactly this; None takes everything from it."""
    user.groups.set(granted.groups if granted else ())
    user.user_permissions.clear()
    user.is_staff = granted is not None
    user.is_superuser = granted is not None and granted.administrator
    user.save(update_fields=["is_staff", "is_superuser"])


def _values(claim: Any) -> set[tuple[type, Any]]:
    """The values of a claim with their types: true is not 1, and no text is a number."""
    values = claim if isinstance(claim, list) else [claim]
    return {(type(value), value) for value in values if isinstance(value, str | int | float)}
