"""The roll-call of all signs. A sign that is not named here is not looked for."""

from policies.kinds.injection.signs import (
    command,
    crlf,
    nosql,
    sqli,
    sqli_parts,
    traversal,
    xss,
    xxe,
)
from policies.kinds.injection.signs.sign import THRESHOLD, Class, Sign

__all__ = ["ALL_SIGNS", "TABLES", "THRESHOLD", "Class", "Sign"]

# Each becomes an automaton of its own; two of one class are counted together.
TABLES: tuple[tuple[Sign, ...], ...] = (
    sqli.SIGNS,
    sqli_parts.SIGNS,
    xss.SIGNS,
    traversal.SIGNS,
    command.SIGNS,
    crlf.SIGNS,
    nosql.SIGNS,
    xxe.SIGNS,
)
ALL_SIGNS = tuple(sign for table in TABLES for sign in table)
