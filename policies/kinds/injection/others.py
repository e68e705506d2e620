"""Signs of path traversal, command execution, split lines, query operators and external entities."""

from policies.kinds.injection.signs import Sign

_SLASH = r"[/\\]"
_SECRET = (
    r"(?:etc[/\\](?:\./)*(?:passwd|shadow|group|hosts\b|master\.passwd|subuid|subgid|sudoers|fstab|issue"
    r"|crontab|ssh/|apache2|nginx/nginx|mysql/|httpd)|proc[/\\](?:self|version|cmdline|net|sys|[0-9]+|interrupts)"
    r"|boot\.ini|win\.ini|windows[/\\](?:system32|win\.ini|repair)|winnt[/\\]|web-inf[/\\]|meta-inf[/\\]"
    r"|ntuser\.dat|\.ssh[/\\]|id_rsa\b|\.aws[/\\]|\.docker[/\\]|\.kube[/\\]|\.git[/\\](?:config|head)|\.env$|\.htaccess"
    r"|\.htpasswd|wp-config\.php|\.bash_history|\.history\b|httpd\.conf|apache2\.conf|var[/\\]log[/\\](?:auth|secure|apache|nginx))"
)
_COMMAND = (
    r"(?:ls|id|cat|tac|nc|ncat|netcat|wget|curl|ping6?|bash|sh|zsh|ksh|csh|dash|whoami|uname|ifconfig"
    r"|ipconfig|nslookup|dig|host|getent|telnet|ftp|tftp|scp|ssh|rm|mv|cp|chmod|chown|kill|ps|env|printenv"
    r"|echo|printf|python[0-9.]*|perl|ruby|php|node|sleep|touch|find|grep|awk|sed|head|tail|less|more|xxd"
    r"|base64|openssl|dir|type|net\s+user|powershell|cmd|reg|set\s+/a|systeminfo|tasklist|certutil|mkfifo"
    r"|sudo|su|eval|exec|source|export|xargs|tee|expr|pwd|hostname|netstat|route|arp|busybox|socat)"
)
_SHELL_PATH = r"/(?:usr/(?:local/)?)?s?bin/(?:\w+)"
_EVIL_QUOTE = r"[a-z]['\"\\]{1,2}[a-z]"
_OPERATOR = (
    r"\$(?:ne|eq|gte?|lte?|n?in|nor|not|or|and|where|regex|exists|elemmatch|mod|text|all|size|type"
    r"|expr|function|accumulator|jsonschema|comment|options|lookup|merge|out|set|unset|inc|push)"
)

TRAVERSAL = (
    Sign("traversal", 5, "a path that climbs", rf"^['\"]?(?:file:)?\.\.+{_SLASH}|^\.\.;|\.\.\\|\.\.;{_SLASH}?"),
    Sign("traversal", 5, "a path that climbs more than once",
         rf"\.\.{_SLASH}(?:[^\s'\"`]*{_SLASH})?\.\.{_SLASH}|\.\.\.+{_SLASH}\.\."),
    Sign("traversal", 5, "a path that climbs to a file of the system", rf"\.\.+{_SLASH}[^\n]*{_SECRET}|\.\.{_SLASH}\.\w+"),
    Sign("traversal", 5, "a file that only the system reads",
         rf"^[^\s'\"`]*(?:^|[/\\=:\s]){_SECRET}|\bfile:/{{1,3}}(?:etc|proc|windows|c:|\.)|(?:cat|type|less|more|head|tail|>)\s+\S*{_SECRET}"),
    Sign("traversal", 5, "a share of another machine", r"^\\\\+(?:[0-9:.?]+|[\w.-]+\.[\w.-]+)\\+\w+\$?\\"),
    Sign("traversal", 5, "dots and slashes in a disguise", r"0x2e\.|0x5c0x2e|0x2e0x2e|%c0%ae|%%32%65|\x{2025}|\.%00"),
)

