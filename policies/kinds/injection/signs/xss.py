"""Signs of cross-site scripting: markup or script that runs when a value is shown in a page.

Harmless markup (paragraphs, links, pictures) is content, and passes. What speaks for an attack
is markup that runs or loads something, a handler of an event, a script URL, or script that
reaches for the page.
"""

from policies.kinds.injection.signs.sign import Sign

_EVENTS = (
    r"on(?:abort|activate|after\w+|animation\w+|auxclick|before\w+|begin|blur|bounce|can\w+"
    r"|change"
    r"|click|close|contextmenu|copy|cuechange|cut|dbl\w+|drag\w*|drop|durationchange|emptied|end"
    r"|ended|error|filterchange|finish|focus\w*|formdata|fullscreen\w*|gesture\w+|got\w+"
    r"|hashchange"
    r"|help|input|invalid|key\w+|load\w*|lost\w+|message\w*|mouse\w+|offline|online|page\w+|paste"
    r"|pause|play\w*|pointer\w+|popstate|progress|propertychange|ratechange|readystatechange"
    r"|repeat|reset|resize\w*|row\w+|scroll\w*|search|seek\w+|select\w*|show|stalled|start"
    r"|storage"
    r"|submit|suspend|timeupdate|toggle|touch\w+|transition\w+|unhandledrejection|unload"
    r"|volumechange|waiting|webkit\w+|wheel|zoom)"
)
_GAP = r"[^\S\n]*"
_SCRIPT_URL = r"(?:j\s*a\s*v\s*a|v\s*b|l\s*i\s*v\s*e)\s*s\s*c\s*r\s*i\s*p\s*t\s*:"
_REACH = (
    r"(?:document[^\w\n]*(?:cookie|domain|location|write|body|queryselector|createelement"
    r"|getelement)|window[^\w\n]*(?:location|alert|open\b|name\b|onerror|document)"
    r"|\bself[^\w\n]*(?:alert|document|\$)"
    r"|string\s*\.\s*fromcharcode|\.innerhtml|\.constructor\s*\.?\s*(?:constructor|\()"
    r"|localstorage\.)"
)

_BROKEN = (
    r"(?:ja[\t\n]+v|jav[\t\n]+a|java[\t\n]+s|javas[\t\n]+c|javasc[\t\n]+r|v[\t\n]+b"
    r"|vb[\t\n]+s)[scripta\s]*[:t]"
)

