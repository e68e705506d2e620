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

__all__ = ["ALL_SIGNS", "THRESHOLD", "Class", "Sign"]

ALL_SIGNS: tuple[Sign, ...] = (
    *sqli.SIGNS,
    *sqli_parts.SIGNS,
    *xss.SIGNS,
    *traversal.SIGNS,
    *command.SIGNS,
    *crlf.SIGNS,
    *nosql.SIGNS,
    *xxe.SIGNS,
)
