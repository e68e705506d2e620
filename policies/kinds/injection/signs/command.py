"""Signs of command execution: shells, template engines, loggers and interpreters."""

from policies.kinds.injection.signs.sign import Sign

_COMMAND = (
    r"(?:ls|id|cat|tac|nc|ncat|netcat|wget|curl|ping6?|bash|sh|zsh|ksh|csh|dash|whoami|uname"
    r"|ifconfig"
    r"|ipconfig|nslookup|dig|host|getent|telnet|ftp|tftp|scp|ssh|rm|mv|cp|chmod|chown|kill|ps"
    r"|env|printenv"
    r"|echo|printf|python[0-9.]*|perl|ruby|php|node|sleep|touch|find|grep|awk|sed|head|tail"
    r"|less|more|xxd"
    r"|base64|openssl|dir|type|net\s+user|powershell|cmd|reg|set\s+/a|systeminfo|tasklist"
    r"|certutil|mkfifo"
    r"|sudo|su|eval|exec|source|export|xargs|tee|expr|pwd|hostname|netstat|route|arp|busybox"
    r"|socat)"
)
_EVIL_QUOTE = r"[a-z](?:['\"\\]{1,2}|\$[@*?!_-])[a-z]"
_BARE = r"(?:ls|id|whoami|uname|ifconfig|ipconfig|pwd|env|dir|ps|netstat|hostname|systeminfo)"
_SHELLS = (
    r"/(?:usr/(?:local/)?)?s?bin/(?:(?:ba|z|k|c|da|tc)?sh|nc|ncat|id|cat|ls|curl|wget"
    r"|python[0-9.]*|perl|env|uname|whoami|ping)\b"
)
_SEPARATOR = r"(?:;|\|\|?|&&?|\$\()"
_ARGUMENT = r"(?:-{1,2}[a-z0-9]|\+[a-z]|/|\.|~|\$|https?:|'|\"|\*|[0-9]+\.|\S+\.\S+|[a-z]+/)"

