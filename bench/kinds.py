"""What each policy kind costs a request, in microseconds: ``python -m bench.kinds``.

In process, without sockets. A call is served by a chain that holds the kind alone, through the
methods that the data plane calls: check, watch or check_body with the body, edit, check_answer
and seal. The same call served by an empty chain is subtracted. Of several runs the fastest
counts: whatever else the machine did only ever made one slower.
"""

import asyncio
import gc
import platform
import sys
import time
from collections.abc import Collection
from typing import NamedTuple, cast

from bench.samples import SAMPLES, Sample
from bench.world import ANSWER, World
from policies.core.chain import Attached, Chain
from policies.core.identify import Identify
from policies.core.policy import IdentityPolicy, Policy
from policies.core.values import PASS, Call, Pass
from policies.registry import KINDS

RUNS = 30
SECONDS = 0.01  # for one run


class SampleMissing(Exception):
    """A kind is registered and nobody said how to measure it, or the other way round."""


class Cost(NamedTuple):
    """One row: the kind, microseconds a request, and what was measured."""

    kind: str
    micros: float
    about: str


def complete(kinds: Collection[str], samples: Collection[str]) -> None:
    """Raises ``SampleMissing`` unless every kind has a sample and every sample a kind."""
    lacking, stale = sorted(set(kinds) - set(samples)), sorted(set(samples) - set(kinds))
    if lacking or stale:
        raise SampleMissing(
            f"bench/samples.py lacks {', '.join(lacking) or 'nothing'} "
            f"and has samples of no kind: {', '.join(stale) or 'none'}"
        )


def chain_of(kind: str, sample: Sample, world: World) -> Chain:
    """A chain that holds the kind alone, as it is made of a configuration."""
    policy = KINDS[kind](KINDS[kind].Config.model_validate(sample.options), world.services)
    if isinstance(policy, IdentityPolicy):
        policy = Identify([cast(IdentityPolicy, policy)])
    return _chain(policy)


def _chain(*policies: Policy) -> Chain:
    return Chain([Attached(policy, policy.kind) for policy in policies], _no_report)


def _no_report(*_: object) -> None:
    raise AssertionError("a sample is in force")


async def serve(chain: Chain, call: Call, sample: Sample) -> bool:
    """One call as the page carries it, without carrying it. Whether it passed."""
    decision = chain.begin(call)
    passed = isinstance(decision, Pass) or await decision is PASS
    if sample.body and chain.reads_body:
        for watch in chain.watch(call):
            passed = watch.feed(sample.body) is None and watch.end() is None and passed
        holders = chain.body_holders(call)
        if holders:
            passed = await chain.check_body(call, holders, sample.body) is PASS and passed
    fields = chain.edit(call, 200, list(ANSWER)) + call.response_fields
    if chain.reads_answer:
        answers = chain.answer_holders(call, 200, fields)
        passed = chain.check_answer(call, answers, 200, fields, sample.answer) is None and passed
    if chain.seals:
        chain.seal(call, 200, fields, sample.answer)
    for end in call.ending:
        end()
    return passed


async def measure(kind: str, world: World, runs: int = RUNS, seconds: float = SECONDS) -> Cost:
    """Raises ``AssertionError`` when the sample does not pass: a refusal costs something else."""
    sample = SAMPLES[kind]
    chains = (_chain(), chain_of(kind, sample, world))
    for _ in range(2):  # what the first one had to ask for, the second one finds remembered
        call = sample.call(world)
        assert await serve(chains[1], call, sample), f"the sample of {kind} is refused"
    times = [await _time(chain, call, sample, 16) for chain in chains]
    turns = max(16, int(seconds / max(times)))
    for _ in range(runs):
        for at, chain in enumerate(chains):
            times[at] = min(times[at], await _time(chain, call, sample, turns))
    return Cost(kind, (times[1] - times[0]) * 1e6, sample.about)


async def _time(chain: Chain, like: Call, sample: Sample, turns: int) -> float:
    """Seconds for one call, of ``turns`` calls in a row, each a new one."""
    request, route, now, identity = like.request, like.route, like.now, like.identity
    token = like.token
    began = time.perf_counter()
    for _ in range(turns):
        call = Call(request, route, now, identity)
        call.token = token
        await serve(chain, call, sample)
    return (time.perf_counter() - began) / turns


def table(costs: Collection[Cost]) -> str:
    """The costs, dearest last."""
    lines = ["| policy kind | µs per request | measured |", "|---|---:|---|"]
    lines += [
        f"| `{cost.kind}` | {max(cost.micros, 0):.2f} | {cost.about} |"
        for cost in sorted(costs, key=lambda cost: cost.micros)
    ]
    return "\n".join(lines)


async def measure_all(world: World) -> list[Cost]:
    """Every registered kind."""
    gc.collect()
    gc.disable()
    try:
        return [await measure(kind, world) for kind in KINDS]
    finally:
        gc.enable()


def main() -> int:
    try:
        complete(KINDS, SAMPLES)
    except SampleMissing as reason:
        print(reason, file=sys.stderr)
        return 2
    costs = asyncio.run(measure_all(World()))
    print(f"What each policy adds to a call, one core, Python {platform.python_version()}")
    print(table(costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
