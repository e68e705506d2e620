"""An identity policy that is required beside the others, and is no alternative to them."""

import asyncio
from collections.abc import Callable

import pytest

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.policy import BodyWatch, IdentityPolicy
from policies.core.values import ANONYMOUS, PASS, Answer, Call, Deny, Identity
from policies.kinds.public import Public


class Presented(IdentityPolicy):
    """Proves whoever stands in a header of its name."""

    kind = "presented"

    def __init__(self, header: bytes, issuer: str = "") -> None:
        self.header = header
        self.issuer = issuer
        self.consumes = frozenset({header})

    def credential(self, call: Call) -> bytes | Deny | None:
        return call.request.headers.get(self.header)

    async def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        name = credential.decode()
        return Identity(kind=self.header.decode(), subject=name, issuer=self.issuer, client=name)

    def missing(self) -> Deny | Identity:
        return Deny("credentials_missing", "none")


class Watching:
    def feed(self, chunk: bytes) -> Deny | None:
        return None

    def end(self) -> Deny | None:
        return Deny("digest_mismatch", "always")


class Signed(Presented):
    """The additional one; it watches the body too."""

    kind = "signed"
    additional = True

    def missing(self) -> Deny | Identity:
        return Deny("signature_missing", "none")

    def watch(self, call: Call) -> BodyWatch | None:
        return Watching()


def run(
    call: Call, *policies: IdentityPolicy, mode: str = "enforce"
) -> tuple[str, Identity | None]:
    """The code of the refusal, "" when it passed, and who was proven."""
    attached = [Attached(policy, policy.kind) for policy in policies[:-1]]
    attached.append(Attached(policies[-1], "last", mode))  # type: ignore[arg-type]
    decision = asyncio.run(compile_chain(attached, lambda *report: None).run(call))
    assert not isinstance(decision, Answer)
    return ("" if decision is PASS else decision.code), call.identity  # type: ignore[union-attr]


KEY, TOKEN, SIGNED = Presented(b"x-key"), Presented(b"x-token", "https://op"), Signed(b"x-signed")
PUBLIC = Public(PolicyConfig(), None)  # type: ignore[arg-type]
MakeCall = Callable[..., Call]


@pytest.mark.parametrize("order", [(TOKEN, SIGNED), (SIGNED, TOKEN)])
def test_both_are_required(make_call: MakeCall, order: tuple[IdentityPolicy, ...]) -> None:
    token, signed = (b"x-token", b"carol"), (b"x-signed", b"partner-a")
    assert run(make_call(fields=[token]), *order)[0] == "signature_missing"
    assert run(make_call(fields=[signed]), *order)[0] == "credentials_missing"
    code, identity = run(make_call(fields=[token, signed]), *order)
    assert code == ""
    assert identity is not None
    assert (identity.kind, identity.subject) == ("x-token", "carol")


def test_the_alternatives_stay_alternatives(make_call: MakeCall) -> None:
    signed = (b"x-signed", b"a")
    for fields in ([(b"x-token", b"a"), signed], [(b"x-key", b"a"), signed]):
        assert run(make_call(fields=fields), KEY, TOKEN, SIGNED)[0] == ""
    both = [(b"x-token", b"a"), (b"x-key", b"a"), signed]
    assert run(make_call(fields=both), KEY, TOKEN, SIGNED)[0] == "credentials_ambiguous"


def test_alone_it_proves_the_caller(make_call: MakeCall) -> None:
    for policies in ((SIGNED,), (PUBLIC, SIGNED)):
        assert run(make_call(), *policies)[0] == "signature_missing"
        code, identity = run(make_call(fields=[(b"x-signed", b"a")]), *policies)
        assert code == ""
        assert identity is not None
        assert identity.subject == "a"


def test_two_of_them_are_both_required(make_call: MakeCall) -> None:
    other = Signed(b"x-other")
    assert run(make_call(fields=[(b"x-signed", b"a")]), SIGNED, other)[0] == "signature_missing"
    both = [(b"x-signed", b"a"), (b"x-other", b"a")]
    assert run(make_call(fields=both), SIGNED, other)[0] == ""


def test_credentials_of_two_clients_are_refused(make_call: MakeCall) -> None:
    fields = [(b"x-key", b"partner-b"), (b"x-signed", b"partner-a")]
    assert run(make_call(fields=fields), KEY, SIGNED)[0] == "client_refused"
    fields = [(b"x-token", b"partner-b"), (b"x-signed", b"partner-a")]
    assert run(make_call(fields=fields), TOKEN, SIGNED)[0] == ""  # a provider's client is another


def test_in_report_mode_it_requires_and_proves_nothing(make_call: MakeCall) -> None:
    code, identity = run(make_call(), PUBLIC, SIGNED, mode="report")
    assert (code, identity) == ("", ANONYMOUS)


def test_it_watches_the_body(make_call: MakeCall) -> None:
    chain = compile_chain([Attached(KEY, "key"), Attached(SIGNED, "signed")], lambda *report: None)
    assert chain.reads_body
    (watch,) = chain.watch(make_call())
    deny = watch.end()
    assert deny is not None
    assert deny.code == "digest_mismatch"
