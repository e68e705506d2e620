"""Signs of XML external entities: documents that make a parser fetch or expand something."""

from policies.kinds.injection.signs.sign import Sign

SIGNS = (
    Sign(
        "xxe",
        5,
        "an external or parameter entity",
        r"<!entity\b|!entity\s+%?\s*\w+\s+(?:system|public)|\+adw-?\+?acea?|\+adwaiq-",
    ),
    Sign(
        "xxe",
        5,
        "a document type from elsewhere",
        r"<!doctype\s+[\w:.-]+\s+(?:system\b|public\b\s*['\"][^'\"]*['\"]\s*['\"](?:[^h'\"]"
        r"|http://[^w]))|<!doctype[^>\[]*\[",
    ),
    Sign(
        "xxe",
        5,
        "content from elsewhere",
        r"\bxi:include\b|http://www\.w3\.org/2001/xinclude|\bxs:(?:include"
        r"|import)\b[^>]*(?:https?:)|schemalocation\s*=\s*['\"][^'\"]*https?://(?:[^w'\"]"
        r"|w[^w])",
    ),
)
