"""What a provider check finds: how bad it is, what it is, and what to do about it. Pure.

Findings are for operators. They hold issuers, algorithms, key ids and audiences, in characters
that a terminal and a page can show, and never a token, a signature or a secret.
"""

import json
from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

_SHOWN = 200


class Severity(Enum):
    """``FAULT``: tokens are refused, or something that is configured does not work."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Finding(NamedTuple):
    """One thing that was looked at. ``advice`` is empty where there is nothing to do."""

    severity: Severity
    subject: str  # discovery, keys, clock, client, token
    message: str
    advice: str = ""


def ok(subject: str, message: str) -> Finding:
    return Finding(Severity.OK, subject, message)


def warning(subject: str, message: str, advice: str) -> Finding:
    return Finding(Severity.WARNING, subject, message, advice)


def fault(subject: str, message: str, advice: str) -> Finding:
    return Finding(Severity.FAULT, subject, message, advice)


def shown(value: Any) -> str:
    """A value that somebody else wrote, in printable ASCII and bounded."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def listed(names: Iterable[str]) -> str:
    """Some names in alphabetical order; "none" for none of them."""
    return ", ".join(shown(name).strip('"') for name in sorted(names)) or "none"
