"""What a sign is: something in a text that speaks for an attack, and how strongly.

A sign alone need not convict: its class is found where the weights of its distinct signs in one
value reach ``THRESHOLD``. Patterns are RE2's, for lower-case text; ``^`` and ``$`` are the ends
of lines.
"""

from typing import Literal, NamedTuple

Class = Literal["sqli", "xss", "traversal", "command", "crlf", "nosql", "xxe"]
THRESHOLD = 5
Context = Literal["any", "line"]


class Sign(NamedTuple):
    """``says`` completes the sentence "the value contains ...".

    ``line`` signs are looked for only where a line break has a meaning of its own: in path,
    query and header values, not in text of a body.
    """

    kind: Class
    weight: int
    says: str
    pattern: str
    context: Context = "any"
