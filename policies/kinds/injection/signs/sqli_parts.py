"""Signs of SQL injection in parts: a value that is the beginning, the middle or the end of one.

An attack may be spread over several parameters, or probe with a fragment to see what the database
answers. What speaks for it is the shape of the whole value: it starts or ends where no text does,
with an operator, inside a quote, or in the middle of a statement. Operators that people choose
from a list (``>=``, ``IS NULL``) and quoted words are none.
"""

from policies.kinds.injection.signs.sign import Sign

# The beginning of the value, or of what follows a name where a pair was encoded as a whole.
_START = r"^(?:[\w.\[\]-]+=)?\s*"
_QUOTE = r"['\"`]"
_LOGIC = r"(?:\b(?:x?or|and)\b|\|\||&&)"
_MATCHES = r"(?:not\s+)?(?:r?like|ilike|regexp|glob|between|sounds\s+like)"
_VERB = (
    r"(?:select|union|insert\s+into|insert|update\s+\w+|delete\s+from|drop|alter|truncate"
    r"|create\s+(?:table|database|function|procedure|user|view))"
)
_FRAGMENT = (
    r"(?:abs|ascii|benchmark|cast|ceil|char|chr|coalesce|compress|concat|convert|cos|count"
    r"|current_user"
    r"|database|date|day|db_name|decode|default|elt|encode|exec|execute|floor|format|hex|if"
    r"|ifnull|iif"
    r"|in|insert|instr|left|length|ln|local|locate|log|lower|ltrim|max|md5|mid|min|minute|mod"
    r"|month|name"
    r"|now|nullif|ord|password|pi|pow|quarter|rand|replace|right|round|rtrim|schema|sha1|sin"
    r"|sleep"
    r"|strcmp|substr|substring|sum|sysdate|time|trim|upper|user|values|version|year)"
)