SIGNS = (
    Sign(
        "command",
        5,
        "a separator, then a command",
        rf"^[^\s;|&`]*\s*{_SEPARATOR}+[\s{{(]*['\"\\]*(?:{_COMMAND}['\"\\]*(?:[\s+]+{_ARGUMENT}"
        rf"|\$ifs|\$\{{ifs|<|>)|{_BARE}['\"\\]*\s*(?:[;|&`)#]|$))"
        rf"|\|\s*set\s+/a",
    ),
    Sign(
        "command",
        5,
        "a line break, then a command",
        rf"^\S*\s*[\r\n]+\s*(?:{_COMMAND}\s+{_ARGUMENT}|{_BARE}\s*$)",
        lines=True,
    ),
    Sign(
        "command",
        3,
        "a separator, then a command with a path or address",
        rf"{_SEPARATOR}[\s{{(]*{_COMMAND}\s+(?:-\S+\s+)*(?:/|https?:|'|[0-9]+\.[0-9]"
        rf"|\S+\.(?:com|net|org|sh|exe)\b)",
    ),
    Sign(
        "command",
        5,
        "a command in a substitution",
        rf"(?:(?:^|[=;|&(])\s*`|\$\()\s*(?:(?:id|ls|whoami|uname|cat|curl|wget|nslookup|ping"
        rf"|sleep|nc|printf|echo|bash|sh|python[0-9.]*|perl|getent|expr|touch|env)\b"
        rf"|{_SHELLS})[^`\n]*(?:`|\))",
    ),
    Sign(
        "command",
        5,
        "a path of a shell or tool",
        rf"{_SHELLS}\s+-|(?:^|[;|&`(\s=]){_SHELLS}(?:$|[\s;|&`)])",
    ),
    Sign(
        "command",
        5,
        "a call of PowerShell",
        r"\b(?:invoke-(?:webrequest|expression|command|item)|downloadstring|start-process"
        r"|new-object\s+net\.)|(?:^|[;|&])\s*(?:iex|iwr|irm)\s+(?:\(|http|-)"
        r"|\bpowershell(?:\.exe)?\s+(?:-|[a-z]:)|\bcmd(?:\.exe)?\s+/[ckrv]\b",
    ),
    Sign(
        "command",
        5,
        "a command of Windows",
        r"(?:^|[;|&\n])\s*for\s+(?:/[dflr]\s+)?(?:\S+\s+)?%+\S+\s+in\s*\("
        r"|\bif\s+(?:/i\s+)?(?:not\s+)?(?:exist|defined|errorlevel|cmdextversion)\s[^\n]*"
        r"|%(?:systemroot|systemdrive|comspec)%",
    ),
    Sign(
        "command",
        5,
        "a device of the network",
        r"/dev/(?:tcp|udp)/|>&\s*/dev/|\bnc\s+-[a-z]*[el]|\bsh\s+-[ic]\b",
    ),
    Sign(
        "command",
        5,
        "braces that expand to a command",
        r"(?:^|[;|&=\s])\{,?[a-z]+,[^{}\s]*\}|[a-z]\{[a-z]*,[a-z]*\}",
    ),
    Sign(
        "command",
        5,
        "a class that runs programs",
        r"\bjava\.lang\.(?:runtime|process\w*)\b|\bcom\.opensymphony\.xwork2|#_memberaccess"
        r"|\bognl\.|\b(?:runtime|clone|invoker|instantiate)[.]?transformer\b"
        r"|^ro0ab[a-z0-9+/]{1,}|\baced0005|@\{\[",
    ),
    Sign("command", 5, "the shell's field separator", r"\$\{?ifs\b"),
    Sign("command", 5, "the function of Shellshock", r"\(\s*\)\s*\{\s*[:_]?\s*;?[^}\n]*\}\s*;"),
    Sign(
        "command",
        5,
        "a command in a disguise",
        rf"[;|&]\s*\w*{_EVIL_QUOTE}\w*\s*/|/e['\"\\?*]*t['\"\\?*]*c/[\w'\"\\?*]*(?:passwd"
        rf"|shadow|pa['\"?*])|/\?\?\?/",
    ),
    Sign(
        "command",
        5,
        "a lookup of a logging library",
        r"\$\{[^}\n]*(?:jndi|j\}|lower:|upper:|::-|[a-z]+:[^}\n]*:-)|\bjndi\s*:",
    ),
    Sign(
        "command",
        5,
        "a server-side include",
        r"<!--\s*#\s*(?:exec|include|config|printenv|flastmod)",
    ),
    Sign(
        "command",
        5,
        "an expression of a template engine",
        r"<#assign|freemarker\.|\?new\(\)|(?:\{\{|\$\{|#\{|<%=?"
        r"|\*\{)\s*(?:[0-9'\"]+\s*[*+-]\s*[0-9'\"]+|[^{}\n]*(?:__class__|__globals__|config\."
        r"|self\._|request\.|getclass|runtime|t\s*\(java|constructor|system\s*\(|exec\s*\("
        r"|@print|import\s+os))",
    ),
    Sign(
        "command",
        5,
        "PHP code",
        r"<\?(?:php\b|=|\s+(?:system|exec|eval|echo|phpinfo))|\bphpinfo\s*\(|\bphp://(?:input"
        r"|filter)|\b(?:expect|phar|zip)://",
    ),
    Sign(
        "command",
        5,
        "a call that runs a program",
        r"\b(?:system|passthru|shell_exec|popen|proc_open|pcntl_exec)\s*\(\s*['\"$]"
        r"|\bos\.(?:system|popen|exec\w*)\s*\(|\bsubprocess\.\w+\s*\(|child_process"
        r"|getruntime\s*\(|processbuilder|__import__\s*\("
        r"|\brequire\s*\(\s*['\"](?:child_process|fs|os)|!!python/|!!javax?\."
        r"|\bexecute\s*\(\s*\"|server\.scripttimeout",
    ),
    Sign(
        "command",
        5,
        "a download into a shell",
        r"\b(?:wget|curl|fetch)\b[^\n|;]*[|;]\s*(?:sudo\s+)?(?:sh|bash|zsh|python[0-9.]*|perl"
        r"|rename)\b",
    ),
    Sign(
        "command",
        4,
        "a tool given an address",
        r"^[^\w]{0,3}\s*(?:wget|curl|ping|nslookup|telnet|nc|ncat"
        r"|invoke-webrequest)\s+(?:-\S+\s+)*(?:https?://|\S+\.\S+|[0-9.]+)",
    ),
    Sign(
        "command",
        5,
        "an option that runs a program",
        r"--(?:exec|use-compress-program|checkpoint-action|upload-pack|receive-pack)\s*=",
    ),
    Sign("command", 3, "a command after an assignment", rf"^(?:\w+=)?{_COMMAND}\s+/"),
)
