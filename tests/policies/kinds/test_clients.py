"""``clients``: the named ones, to the letter, and nobody else."""

from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import ANONYMOUS, PASS, Deny, Identity
from policies.kinds.clients import Clients, ClientsConfig


def policy(*allowed: str) -> Clients:
    return Clients(ClientsConfig(allow=allowed), None)  # type: ignore[arg-type]


def identity(client: str) -> Identity:
    return Identity(kind="jwt", subject="alice", client=client)


def test_a_named_client_passes(make_call: Any) -> None:
    call = make_call(identity=identity("partner-a"))
    assert policy("partner-b", "partner-a").check(call) is PASS
    assert policy("partner-a").describe(call) == "client 'partner-a' is allowed"
    assert policy().phase is Phase.AUTHORIZE


@pytest.mark.parametrize(
    "who",
    [
        None,
        ANONYMOUS,
        identity(""),
        identity("partner-b"),
        identity("Partner-A"),
        identity("partner-a "),
        identity("partner-ab"),
        identity("partner"),
    ],
)
def test_every_other_caller_is_refused(make_call: Any, who: Identity | None) -> None:
    refused = policy("partner-a").check(make_call(identity=who))
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("client_refused", 403)


def test_an_empty_list_allows_nobody_and_no_name_is_empty(make_call: Any) -> None:
    for who in (None, ANONYMOUS, identity("partner-a")):
        assert policy().check(make_call(identity=who)) is not PASS
    with pytest.raises(ValidationError):
        ClientsConfig(allow=("",))
