"""Signs of NoSQL injection: operators and script where a value is meant."""

from policies.kinds.injection.signs.sign import Sign

_OPERATOR = (
    r"\$(?:ne|eq|gte?|lte?|n?in|nor|not|or|and|where|regex|exists|elemmatch|mod|text|all|size"
    r"|type"
    r"|expr|function|accumulator|jsonschema|comment|options|lookup|merge|out|set|unset|inc|push)"
)

SIGNS = (
    Sign(
        "nosql",
        5,
        "an operator as a member or parameter",
        rf"[\[{{,]\s*['\"]?{_OPERATOR}['\"]?\s*[\]:]|^{_OPERATOR}$",
    ),
    Sign(
        "nosql",
        5,
        "a quote that is closed, then an operator",
        rf"['\"]\s*,\s*['\"]?{_OPERATOR}['\"]?\s*:|,\s*\$where\s*:",
    ),
    Sign(
        "nosql",
        5,
        "script for a database",
        r"\bdb\.[\w.]+\.(?:insert|find|drop|remove|update|aggregate|count)\w*\s*\(|(?:^"
        r"|[;\s])var\s+\w+\s*=\s*new\s+date\s*\(|\bwhile\s*\(\s*\(?[^)\n]*date|['\"]\s*(?:\|\|"
        r"|&&)\s*['\"]?\w+['\"]?\s*==|['\"];\s*return\b|\bthis\.\w+\s*(?:==|\.match\s*\()"
        r"|\bsleep\s*\(\s*[0-9]+\s*\)\s*\|\|",
    ),
)
