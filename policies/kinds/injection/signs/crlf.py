"""Signs of split lines: a value that ends a header, an answer or a mail and begins another."""

from policies.kinds.injection.signs.sign import Sign

SIGNS = (
    Sign(
        "crlf",
        5,
        "a line break, then a header of an answer",
        r"[\r\n]+\s*(?:set-cookie2?|content-length|transfer-encoding|refresh|remote-addr"
        r"|access-control-[a-z-]+)[\s\r]*:",
    ),
    Sign(
        "crlf",
        5,
        "a line break, then a header",
        r"[\r\n]+\s*(?:location\s*:\s*(?:https?:|/)|(?:content-(?:type|encoding|disposition)"
        r"|x-[a-z-]+|cookie|injected[a-z]*|bcc)\s*:)",
        lines=True,
    ),
    Sign(
        "crlf",
        5,
        "a line break, then the start of a message",
        r"[\r\n]+\s*(?:http/[0-9]|(?:get|post|head|put|delete|options|patch|trace|connect"
        r"|propfind)\s+\S+\s+http/[0-9])",
    ),
    Sign("crlf", 5, "a line break at the end", r"\r\n\z", lines=True),
    Sign(
        "crlf",
        5,
        "the start of a message to a proxy",
        r"(?:^|[=&])(?:get|post|head)\s+https?://\S+\s+http/[0-9]|(?:^|\w)(?:get"
        r"|post)\s+/\S*\s+http/[0-9.]+\r\n(?:[^\n]+\n)*[a-z-]+:\s*(?:get|post)\s",
    ),
    Sign(
        "crlf",
        5,
        "a line break, then a start of an answer",
        r"[\r\n]+\s*http/[0-9]\.[0-9]\s+[0-9]{3}\b",
    ),
    Sign(
        "crlf",
        5,
        "line breaks, then markup",
        r"\r?\n\r?\n\s*<(?:html|script|body|!doctype)",
        lines=True,
    ),
    Sign(
        "crlf",
        5,
        "a line break, then a command of a mail server",
        r"[\r\n]+\s*(?:rcpt\s+to\s*:|mail\s+from\s*:|quit\s*$|data\s*$|helo\s+\w|ehlo\s+\w"
        r"|\w+\s+(?:capability|fetch\s+[0-9]|logout|noop|append\s+\S+\s*\(|authenticate\s+\w"
        r"|status\s+\w+\s*\(|uid\s+\w+\s+[0-9]|login\s+\w+\s+\w)\b)",
    ),
    Sign("crlf", 5, "a carriage return that ends no line of text", r"\r[^\n]", lines=True),
    Sign("crlf", 5, "a line break, then a parameter", r"^[^\n]*[\r\n]+[\w-]+=[\w.-]*$", lines=True),
    Sign("crlf", 5, "a NUL", r"\x00"),
    Sign("crlf", 5, "a line break in a disguise", r"[\x{560d}\x{560a}]\s*[a-z-]+\s*:"),
)
