"""``openapi``: a call must be one that the API's OpenAPI document describes.

Path, method, parameters and content are judged by the document, and so are answers where that is
wanted. Everything that is wrong with a request is listed with its place and without its value; of
an answer only the log says more than that it is invalid. The content goes upstream byte for byte
as it was judged.
"""

import logging
from typing import ClassVar, Literal

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny, Headers, Request
from policies.core.values import Field as HeaderField
from policies.http.media_types import MediaType
from policies.openapi.coding import undone
from policies.openapi.compiled import Compiled, Found, NotFound, compile_document
from policies.openapi.contents import WHERE, Content
from policies.openapi.faults import MAX_FAULTS, Fault
from policies.openapi.media import Declared
from policies.openapi.parameters import judge_headers
from policies.openapi.texts import Malformed

logger = logging.getLogger(__name__)

MAX_ANSWER = 8 * 1024 * 1024  # bytes of an answer that are held to be judged

_UNKNOWN = Deny("route_not_found", "The API's document does not describe this path.")
_ENCODED = Deny(
    "media_type_unsupported",
    "Send the content as it is, without a content coding.",
    fields=((b"accept-encoding", b"identity"),),
)
_ANSWER = Deny("upstream_invalid", "The API server gave an answer that its API does not describe.")


class OpenApiConfig(PolicyConfig):
    """Options of ``openapi``."""

    unknown_query: Literal["refuse", "ignore"] = Field(
        default="refuse",
        title="Undeclared query parameters",
        description="refuse: a call with a query parameter that its operation does not declare is "
        "refused. ignore: it is passed on.",
    )
    unknown_body: Literal["spec", "refuse"] = Field(
        default="spec",
        title="Undeclared members of bodies",
        description="spec: the schemas decide (additionalProperties). refuse: an object whose "
        "schema says nothing of further members takes none but those that it declares.",
    )
    responses: Literal["off", "report", "enforce"] = Field(
        default="off",
        title="Answers",
        description="Whether answers are judged too. report: those that the document does not "
        "describe are counted and logged. enforce: they are refused (upstream_invalid), as are "
        f"answers of more than {MAX_ANSWER} bytes that would have to be judged.",
    )


class OpenApi(Policy):
    """Runs in VALIDATE. Made for each API, with its document."""

    kind = "openapi"
    phase = Phase.VALIDATE
    of_api = True
    Config: ClassVar[type[PolicyConfig]] = OpenApiConfig
    summary = "Requires calls, and on request answers, to be as the API's OpenAPI document says."

    def __init__(self, config: OpenApiConfig, services: Services) -> None:
        """Raises ``ValueError`` when there is no document, or when it cannot be compiled."""
        api = services.api
        if api is None or api.openapi is None:
            raise ValueError("the API has no OpenAPI document: add one to it")
        self._document: Compiled = compile_document(
            api.openapi, closed=config.unknown_body == "refuse", answers=config.responses != "off"
        )
        self._base = len(api.base_path) if api.base_path != "/" else 0
        self._refuse_unknown = config.unknown_query == "refuse"
        self.answer_mode = config.responses

    def check(self, call: Call) -> Decision:
        request = call.request
        found = self._find(request)
        if isinstance(found, NotFound):
            return _not_described(found)
        operation = found.operation
        if request.body_length != 0 and operation.contents is not None:
            if not _is_plain(request.headers):
                return _ENCODED
            if operation.content_of(request.headers) is None:
                return _unsupported(operation.contents.essences)
        if not operation.is_acceptable(request.headers):
            return _not_acceptable(operation.offered)
        faults = operation.head_faults(request, found.segments, refuse_unknown=self._refuse_unknown)
        return _invalid(faults) if faults else PASS

    def holds_body(self, call: Call) -> bool:
        found = self._find(call.request)
        if isinstance(found, NotFound):
            return False  # in report mode: there is nothing to judge it by
        if found.operation.contents is None:
            return call.request.body_length is None  # it may turn out to be empty
        content = found.operation.content_of(call.request.headers)
        return content is not None and content[0].held

    def check_body(self, call: Call, content: bytes) -> Decision:
        found = self._find(call.request)
        if isinstance(found, NotFound):
            return PASS
        operation = found.operation
        declared = operation.content_of(call.request.headers)
        faults: list[Fault] = []
        if not content:
            if operation.content_required:
                faults = [Fault(WHERE, "", "is missing")]
        elif declared is None:
            faults = [Fault(WHERE, "", "this operation takes no content")]
        else:
            faults = declared[0].faults(content, declared[1])
        return _invalid(faults) if faults else PASS

    def holds_answer(self, call: Call, status: int, fields: list[HeaderField]) -> int:
        found = self._find(call.request)
        if isinstance(found, NotFound) or status == 304:
            return 0
        content, faults = _judged_head(found, call.request, status, fields)
        if faults:
            _log(call, status, faults)
            return 1  # for the refusal: nothing of the content is needed
        return MAX_ANSWER if content is not None else 0

    def check_answer(
        self, call: Call, status: int, fields: list[HeaderField], content: bytes
    ) -> Deny | None:
        found = self._find(call.request)
        if isinstance(found, NotFound):
            return None
        declared, faults = _judged_head(found, call.request, status, fields)
        if declared is None:
            return _ANSWER if faults else None
        codings = Headers(fields).all(b"content-encoding")
        try:
            faults = declared[0].faults(undone(content, codings, MAX_ANSWER), declared[1])
        except Malformed as error:
            faults = [Fault(WHERE, "", str(error))]
        if faults:
            _log(call, status, faults)
        return _ANSWER if faults else None

    def describe(self, call: Call) -> str:
        found = self._find(call.request)
        if isinstance(found, NotFound):
            return self.summary
        return f"{call.request.method} {found.operation.template} of the API's document"

    def _find(self, request: Request) -> Found | NotFound:
        return self._document.find(request.method, request.path[self._base :] or "/")