SIGNS = (
    Sign(
        "sqli",
        5,
        "the beginning of a call, as where an attack is spread over parameters",
        rf"^[\s'\"]*(?:select[\s(]+)?{_FRAGMENT}\W{{0,6}}\(\s*$|^select\w*\W{{0,6}}user\s*\(\s*$",
    ),
    Sign(
        "sqli",
        5,
        "the beginning of a condition, as where an attack is spread over parameters",
        rf"{_START}[\w/]*\s*{_LOGIC}[\s(]*[\w.@]+\s*(?:[!=<>]=?=?"
        r"|like\b)[\s(]*(?:['\"]|[0-9]*[\s(]*\($|$|!?[0-9]+[\s)]+$|[0-9]+=+['\"]?$)"
        rf"|{_START}x?or\s+(?:[0-9]+|'[^'\n]*'?)\s*(?:[<>-]|--[\s-]*|#)?\s*$"
        rf"|{_START}/*[0-9]+\s*(?:x?or|and)\s*\(\s*$",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is not closed, then a keyword",
        rf"{_START}'\s*(?:{_VERB}|having|(?:order|group)\s+by)\b[^'\n]*\s*$"
        rf"|{_START}\"\s*(?:{_VERB}|having|(?:order|group)\s+by)\b[^\"\n]*\s*$"
        rf"|{_START}`\s*(?:{_VERB}|having|(?:order|group)\s+by|{_MATCHES})\b[^`\n]*\s*$"
        rf"|{_START}{_QUOTE}\s+(?:{_MATCHES}|x?or|and|is)\b[^'\"`\n]*$"
        rf"|{_START}\W*{_QUOTE}\s*waitfor\s+(?:delay|time)\b",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is not closed, then an operator and a number",
        rf"{_START}\\?'\s*[,:<>*=|&^+/\[-]+\s*[0-9][^'\n]*\s*$"
        rf"|{_START}\\?\"\s*[,:<>*=|&^+/\[-]+\s*(?:\"\s*)?[0-9][^\"\n]*\s*$"
        rf"|{_START}\\?[\"']?`\s*[,:<>*=|&^+/\[-]+\s*[0-9][^`\n]*\s*$"
        rf"|{_START}{_QUOTE}\s*[<>=!]+\s*[0-9]+[\s)]*(?:x?or|and)\b"
        rf"|{_START}'\s*[*<>=|&^?][^'\n]*\b(?:x?or|and)\s+'[^'\n]*$",
    ),
    Sign(
        "sqli",
        5,
        "a quote that ends a member or an index",
        rf"{_START}\"\s*:\s*\"?\s*[\[{{]|{_START}['\"]\s*\]",
    ),
    Sign(
        "sqli",
        5,
        "quotes of several kinds and nothing else",
        r"^[\s!]*(?:'[!'\s]*[\"`]|\"[!\"\s]*['`]|`[!`\s]*['\"])[!'\"`\s]*$",
    ),
    Sign(
        "sqli",
        5,
        "a quote, then operators up to a comment or the end of the statement",
        rf"{_START}{_QUOTE}[\s!-,./:-@^|~-]*(?:#|--)[\s-]*(?:\s{_QUOTE})?$|{_START}{_QUOTE}\s*;\s*$",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a collation or a test for null up to a comment",
        r"^[^'\"`\n]*['\"`][\s)]*(?:collate\b[^\n]*|(?:is\s+(?:not\s+)?|not|is)null)\s*(?:--|#|/\*)"
        rf"|{_QUOTE}\s*(?:<|>|=|<>|!=|@>|->>?)\s*'\$[.\[]"
        r"|^[^'\n]*[0-9]'\s+'\s*[0-9]+$",
    ),
    Sign(
        "sqli",
        5,
        "a quote among quotes or escapes, then a condition",
        rf"^[^\w\n]*{_QUOTE}[^\w\n]*{_QUOTE}[^\w\n]*['`]\s*(?:x?or|and)\b"
        rf"|\\+{_QUOTE}+\s*(?:x?or|and|\|\||&&){_QUOTE}|\\+{_QUOTE}+[\s0-9]*\b(?:x?or|and)\s+[0-9]",
    ),
    Sign(
        "sqli",
        5,
        "the end of a statement, then another",
        rf"{_START};+\s*{_VERB}(?:$|\s|\()"
        rf"|{_START}set\s+@\w+",
    ),
    Sign(
        "sqli",
        5,
        "the end of a selection",
        rf"{_START}from[\s+]+[`\"\w.\[\]]+[\s+]+(?:where[\s+][^\n]*[<=>]|group\s+by\s+[\w`.]+|limit\s*(?:$|[0-9]))"
        rf"|{_START}from\s+`[^`\n]*`(?:\.`[^`\n]*`)?\s+(?:where|group|limit|order)\b"
        rf"|{_START}having\s+(?:[0-9]+\s*(?:[<=>]|$)|(?:count|sum|min|max|avg)\s*\()"
        rf"|{_START}values\s*\(\s*(?:{_QUOTE}|[0-9]|null\b)"
        rf"|\bexcept\s+(?:all\s+)?(?:select|values)\b|[0-9][\s+]+union[\s+]+all(?:$|[^\w\s])"
        r"|\bselect\b[^\n]*\bwhere\s+[0-9]+\s*=\s*[0-9]+|unionselect|\b(?:all|distinct)select\b",
    ),
    Sign(
        "sqli",
        5,
        "an alternative as statements have it",
        rf"^\)\s*when\s+[\w'\"]+\s+then\b|{_START}case\s+when\s+\w+\s+then\s+\w+",
    ),
    Sign(
        "sqli",
        5,
        "an operator at the start, then a list or nothing",
        rf"{_START}(?:not\s+)?in\s*\(\s*(?:-?[0-9]+\s*,|'[^'\n]*'\s*,)\s*[^()\n]*\)"
        rf"|{_START}{_MATCHES}\s+null\b",
    ),
    Sign(
        "sqli",
        5,
        "a comparison of literals and nothing else",
        rf"{_START}(?:[0-9]+|'[^'\n]*')\s+(?:{_MATCHES}|is\s+not)\s+(?:[0-9]+|'[^'\n]*')$"
        r"|,\s*'[0-9a-z]'\s*=\s*'[0-9a-z]'|[0-9]='[0-9]'\s*(?:x?or|and)\b",
    ),
    Sign(
        "sqli",
        5,
        "a text that is left open at the end",
        rf"^\w+\s+(?:not\s+)?r?like\s+{_QUOTE}[%_]?$|^[^'\"`\n]*=\s*{_QUOTE}$",
    ),
    Sign(
        "sqli",
        5,
        "a call out of its place",
        rf"\bdiv\s*\(\s*-?[0-9.]+\s*,|\$\{{\s*sleep\s*\(|{_QUOTE}\s*\.\s*sleep\s*\("
        rf"|{_QUOTE}\s*\(\s*function\s*\(\s*\)",
    ),
)
