"""Signs of SQL injection: a value that leaves its place in a statement.

Quotes and keywords are everyday things; what speaks for an attack is a quote that is closed and
followed by SQL, a condition whose both sides are literals, a second statement, or names that only
a database knows. A whole statement that stands by itself (in a tutorial, a ticket) is none.
"""

from policies.kinds.injection.signs.sign import Sign

_S = r"[\s(+]*"  # what separates: spaces, opening brackets, plus signs that were spaces
_NUMBER = r"(?:-?[0-9]+(?:\.[0-9]*)?(?:e[0-9]+)?|0x[0-9a-f]+|0b[01]+)"
_TEXT = r"(?:'[^'\n]*'?|\"[^\"\n]*\"?|`[^`\n]*`?)"
_LITERAL = rf"(?:array\[[^\]\n]*\]|{_NUMBER}|{_TEXT}|null|true|false|@@?[a-z_.]+)"
_NAME = r"[a-z_][\w.$]*"
_CALL = rf"(?:{_NAME}\s*\([^\n)]*\)*)"
_COMPARES = (
    r"(?:<=>|==|!=|<>|<=|>=|=|<|>|!<|!>|<@|@>|->>?|#>>?|\s(?:not\s+)?"
    r"(?:r?like|ilike|regexp|glob|between|sounds\s+like|similar\s+to|in)\b|"
    r"\s*\bis\s+(?:not\s+)?null\b|\s*(?:is|not)null\b)"
)
_CMP = rf"(?:{_COMPARES}|\?[|&]?)"
_LOGIC = r"(?:\b(?:x?or|and)\b|\|\||&&)"
_OPEN_OR = r"(?:\b(?:x?or|and|div|mod|like|rlike|regexp|glob|collate|sounds|is|not|in)\b|\|\||&&)"
# The first quote of the value: up to there it stands inside the statement's own quotes.
_FIRST = r"(?:^[^']*'|^[^\"]*\"|^[^`]*`)"
_BREAK = rf"(?:{_FIRST}[\s)]*)"
_ANY_BREAK = r"(?:['\"`][\s)]*)"
_VERB = (
    r"(?:select|insert\s+into|update\s+\w+\s+set|delete\s+from|drop\s+\w+|alter\s+\w+"
    r"|create\s+\w+"
    r"|exec(?:ute)?|declare\s+@|waitfor|shutdown|truncate\s+\w+|merge\s+into|call|set\s+@|print)"
)
_TIMED = r"(?:sleep|pg_sleep|benchmark|randomblob|dbms_lock\.sleep|dbms_pipe\.receive_message)"
_CATALOGUE = (
    r"(?:information_schema|pg_catalog|pg_(?:tables|user|shadow|class)\b|sqlite_master"
    r"|sqlite_temp_master|sys\.(?:tables|objects|databases|user_)|sysobjects|syscolumns"
    r"|sysdatabases|msysaccessobjects|msysobjects|mysql\.(?:user|db)|all_tab_columns|all_tables"
    r"|user_tab_columns|v\$version|master\.\.|master\.(?:dbo|sys)\b)"
)
_FUNCTION = (
    r"(?:xp_(?:cmdshell|dirtree|reg\w+|fileexist|subdirs|availablemedia|servicecontrol)\b"
    r"|sp_(?:executesql|oacreate|oamethod|password|configure|makewebtask|addextendedproc"
    r"|sproto\w*)\b"
    r"|openrowset|opendatasource|openquery|utl_http|utl_inaddr|utl_file|dbms_(?:pipe|lock|ldap"
    r"|xmlgen|java|scheduler|output)\b"
    r"|load_file\s*\(|load\s+data\s+infile|into\s+(?:out|dump)file|lo_import\s*\(|lo_get\s*\("
    r"|pg_read_file|pg_ls_dir|extractvalue\s*\(|updatexml\s*\(|xmltype\s*\(|group_concat\s*\("
    r"|concat_ws\s*\(|make_set\s*\(|name_const\s*\(|find_in_set\s*\(|unhex\s*\("
    r"|jsonb?_(?:extract\w*|depth|keys|search|valid|array\w*|object\w*|build_\w+|each\w*"
    r"|pretty|agg|typeof)\s*\(|fn_varbin\w+"
    r"|current_user\s*\(|current_database\s*\(|db_name\s*\("
    r"|sqlite_\w+\s*\(|sysdate\s*\(|procedure\s+analyse\s*\(|@@(?:version|datadir|hostname"
    r"|\w+dir)"
    r"|string_to_array\s*\("
    r"|benchmark\(|pg_sleep\b|unistr\s*\(|nvarchar\b|varchar\s*\([0-9]+\)\s*;|msdasql\b)"
)
_HELPER = (
    r"\b(?:concat|substr|substring|mid|ascii|ord|hex|char|chr|cast|convert|ifnull|nullif|coalesce"
    r"|length|database|schema|version|user|elt|floor|rand|md5|sha1|count|iif|if|left|right|exists"
    r"|lower|upper|replace|row|ltrim|rtrim|strcmp|instr|sleep|starts_with)\("
)