SIGNS = (
    Sign("xss", 5, "a script URL that is broken up", _BROKEN),
    Sign(
        "xss",
        5,
        "the beginning of an element with a handler",
        r"<[^<>\n]*[\s\"'/]on[a-z][a-z]+\s*=\s*$|['\"<]\s*on[a-z][a-z]+=\s*$"
        r"|^\s+on[a-z][a-z]+=\s*$",
    ),
    Sign("xss", 5, "an element whose name is spaced out", r"<\s*[a-z](?:\s[a-z]){3,}(?:$|[^a-z])"),
    Sign(
        "xss",
        5,
        "angle brackets in another character set",
        r"(?:\\xbc|\x{bc})\s*/?\s*(?:script|test|img|svg|iframe|body)",
    ),
    Sign(
        "xss",
        5,
        "a script element",
        r"<[\s/\x00]*(?:\w+\s*:\s*)?s\s*c\s*r\s*i\s*p\s*t(?:\s*[/:]|\s+[\w:-]+\s*=|\s*$"
        r"|\s*>(?:\S|\s*$|\s*[^\sa-z]))|</script|<\W{0,3}scr\x00ipt",
    ),
    Sign(
        "xss",
        5,
        "an element with a handler",
        r"<[^\s<>=][^<>]*?[\s/\"'`\x00\x0b]on[a-z][a-z]+\s*=\s*(?:[^\s{=]|\{\s*[\w.]+\s*=)",
    ),
    Sign(
        "xss",
        5,
        "a handler after a quote",
        rf"['\"`>/][\s/]*{_EVENTS}\s*=\s*[^\s>={{]"
        rf"|['\"`][^<>\n]*[\s/]{_EVENTS}\s*=\s*[a-z(\[$`'\"]",
    ),
    Sign(
        "xss",
        4,
        "a handler",
        rf"(?:^|[\s;/\"'`]){_EVENTS}\s*=\s*(?:['\"`]?[a-z_$.\[(]+\s*[(`]|eval|alert|\w+\.\w+)",
    ),
    Sign("xss", 2, "the beginning of a handler", rf"(?:^|[\s\"'`/;])on[a-z][a-z]+{_GAP}="),
    Sign(
        "xss",
        5,
        "a script URL",
        rf"{_SCRIPT_URL}\s*(?:[^\s\w.,]|[\w.$]+\s*[(`\[=]|void\b|\w+\()|{_SCRIPT_URL}[a-z\\]"
        rf"|[=('\"]\s*{_SCRIPT_URL}",
    ),
    Sign(
        "xss",
        5,
        "a document in a URL",
        r"data\s*:\s*(?:text/html|application/xhtml|image/svg\+xml|text/xml)[^a-z]"
        r"|data\s*:\s*,\s*<|src\s*=\s*['\"]?data:,",
    ),
    Sign(
        "xss",
        5,
        "an element that loads or runs something",
        r"<link\s|<[\s/]*(?:iframe|frameset|frame|object|embed|applet|base|bgsound|isindex"
        r"|xml:namespace|portal)\b[^a-z]"
        r"|<\s*meta\s[^<>]*http-equiv|<\s*\w*:?vmlframe|<\?import|<!--\s*#\s*(?:set|echo)"
        r"|<\s*\w*\s*xi:include|<form\s[^<>]*action\s*=\s*['\"]?\s*(?:https?:|//|java)",
    ),
    Sign(
        "xss",
        5,
        "a style that runs or loads something",
        rf"-moz-binding|:\s*expression\(|<style[^<>]*>[^<]*(?:@|\\|import|{_SCRIPT_URL})"
        rf"|[=:]\s*url\s*\(\s*javascript|behaviou?r\s*:\s*url\s*\(",
    ),
    Sign(
        "xss",
        5,
        "the attribute of a form or frame",
        r"['\"`/\s](?:formaction|srcdoc|xlink:href)\s*=\s*['\"`]?\s*(?:java|data:|<"
        r"|[^\s'\"`]*script)|['\"`]\s*formaction\s*=",
    ),
    Sign(
        "xss",
        5,
        "a call of a dialogue",
        r"(?:^|[^\w.$]|window\.|self\.|top\.|this\.)\(?(?:alert|confirm|prompt)(?:\)"
        r"|<[^<>]{0,9}>|\?\.|\s*\.\s*(?:call|apply|bind)\s*)?(?:[(`]|\s+\(\s*(?:[0-9]+\s*\)"
        r"|['\"`/]|document))\s*(?:[^)`\n]*[)`]|$)"
        r"|[=(\[,]\s*(?:alert|confirm|prompt)\s*[,)\];]|['\"](?:al|ale|conf|con|prom"
        r"|pro)['\"]\s*\+\s*['\"]",
    ),
    Sign(
        "xss",
        5,
        "script that runs a text",
        r"\beval(?:\?\.)?[(`]\s*['\"`a-z]|\b(?:set(?:timeout|interval))\s*\(\s*(?:['\"`]"
        r"|\w+\s*,\s*[0-9]+\s*\)\s*(?://|$))"
        r"|\bnew\s+function\s*\(|\batob\s*\(|\bbtoa\s*\(|globaleval|constructor\s*\(\s*['\"`]",
    ),
    Sign(
        "xss",
        5,
        "script that reaches for the page",
        rf"(?:^|[\[(=;,'\"`>!.\s]){_REACH}\s*(?:['\"\])]|[=.?(;)]|$)",
    ),
    Sign(
        "xss",
        5,
        "script without letters",
        r"!!\[\]|\(!\[\]\s*[+\s]?\[\]\)|\[\]\s*\[\s*\(\s*!|!\s*\[\s*\]\s*\+",
    ),
    Sign(
        "xss",
        5,
        "a call by a template",
        r"\]\s*\.\s*[a-z]+\s*\.\s*(?:call|apply)\s*`|\breflect\s*\.\s*\w+[\s.\w]*`"
        r"|\{\{[^{}\n]*constructor",
    ),
    Sign("xss", 5, "an angle bracket in UTF-7", r"\+adw-|\+ad4-"),
    Sign("xss", 3, "an expression in a template", r"\b(?:v-if|ng-\w+|v-html|x-data)\s*\]?\s*="),
)