def _judged_head(
    found: Found, request: Request, status: int, fields: list[HeaderField]
) -> tuple[tuple[Content, MediaType] | None, list[Fault]]:
    """The content to look into, and what is wrong with the rest of an answer."""
    answer = found.operation.answer_of(status)
    if answer is None:
        return None, [Fault("status", "", "is not declared")]
    headers = Headers(fields)
    faults = judge_headers(answer.headers, headers) if answer.headers else []
    if faults or answer.contents is None or request.method == "HEAD" or status in (204, 205):
        return None, faults
    return _declared_content(answer.contents, headers)


def _declared_content(
    contents: Declared[Content], headers: Headers
) -> tuple[tuple[Content, MediaType] | None, list[Fault]]:
    declared = contents.of(headers)
    if declared is None:
        return None, [Fault("header", "content-type", "is not declared")]
    return (declared if declared[0].held else None), []


def _is_plain(headers: Headers) -> bool:
    if b"content-encoding" not in headers:
        return True
    codings = headers.all(b"content-encoding")
    return all(coding.strip().lower() in (b"", b"identity") for coding in codings)


def _not_described(found: NotFound) -> Deny:
    if not found.allow:
        return _UNKNOWN
    allow = ", ".join(found.allow).encode()
    return Deny(
        "method_not_allowed",
        "The API's document describes other methods of this path.",
        fields=((b"allow", allow),),
    )


def _invalid(faults: list[Fault]) -> Deny:
    return Deny(
        "request_invalid",
        "The request is not as the API's document describes it; errors says where.",
        errors=tuple(fault.error() for fault in faults[:MAX_FAULTS]),
    )


def _unsupported(essences: tuple[str, ...]) -> Deny:
    types = ", ".join(essences)
    return Deny("media_type_unsupported", f"Say what the content is, one of: {types}.")


def _not_acceptable(offered: tuple[str, ...]) -> Deny:
    return Deny("not_acceptable", f"This operation answers in: {', '.join(offered)}.")


def _log(call: Call, status: int, faults: list[Fault]) -> None:
    """Why an answer is invalid, without anything of it: the operator's to read."""
    places = "; ".join(f"{f.where} {f.name} {f.message}" for f in faults[:10])
    logger.info("request %s on %r: answer %d: %s", call.request.id, call.route, status, places)
