"""``cors``: which web pages may call the route from a browser (Fetch Standard, CORS protocol).

1. A preflight is answered here, before anyone has to prove who they are: browsers send it
   without credentials, and the upstream never sees it.
2. An origin is allowed when it equals one of the list character by character. ``*`` stands for
   every origin, and never together with credentials.
3. What the upstream says about CORS is replaced, so that there is one opinion.
4. Who is not allowed is not refused but not confirmed either: the browser keeps the answer from
   the page. CORS protects users of browsers; it is no access control.
"""

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Answer, Call, Decision
from policies.core.values import Field as HeaderField
from policies.http.fields import response_name

ANY = "*"
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]{0,31})://(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:\d+)?"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_VARY: HeaderField = (b"vary", b"Origin")
_ANSWER = Answer(204, code="preflight")


def _origin(text: str) -> str:
    if text == ANY:
        return text
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError(
            "give an origin as browsers write it: https://app.example.com or "
            "http://localhost:3000, in lower case, without path or trailing slash; or * for all"
        )
    if found[2] and found[2] == _DEFAULT_PORTS.get(found[1]):
        raise ValueError(f"leave out {found[2]}: browsers do not write a scheme's default port")
    return text


def _name(text: str) -> str:
    response_name(text)
    return text


Origin = Annotated[str, AfterValidator(_origin)]
Method = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,32}$")]
Name = Annotated[str, AfterValidator(_name)]


class CorsConfig(PolicyConfig):
    """Options of ``cors``."""

    origins: tuple[Origin, ...] = Field(
        min_length=1,
        max_length=1000,
        title="Origins",
        description="Origins whose pages may call, e.g. https://app.example.com; * for all.",
    )
    methods: tuple[Method, ...] = Field(
        default=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        max_length=32,
        title="Methods",
        description="Methods that pages may use.",
    )
    headers: tuple[Name, ...] = Field(
        default=("Authorization", "Content-Type"),
        max_length=100,
        title="Headers",
        description="Request headers that pages may set; * for all but Authorization.",
    )
    expose_headers: tuple[Name, ...] = Field(
        default=(),
        max_length=100,
        title="Exposed headers",
        description="Response headers that pages may read besides the usual ones.",
    )
    credentials: bool = Field(
        default=False,
        title="Credentials",
        description="Pages may send cookies and client certificates. Not with *.",
    )
    max_age: int = Field(
        default=600,
        ge=0,
        le=86400,
        title="Maximum age",
        description="Seconds for which a browser may remember the answer to a preflight.",
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.credentials and ANY in (*self.origins, *self.headers, *self.expose_headers):
            raise ValueError("with credentials every origin and header is named: * is refused")
        return self


class Cors(Policy):
    """Runs in ADMIT: a preflight carries no credentials that could be asked for."""

    kind = "cors"
    phase = Phase.ADMIT
    answers_preflight = True
    Config: ClassVar[type[PolicyConfig]] = CorsConfig
    summary = "Lets web pages of other origins call the route."

    def __init__(self, config: CorsConfig, services: Services) -> None:
        self._any = ANY in config.origins
        self._origins = frozenset(origin.encode() for origin in config.origins)
        both: list[HeaderField] = []
        if config.credentials:
            both.append((b"access-control-allow-credentials", b"true"))
        self._lines = list(both)
        if config.expose_headers:
            self._lines.append((b"access-control-expose-headers", _list(config.expose_headers)))
        self._preflight_lines = both
        if config.methods:
            both.append((b"access-control-allow-methods", _list(config.methods)))
        if config.headers:
            both.append((b"access-control-allow-headers", _list(config.headers)))
        both.append((b"access-control-max-age", b"%d" % config.max_age))

    def check(self, call: Call) -> Decision:
        return _ANSWER if _is_preflight(call) else PASS

    def edit(self, call: Call, status: int, fields: list[HeaderField]) -> list[HeaderField]:
        fields = [field for field in fields if not field[0].startswith(b"access-control-")]
        origin = call.request.headers.get(b"origin")
        if self._any:
            if origin is None:
                return fields
            fields.append((b"access-control-allow-origin", b"*"))
        else:
            fields.append(_VARY)
            if origin not in self._origins:
                return fields
            fields.append((b"access-control-allow-origin", origin))
        fields += self._preflight_lines if _is_preflight(call) else self._lines
        return fields

    def describe(self, call: Call) -> str:
        origin = call.request.headers.get(b"origin")
        if origin is None:
            return "the request is not of a web page of another origin"
        allowed = self._any or origin in self._origins
        return "pages of this origin may call" if allowed else "pages of this origin may not call"


def _is_preflight(call: Call) -> bool:
    """Fetch Standard, CORS-preflight request."""
    headers = call.request.headers
    return (
        call.request.method == "OPTIONS"
        and b"origin" in headers
        and b"access-control-request-method" in headers
    )


def _list(values: tuple[str, ...]) -> bytes:
    return ", ".join(values).encode()
