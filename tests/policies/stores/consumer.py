"""One process of a cross-process test: ``consumer.py URL OPERATION ATTEMPTS``.

Says ``ready``, waits for a line, asks concurrently, prints how many of its attempts were the
ones allowed.
"""

import asyncio
import sys

from policies.core.state import Rate, State, Window
from policies.stores.open import open_state

CONCURRENTLY = 16
RATE = Rate(limit=50, per=3600, burst=50)
WINDOW = Window(limit=50, per=3600)


async def ask(state: State, operation: str, number: int) -> bool:
    if operation == "consume":
        return (await state.consume("shared", RATE)).allowed
    if operation == "count":
        return (await state.count("shared", WINDOW)).allowed
    if operation == "slide":
        return (await state.slide("shared", WINDOW)).allowed
    if operation == "occupy":
        return (await state.occupy("shared", f"worker{number % 4}", 50, 600)).allowed
    if operation == "remember":
        return await state.remember_once(f"nonce {number}", 600)
    return await state.increment("shared", 1, 600) <= 50


async def work(url: str, operation: str, attempts: int) -> int:
    state = open_state(url)

    async def one(first: int) -> int:
        numbers = range(first, attempts, CONCURRENTLY)
        return sum([await ask(state, operation, number) for number in numbers])

    return sum(await asyncio.gather(*[one(first) for first in range(CONCURRENTLY)]))


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
