"""Slots that are held, once, pure, in whole microseconds.

An entry is text: ``holder:count:end`` with blanks between, one for each holder. A holder is a
worker; its share ends by itself when the worker stops saying that it holds it, so the slots of
one that was killed come free. The entry ends with its last share. Redis keeps the same entries
in Lua (``lua/batch.lua``).
"""

from policies.core.state import Allowance

_UNKNOWN = 1.0  # seconds; when a slot comes free is not known

Shares = dict[str, tuple[int, int]]  # holder: count, end


def shares_of(text: object, now: int) -> Shares:
    """The living shares of an entry; what is no such entry has none."""
    shares: Shares = {}
    try:
        for item in str(text).split():
            holder, count, end = item.split(":")
            if int(end) > now:
                shares[holder] = (int(count), int(end))
    except ValueError:
        return {}
    return shares


def assess(used: int, limit: int, cost: int) -> Allowance:
    """What is answered when ``used`` slots are taken."""
    after = used + cost
    if after > limit:
        return Allowance(False, max(0, limit - used), _UNKNOWN, _UNKNOWN)
    return Allowance(True, limit - after, 0.0, _UNKNOWN if after else 0.0)


def occupy(shares: Shares, holder: str, limit: int, cost: int, end: int) -> Allowance:
    """The answer; what is taken is added to ``shares``."""
    allowance = assess(sum(count for count, _ in shares.values()), limit, cost)
    if allowance.allowed and cost:
        shares[holder] = (shares.get(holder, (0, 0))[0] + cost, end)
    return allowance


def vacate(shares: Shares, holder: str) -> bool:
    """Take one off the holder's share. Whether it had one."""
    if holder not in shares:
        return False
    count, end = shares[holder]
    if count > 1:
        shares[holder] = (count - 1, end)
    else:
        del shares[holder]
    return True


def hold(shares: Shares, holder: str, least: int, most: int, end: int) -> None:
    """Bring the holder's share between the bounds, and let it last until ``end``."""
    count = min(max(shares.get(holder, (0, 0))[0], least), most)
    shares.pop(holder, None)
    if count:
        shares[holder] = (count, end)


def entry_of(shares: Shares) -> tuple[str, int]:
    """The entry and its end; of no shares, one that has ended."""
    text = " ".join(f"{holder}:{count}:{end}" for holder, (count, end) in shares.items())
    return text, max((end for _, end in shares.values()), default=0)
