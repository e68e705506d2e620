"""What a sign is: something in a text that speaks for an attack, and how strongly.

A sign alone need not convict: its class is found where the weights of its distinct signs in one
value reach ``THRESHOLD``. Rules for the tables:

1. Patterns are RE2's, for text in lower case; ``^`` and ``$`` are the ends of the value.
2. No counted gaps (``[^x]{0,80}``) and no ``\\A`` or ``\\z``: counting multiplies the states of an
   automaton, and the values of a request are first read as the lines of one text.
"""

from typing import Literal, NamedTuple

Class = Literal["sqli", "xss", "traversal", "command", "crlf", "nosql", "xxe"]
THRESHOLD = 5


class Sign(NamedTuple):
    """``says`` names what the value contains, for whoever is refused.

    Signs of ``lines`` count only where a line break has a meaning of its own: in path, query and
    headers, not in the text of a body.
    """

    kind: Class
    weight: int
    says: str
    pattern: str
    lines: bool = False
