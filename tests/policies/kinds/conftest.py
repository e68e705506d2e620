"""What the tests of ``jwt`` share."""

from collections.abc import Callable
from typing import Any

import pytest

from policies.core.services import Services
from policies.core.values import Call, Deny, Identity
from tests.policies.kinds.jwt_route import Make, MakeCall, Route, identity


@pytest.fixture
def route(make_services: Callable[..., Services]) -> Make:
    def make(verdict: Identity | Deny | None = None, **options: Any) -> Route:
        return Route(make_services(), verdict or identity(), **options)

    return make


@pytest.fixture
def bearing(make_call: MakeCall) -> MakeCall:
    """A call with the given values of Authorization."""

    def make(*values: bytes, **request: Any) -> Call:
        return make_call(fields=[(b"authorization", value) for value in values], **request)

    return make
