"""The roll-call of all signs. A sign that is not named here is not looked for."""

from policies.kinds.injection.signs import command, crlf, nosql, sqli, traversal, xss, xxe
from policies.kinds.injection.signs.sign import THRESHOLD, Class, Sign

__all__ = ["ALL_SIGNS", "THRESHOLD", "Class", "Sign"]

ALL_SIGNS: tuple[Sign, ...] = (
    *sqli.SIGNS,
    *xss.SIGNS,
    *traversal.SIGNS,
    *command.SIGNS,
    *crlf.SIGNS,
    *nosql.SIGNS,
    *xxe.SIGNS,
)
