"""What a policy says of a call, waiting where it has to."""

import asyncio

from policies.core.policy import Policy
from policies.core.values import Call, Decision


def ask(policy: Policy, call: Call) -> Decision:
    async def play() -> Decision:
        decision = policy.check(call)
        return await decision if hasattr(decision, "__await__") else decision

    return asyncio.run(play())
