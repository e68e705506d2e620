"""``public``: nobody needs a credential, and nobody is more than anonymous."""

import asyncio
from typing import Any

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.values import ANONYMOUS, PASS
from policies.kinds.public import Public


def test_every_caller_is_anonymous_whatever_it_presents(make_call: Any, make_services: Any) -> None:
    policy = Public(PolicyConfig(), make_services())
    chain = compile_chain([Attached(policy, "public")], lambda *_: None)
    for fields in ([], [(b"authorization", b"Bearer x")], [(b"x-subject", b"admin")]):
        call = make_call(fields=fields)
        assert asyncio.run(chain.run(call)) is PASS
        assert call.identity is ANONYMOUS
    (verdict,) = asyncio.run(chain.explain(make_call()))
    assert verdict.reason == "anyone may call this route"
