"""The order of all policies, in one place, with the reason for each position.

A chain sorts its policies by phase; within a phase the order of the configuration stays.
"""

from enum import IntEnum


class Phase(IntEnum):
    """When a policy runs."""

    # Cheap questions about the connection and the address: they cost nothing to refuse, and
    # a limit by address must come before credentials so that guessing them is limited too.
    ADMIT = 1
    # Who is calling: everything later may depend on it. Identity kinds are alternatives.
    IDENTIFY = 2
    # May this caller do this: needs the identity, must come before anything is counted.
    AUTHORIZE = 3
    # How often: keyed by the identity that was just proven, never by what was only claimed.
    LIMIT = 4
    # Is the content acceptable: the dearest checks, made only for callers within their limits.
    VALIDATE = 5
    # What the upstream gets to see: after every check, so that no check sees our own additions.
    SHAPE = 6
    # What the client gets to see: runs on the answer.
    RESPOND = 7
