"""``injection``: refuses requests that carry attacks on what stands behind the API.

Defence in depth: it finds the known ways of writing an attack, not every attack, and it can take
an honest value for one. Upstreams must bind parameters and escape output themselves; a route
should run it in report mode first. It alters nothing: what passes goes upstream as it came.

The values of the request (``places``, ``bodies``) are decoded (``decode``) and scored by an
engine (``engine``), by the tables of ``signs``.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import ClassVar, Literal

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny
from policies.kinds.injection.bodies import Unreadable, is_read, read
from policies.kinds.injection.engine import Engine, Finding, TooDense, Value, scoring
from policies.kinds.injection.places import head_values
from policies.kinds.injection.signs import Class

logger = logging.getLogger(__name__)

Place = Literal["path", "query", "headers", "body"]

_LONG = 32 * 1024  # bytes of a body that are inspected in the event loop; more go to a thread
_MOST_ERRORS = 10
_HARMLESS = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}\Z")


class InjectionConfig(PolicyConfig):
    """Options of ``injection``."""

    classes: tuple[Class, ...] = Field(
        default=("sqli", "xss", "traversal", "command", "crlf", "nosql", "xxe"),
        min_length=1,
        title="Classes",
        description=(
            "What is looked for: sqli (SQL), xss (script in pages), traversal (paths that "
            "climb), command (shell, templates, code), crlf (split lines, NUL), nosql (query "
            "operators), xxe (external entities)."
        ),
    )
    in_: tuple[Place, ...] = Field(
        default=("path", "query", "headers", "body"),
        alias="in",
        min_length=1,
        title="Places",
        description="Where it is looked for: path, query, headers, body.",
    )


class Injection(Policy):
    """Runs in VALIDATE: it is the dearest look at the content, made for admitted callers only."""

    kind = "injection"
    phase = Phase.VALIDATE
    Config: ClassVar[type[PolicyConfig]] = InjectionConfig
    summary = "Refuses requests that look like injection attacks."

    def __init__(self, config: InjectionConfig, services: Services) -> None:
        self._places = frozenset(config.in_)
        classes = frozenset(config.classes)
        self._engine: Engine = scoring(classes)
        self._documents: Engine = scoring(classes & {"xxe"})

    def check(self, call: Call) -> Decision:
        values = head_values(call.request, self._places)
        try:
            return _decided(call, self._engine.inspect(values, lines=True))
        except TooDense as reason:
            return _refused(call, [(values[0].place, "", str(reason))])

    def holds_body(self, call: Call) -> bool:
        return "body" in self._places and is_read(call.request.headers)

    def check_body(self, call: Call, content: bytes) -> Decision | Awaitable[Decision]:
        if len(content) > _LONG:
            return asyncio.to_thread(self._inspect, call, content)
        return self._inspect(call, content)

    def describe(self, call: Call) -> str:
        return f"nothing found in {', '.join(sorted(self._places))}"

    def _inspect(self, call: Call, content: bytes) -> Decision:
        try:
            body = read(call.request.headers, content)
            findings = self._engine.inspect(body.values, lines=False)
        except (Unreadable, TooDense) as reason:
            return _refused(call, [("body", "", str(reason))])
        if body.document:
            findings += self._documents.inspect([Value("body", "", body.document)], lines=False)
        return _decided(call, findings)


def _decided(call: Call, findings: list[Finding]) -> Decision:
    if not findings:
        return PASS
    return _refused(
        call,
        [(f.value.place, _sayable(f.value.name), f"{f.kind}: {f.explanation}") for f in findings],
    )


def _sayable(name: str) -> str:
    """``name`` if repeating it does no harm, else nothing."""
    return name if _HARMLESS.match(name) else ""


def _refused(call: Call, reasons: list[tuple[str, str, str]]) -> Deny:
    """The refusal. What was found is also logged, so that report mode says it to the operator."""
    place, name, message = reasons[0]
    where = f"{place} {name}".rstrip()
    logger.info("request %s on %r: %s: %s", call.request.id, call.route, where, message)
    return Deny(
        "injection_detected",
        f"The request looks like an attack. In {where}: {message}.",
        errors=tuple({"in": i, "name": n, "message": m} for i, n, m in reasons[:_MOST_ERRORS]),
    )