COMMAND = (
    Sign("command", 5, "a separator, then a command",
         rf"(?:^|[\w'\")}}=\s])(?:;|\|\|?|&&?|\n)[\s{{(]*['\"\\]*{_COMMAND}(?:['\"\\]*)(?:\s+(?:-{{1,2}}[a-z]|/|\.|~|\$|http|'|\"|\*|[0-9]+\.|\S+\.\S+)|\$ifs|\$\{{ifs|<|>|[;|&`]|$)"),
    Sign("command", 5, "a command in a substitution", rf"(?:`|\$\()\s*(?:{_COMMAND}|{_SHELL_PATH})\b[^`\n]*(?:`|\))"),
    Sign("command", 5, "a path of a shell or tool", rf"{_SHELL_PATH}\s+-|(?:^|[;|&`(\s=]){_SHELL_PATH}(?:$|[\s;|&`)])"),
    Sign("command", 5, "the shell's field separator", r"\$\{?ifs\b"),
    Sign("command", 5, "the function of Shellshock", r"\(\s*\)\s*\{\s*[:_]?\s*;?[^}\n]*\}\s*;"),
    Sign("command", 5, "a command in a disguise", rf"[;|&]\s*\w*{_EVIL_QUOTE}\w*\s*/|/e['\"\\?*]*t['\"\\?*]*c/[\w'\"\\?*]*(?:passwd|shadow|pa['\"?*])|/\?\?\?/"),
    Sign("command", 5, "a lookup of a logging library", r"\$\{[^}\n]{0,80}(?:jndi|j\}|lower:|upper:|env:|sys:|::-)|\bjndi\s*:"),
    Sign("command", 5, "a server-side include", r"<!--\s*#\s*(?:exec|include|config|printenv|flastmod)"),
    Sign("command", 5, "an expression of a template engine",
         r"<#assign|freemarker\.|\?new\(\)|(?:\{\{|\$\{|#\{|<%=?|\*\{)\s*(?:[0-9'\"]+\s*[*+-]\s*[0-9'\"]+|[^{}\n]*(?:__class__|__globals__|config\.|self\._|request\.|getclass|runtime|t\s*\(java|constructor|system\s*\(|exec\s*\(|@print|import\s+os))"),
    Sign("command", 5, "PHP code", r"<\?(?:php\b|=|\s+(?:system|exec|eval|echo|phpinfo))|\bphpinfo\s*\(|\bphp://(?:input|filter)|\b(?:expect|phar|zip)://"),
    Sign("command", 5, "a call that runs a program",
         r"\b(?:system|passthru|shell_exec|popen|proc_open|pcntl_exec)\s*\(\s*['\"$]|\bos\.(?:system|popen|exec\w*)\s*\(|\bsubprocess\.\w+\s*\(|child_process|getruntime\s*\(|processbuilder|__import__\s*\(|\brequire\s*\(\s*['\"](?:child_process|fs|os)|!!python/|!!javax?\.|\bexecute\s*\(\s*\"|server\.scripttimeout"),
    Sign("command", 5, "a download into a shell", r"\b(?:wget|curl|fetch)\b[^\n|;]{1,300}[|;]\s*(?:sudo\s+)?(?:sh|bash|zsh|python[0-9.]*|perl|rename)\b"),
    Sign("command", 4, "a tool given an address", r"^[^\w]{0,3}\s*(?:wget|curl|ping|nslookup|telnet|nc|ncat|invoke-webrequest)\s+(?:-\S+\s+)*(?:https?://|\S+\.\S+|[0-9.]+)"),
    Sign("command", 5, "an option that runs a program", r"--(?:exec|use-compress-program|checkpoint-action|upload-pack|receive-pack)\s*="),
    Sign("command", 3, "a command after an assignment", rf"^\w*=?{_COMMAND}\s+/"),
)

CRLF = (
    Sign("crlf", 5, "a line break, then a header",
         r"[\r\n]+\s*(?:set-cookie2?|location|content-(?:length|type|encoding|disposition)|transfer-encoding|refresh|x-[a-z-]+|host|cookie|access-control-[a-z-]+|status|remote-addr|[a-z]+(?:-[a-z]+)+)\s*:", "line"),
    Sign("crlf", 5, "a line break, then the start of a message",
         r"[\r\n]+\s*(?:http/[0-9]|(?:get|post|head|put|delete|options|patch|trace|connect|propfind)\s+\S+\s+http/[0-9])|(?:get|post|head)\s+(?:https?://\S+|/\S*)\s+http/[0-9]", "line"),
    Sign("crlf", 5, "a line break, then markup", r"\r?\n\r?\n\s*<(?:html|script|body|!doctype)", "line"),
    Sign("crlf", 5, "a line break, then a command of a mail server",
         r"[\r\n]+\s*(?:rcpt\s+to|mail\s+from|quit\b|data\s*[\r\n]|helo\s|ehlo\s|bcc\s*:|cc\s*:|to\s*:|subject\s*:|\w+\s+(?:capability|fetch|select|login|logout|noop)\b)", "line"),
    Sign("crlf", 5, "a line break where none belongs", r"[\r\n]", "line"),
    Sign("crlf", 5, "a NUL", r"\x00"),
    Sign("crlf", 5, "a line break in a disguise", r"[\x{560d}\x{560a}]\s*[a-z-]+\s*:"),
)

NOSQL = (
    Sign("nosql", 5, "an operator as a member or parameter",
         rf"[\[{{,]\s*['\"]?{_OPERATOR}['\"]?\s*[\]:]|^{_OPERATOR}$"),
    Sign("nosql", 5, "a quote that is closed, then an operator", rf"['\"]\s*,\s*['\"]?{_OPERATOR}['\"]?\s*:|,\s*\$where\s*:"),
    Sign("nosql", 5, "script for a database",
         r"\bdb\.[\w.]+\.(?:insert|find|drop|remove|update|aggregate|count)\w*\s*\(|(?:^|[;\s])var\s+\w+\s*=\s*new\s+date\s*\(|\bwhile\s*\(\s*\(?[^)\n]*date|['\"]\s*(?:\|\||&&)\s*['\"]?\w+['\"]?\s*==|['\"];\s*return\b|\bthis\.\w+\s*(?:==|\.match\s*\()|\bsleep\s*\(\s*[0-9]+\s*\)\s*\|\|"),
)

XXE = (
    Sign("xxe", 5, "an external or parameter entity", r"<!entity\b|!entity\s+%?\s*\w+\s+(?:system|public)|\+adw-?\+?acEA?|\+adwaiq-"),
    Sign("xxe", 5, "a document type from elsewhere", r"<!doctype\s+[\w:.-]+\s+(?:system\b|public\b\s*['\"][^'\"]*['\"]\s*['\"](?:[^h'\"]|http://[^w]))|<!doctype[^>\[]*\["),
    Sign("xxe", 5, "content from elsewhere", r"\bxi:include\b|http://www\.w3\.org/2001/xinclude|\bxs:(?:include|import)\b[^>]*(?:https?:)|schemalocation\s*=\s*['\"][^'\"]*https?://(?:[^w'\"]|w[^w])"),
)

SIGNS = (*TRAVERSAL, *COMMAND, *CRLF, *NOSQL, *XXE)