SIGNS = (
    Sign(
        "sqli",
        5,
        "a comparison of numbers and nothing else",
        r"^[0-9]+\s*(?:=|!=|<>|<=>|<=|>=)\s*[0-9]+$",
    ),
    Sign(
        "sqli",
        5,
        "a cast of a value",
        r"[\w)'\]]::(?:int|bigint|jsonb?|bool|varchar|text|double\s+precision)(?:$"
        r"|[\s)',:#<>=?@-])",
    ),
    Sign(
        "sqli",
        5,
        "an account name, then a quote that ends the statement",
        r"^[^\s'\"`]+['\"`]\s*(?:/\*[^\n]*\*/)?\s*;$",
    ),
    Sign(
        "sqli",
        5,
        "a name for a column, out of place",
        r"^(?:[\w\s]{0,8}['\"`)!]|[0-9]+)\s*as\b\s*['\"`]?\w*['\"`]?\s+from\b",
    ),
    Sign(
        "sqli",
        5,
        "a statement for a database's own language",
        r"\bexecute\s+immediate\b|\bdeclare\s*@\w|\bexec\s*\(?\s*@"
        r"|\bmatch\s*\([^\n]*\)\s*against\s*\(|\bset\s+@\w+\s*="
        r"|\bselect\s+(?:if|iif)\s*\(|\bselect\s+0x[0-9a-f]|\b(?:concat|char|unhex)\s*\(\s*0x"
        r"|;\s*insert\s+into\s+\S+\s*(?:\(|values)"
        r"|\b(?:drop|alter|truncate)\s+\w+\s*;\s*(?:--|#)|;\s*set\s+@|\bexec\s+master\."
        r"|[0-9]\.e\s*[(.]|\bunionselect|\bselect\W+(?:[0-9]+\s*,\s*){2}"
        r"|\bcreate\s+function\s+\w+\s*\([^\n]*\breturns\b|;\s*(?:truncate"
        r"|replace)\b[^\n]*(?:\[|\bvalues\b)|^\)\s*like\s*\(",
    ),
    Sign(
        "sqli",
        4,
        "a comment next to a keyword",
        r"\b(?:select|union|from|where|or|and|drop|insert|in|having|sleep|all|limit)/\*"
        r"|\*/\s*(?:select|union|from|where|or|and|having|limit)\b",
    ),
    Sign(
        "sqli",
        5,
        "a number, then a condition that is always so",
        rf"^-?[0-9]+[\s)']*{_OPEN_OR}\s+(?:true|false|not\s+(?:null|false|true))\b"
        rf"|^[^']*'\s*(?:x?or|\|\|)\s*(?:true|false)\b",
    ),
    Sign(
        "sqli",
        3,
        "having, as statements have it",
        r"\bselect\b[^\n]*\bhaving\b|\)\s*like\s*\(|^if\s*\([0-9]+\s*=",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a condition of literals",
        rf"{_ANY_BREAK}{_OPEN_OR}{_S}(?:not\b{_S})?{_LITERAL}[\s)]*{_CMP}{_S}(?:{_LITERAL}"
        rf"|{_CALL})",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a comparison",
        rf"{_BREAK}{_LOGIC}{_S}(?:not\b{_S})?(?:{_CALL}|{_NAME}|{_LITERAL})[\s)]*"
        rf"(?:{_COMPARES}|\?[|&]?\s*['\"])",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a condition up to a comment or the end",
        rf"{_BREAK}{_OPEN_OR}{_S}(?:(?:not|like|glob|is)\b{_S})*-?(?:{_NUMBER}|{_CALL}"
        rf"|{_NAME}\s*\(?|\?|true|false|null)?"
        rf"[\s)]*(?:--|#|;\s*$|/\*)",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a function call",
        rf"{_BREAK}{_OPEN_OR}{_S}(?:not\b{_S})?{_NAME}\s*\([^\n]*\)",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed and opened again around or/and",
        r"^[^']*'\s*(?:x?or|and|\|\|)\s*(?:'[^']+|[0-9]+\s*)$|^[^\"]*\"\s*(?:x?or|and"
        r"|\|\|)\s*\"[^\"\n]*$",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then a comment to the end",
        r"^[^']*['`\"][\s)]*;?(?:--|#|/\*)[\s+-]*$|^[^']*'\)*;?\s*--\s*-?$",
    ),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then an operator and a comment",
        rf"^[^']*'\s*[|&^<>=/%*+-]+\s*(?:{_NAME}|{_NUMBER})\s*(?:--|#)",
    ),
    Sign(
        "sqli",
        5,
        "a comparison of texts that are open at both ends",
        r"^[^']*'[^']*'\s*(?:!=|<>|=)\s*'[^']*$",
    ),
    Sign("sqli", 5, "a quote that is closed, then another statement", rf"{_BREAK};\s*{_VERB}\b"),
    Sign(
        "sqli",
        5,
        "a quote that is closed, then an expression",
        rf"{_FIRST}\s*(?:\|\||\+|,)\s*\(?(?:\(\s*select|{_FUNCTION}|(?:cast|convert|chr"
        rf"|char)\s*\()",
    ),
    Sign(
        "sqli",
        5,
        "a condition of literals after a number or bracket",
        rf"(?:^(?:[^\s=]*=)?\s*(?:['\"]?{_NUMBER})?|\)){_S}\b(?:x?or"
        rf"|and)\b{_S}(?:not\b{_S})?{_LITERAL}[\s)]*{_CMP}{_S}{_LITERAL}",
    ),
    Sign(
        "sqli",
        3,
        "a condition of literals",
        rf"(?:\b(?:x?or|and|having|where)\b|\|\||&&){_S}{_LITERAL}\s*(?:=|<>|!=|<|>"
        rf"|like){_S}(?:{_NUMBER}|{_TEXT})",
    ),
    Sign(
        "sqli",
        5,
        "union select",
        rf"\bunion{_S}(?:all\b|distinct(?:row)?\b){_S}select\b"
        rf"|\bunion{_S}select{_S}(?:null|[0-9@'\"`*~-]|{_NAME}\s*[,(]|{_NAME}\s+from\b|top\b"
        rf"|distinct|/|$)"
        rf"|['\"`0-9)]\s*union{_S}select\b|\bunion\s*\(\s*select\b",
    ),
    Sign(
        "sqli",
        5,
        "a selection in brackets",
        rf"\(\s*select\s*(?:\(|top\b|case\b|count\b|{_NAME}\s*\(|[0-9]+\s*\)|'|@)"
        rf"|(?:^|[0-9'\"=<>|+,(]|\b(?:x?or|and|in|all|exists"
        rf"|select)\b)\s*\(+\s*select\b[^\n]*\bfrom\b|\bselect\s*\(\s*select\b"
        rf"|=\s*\(\s*select\b",
    ),
    Sign(
        "sqli",
        5,
        "a call that makes a database wait",
        rf"(?:^\s*|['\"(,=|&;+*/-]\s*|\b(?:select|and|or|xor|div|then|where|r?like|regexp)\s+){_TIMED}\s*\(\s*(?:[^a-z\n)]*\)|[^\n]*,[^\n]*\(|'|[0-9]+(?:\.[a-z_]+)?\))"
        rf"|\bwaitfor\s*(?:delay|time)\s*['\"(]|\bselect\s*\(?\s*{_TIMED}\b|\bsleep\s*\(\s*mod",
    ),
    Sign(
        "sqli",
        5,
        "a value, then the end of a statement",
        r"^-?[0-9]+[\s)'\"]*\b(?:order|group)\s+by\s+[0-9]|^[^']*'[\s)]*\b(?:order|group)\s+by\s+[0-9]"
        r"|^[^\s;]*\s*;\s*(?:drop|truncate|alter|create)\s+(?:table|database|user|view)\s+\w",
    ),
    Sign("sqli", 5, "a database's catalogue", _CATALOGUE),
    Sign("sqli", 5, "a function of a database", rf"(?:^|[^\w.-]){_FUNCTION}"),
    Sign(
        "sqli",
        4,
        "another statement",
        r";\s*(?:insert\s+into|update\s+\w+\s+set|delete\s+from|drop\s+(?:table|database|view"
        r"|user|schema)"
        r"|alter\s+(?:table|user)|create\s+(?:table|user|function)|exec(?:ute)?\s+\w+[._]"
        r"|declare\s+@"
        r"|waitfor\s|shutdown\b|truncate\s+table|select\s+(?:\*|[\w@]+\s*[(,=]"
        r"|[\w.]+\s+from\s+\w+\s*(?:$|where|limit|order|;|--))|set\s+@)",
    ),
    Sign(
        "sqli",
        3,
        "a statement that changes tables",
        r"^\s*(?:drop\s+(?:table|database)|truncate\s+table|delete\s+from|insert\s+into"
        r"|update\s+\w+\s+set)\s+[\w`.\[\]]+",
    ),
    Sign(
        "sqli",
        2,
        "a statement that ends in a comment",
        r"\b(?:select|drop|delete|update|insert|union|having|order\s+by|where|or"
        r"|and)\b[^\n]*;?\s*(?:--\s*-?|#|/\*)\s*$",
    ),
    Sign(
        "sqli",
        3,
        "a number, then a condition",
        rf"^-?[0-9]+[\s)']*{_LOGIC}{_S}(?:not\b{_S})?(?:{_CALL}|{_LITERAL}|{_NAME})\s*{_CMP}",
    ),
    Sign("sqli", 3, "a text of a conditional comment", r"/\*[!+]"),
    Sign("sqli", 2, "a comment between words", r"\w/\*[^\n]*\*/\w"),
    Sign("sqli", 2, "a call as statements use it", _HELPER),
    Sign("sqli", 2, "select from", r"\bselect\b[^\n]*\bfrom\b"),
    Sign(
        "sqli",
        2,
        "a grouping as statements have it",
        r"\b(?:group|order)\s+by\s+(?:[0-9]+\s*(?:--|#|,|$)|concat\b)|\bhaving\s+(?:[0-9]"
        r"|min\b|count\s*\()|\blimit\s+[0-9]+\s*,\s*[0-9]+",
    ),
    Sign("sqli", 2, "a hexadecimal text", r"\b0x[0-9a-f]{4,}\b|\bx'[0-9a-f]{6,}'|\bb'[01]{8,}'"),
    Sign(
        "sqli",
        2,
        "a quote before a keyword",
        r"^[^']*'[\s)]*(?:or|and|union|select|having|order|group|limit|collate|like|is|not"
        r"|mod)\b",
    ),
    Sign("sqli", 1, "a comment at the end", r"(?:--\s*-?|#|/\*)\s*$"),
    Sign("sqli", 1, "an odd quote", r"^[^']*'[^'\n]*$"),
    Sign("sqli", 3, "case when", r"\bcase\s+when\b[^\n]*\bthen\b"),
)
