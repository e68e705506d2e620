"""One operation of a document: what it takes, and what it answers."""

from dataclasses import dataclass, field

from policies.core.values import Headers, Request
from policies.http.media_types import MediaType
from policies.openapi.contents import WHERE, Content
from policies.openapi.faults import Fault
from policies.openapi.media import Declared, accepts
from policies.openapi.parameters import (
    Parameter,
    judge_cookies,
    judge_headers,
    judge_path,
    judge_query,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the document says of the answers of one status."""

    headers: tuple[Parameter, ...] = ()
    contents: Declared[Content] | None = None  # None: it has no content, or nothing is said of it


@dataclass(frozen=True, slots=True)
class Operation:
    """``known_query`` are names that stand for credentials; ``contents`` is None where the
    operation takes no content; ``offered`` are the types of its answers, empty where the
    document names none."""

    template: str
    path: tuple[Parameter, ...] = ()
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    cookies: tuple[Parameter, ...] = ()
    known_query: frozenset[str] = frozenset()
    contents: Declared[Content] | None = None
    content_required: bool = False
    offered: tuple[str, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict)

    def head_faults(
        self, request: Request, segments: dict[str, bytes], *, refuse_unknown: bool
    ) -> list[Fault]:
        """Everything that is wrong with path, query, headers and cookies, and with whether there
        is content."""
        found = judge_path(self.path, segments) if self.path else []
        if request.query or self.query:
            found += judge_query(
                self.query, request.query or b"", self.known_query, refuse_unknown=refuse_unknown
            )
        if self.headers:
            found += judge_headers(self.headers, request.headers)
        if self.cookies:
            found += judge_cookies(self.cookies, request.headers)
        if request.body_length == 0:
            if self.content_required:
                found.append(Fault(WHERE, "", "is missing"))
        elif self.contents is None and request.body_length is not None:
            found.append(Fault(WHERE, "", "this operation takes no content"))
        return found

    def content_of(self, headers: Headers) -> tuple[Content, MediaType] | None:
        """The declared content that a request's lines say it carries; None for none of them."""
        return self.contents.of(headers) if self.contents is not None else None

    def is_acceptable(self, headers: Headers) -> bool:
        """Whether the client takes an answer that the document describes."""
        if not self.offered or b"accept" not in headers:
            return True
        return accepts(b",".join(headers.all(b"accept")), self.offered)

    def answer_of(self, status: int) -> Answer | None:
        """What is said of answers with this status; None where nothing is."""
        for key in (str(status), f"{status // 100}XX", "default"):
            answer = self.answers.get(key)
            if answer is not None:
                return answer
        return None
